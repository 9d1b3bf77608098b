/* SPDX-License-Identifier: Apache-2.0 */
/* What a thread waits for tells what it is: one that waits on a set with an inbound connection in
 * it runs an event loop, and a request it reads does not belong to it. */
#include <sys/epoll.h>
#include "base/thread.h"
#include "shim/conn.h"

static bool is_inbound(int fd)
{
	struct conn *c;

	if ((unsigned)fd >= fd_table.size)
		return false;
	/* Read without the lock: connections stay mapped. */
	c = atomic_load_explicit(&fd_table.conn[fd], memory_order_acquire);
	if (c)
		return atomic_load_explicit(&c->inbound, memory_order_relaxed);
	return atomic_load_explicit(&fd_table.flags[fd], memory_order_relaxed) & FD_WAS_INBOUND;
}

static struct thread_state *observer(void)
{
	struct thread_state *t = &thread_state;

	t->flow_reading = 0;
	return t->vfork_child || t->waits_on_inbound ? NULL : t;
}

static void waited_for(struct thread_state *t, int fd)
{
	t->wait_fd = fd + 1;
	t->wait_serial = conn_serial_of(fd);
}

void shim_on_poll(const struct pollfd *fds, nfds_t n)
{
	struct thread_state *t = observer();

	if (!t)
		return;
	t->wait_fd = 0;
	if (n == 1)
		waited_for(t, fds[0].fd);
	for (nfds_t i = 0; n > 1 && i < n; i++)
		if (is_inbound(fds[i].fd))
			t->waits_on_inbound = true;
}

void shim_on_select(int n, const fd_set *readable, const fd_set *writable)
{
	struct thread_state *t = observer();
	unsigned members = 0;
	bool inbound = false;
	int last = -1;

	if (!t)
		return;
	for (int fd = 0; fd < n && fd < FD_SETSIZE; fd++) {
		if (!(readable && FD_ISSET(fd, readable)) && !(writable && FD_ISSET(fd, writable)))
			continue;
		members++;
		last = fd;
		inbound |= is_inbound(fd);
	}
	t->wait_fd = 0;
	if (members == 1)
		waited_for(t, last);
	if (members > 1 && inbound)
		t->waits_on_inbound = true;
}

void shim_on_epoll_ctl(int epfd, int op, int fd)
{
	if (op == EPOLL_CTL_DEL || thread_state.vfork_child || (unsigned)epfd >= fd_table.size ||
	    !is_inbound(fd))
		return;
	fd_table_mark(epfd, FD_SET_INBOUND);
}

void shim_on_epoll_wait(int epfd)
{
	struct thread_state *t = observer();

	if (!t)
		return;
	t->wait_fd = 0;
	if ((unsigned)epfd < fd_table.size &&
	    atomic_load_explicit(&fd_table.flags[epfd], memory_order_relaxed) & FD_SET_INBOUND)
		t->waits_on_inbound = true;
}
