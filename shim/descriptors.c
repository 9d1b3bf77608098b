/* SPDX-License-Identifier: Apache-2.0 */
/* Which descriptors are connections: only stream sockets that were born in a hooked call, or stood
 * open at start. */
#include "base/counters.h"
#include "base/raw.h"
#include "base/thread.h"
#include "exporter/exporter.h"
#include "shim/caller.h"
#include "shim/conn.h"
#include "shim/descriptors.h"
#include "shim/flow.h"
#include "shim/link.h"
#include "shim/process_state.h"
#include "shim/tls.h"

#define INHERITED_MAX 256 /* descriptors looked at when the program starts */

static bool family_is_ours(int domain)
{
	return domain == AF_INET || domain == AF_INET6 || domain == AF_UNIX;
}

/* The table may still hold what a close() that nobody saw has left (io_uring, a direct system
 * call): the number is new now. */
static bool ready(int fd)
{
	if (fd < 0 || !fd_table.size || thread_state.vfork_child || process_is_vm_child())
		return false;
	if (process_is_new_child())
		shim_fork_child();
	if (shim_tracked(fd))
		shim_before_close(fd);
	return true;
}

void shim_on_socket(int fd, int domain, int type)
{
	type &= ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (type == SOCK_STREAM && family_is_ours(domain) && ready(fd))
		conn_track(fd, false, domain == AF_UNIX);
}

void shim_on_accept(int listener, int fd, const struct sockaddr *peer, socklen_t len)
{
	struct conn *c;

	(void)listener;
	if (!ready(fd))
		return;
	process_flag_set(listener);
	link_on_accept();
	flow_on_serving();
	c = conn_track(fd, true,
		       peer && len >= sizeof(peer->sa_family) && peer->sa_family == AF_UNIX);
	if (c)
		flow_note_accept(c);
	tls_look_early();
	if (!c || !peer || len < sizeof(peer->sa_family) || peer->sa_family == AF_UNIX)
		return;
	c = conn_acquire(fd);
	if (!c)
		return;
	conn_set_peer(c, peer, len);
	conn_release(c);
}

void shim_on_listen(int fd)
{
	process_flag_set(listener);
	flow_on_serving();
	/* A listener carries no bytes. */
	if (shim_tracked(fd))
		shim_before_close(fd);
	if (!thread_state.vfork_child && !process_is_vm_child())
		caller_on_listen();
}

void shim_on_setsid(void)
{
	if (!thread_state.vfork_child)
		process_flag_set(new_session);
}

/* The address it connects to is the peer's: the kernel does not tell while a connection is being
 * made (MSG_FASTOPEN: its first bytes are part of that). One to "any" is the kernel's to choose. */
static void note_peer(int fd, const struct sockaddr *address, socklen_t len)
{
	struct conn *c = conn_acquire(fd);

	if (!c)
		return;
	if (c->role == CONN_NEW && !c->written) {
		conn_set_peer(c, address, len);
		c->peer_known = !conn_peer_is_any(c);
	}
	conn_release(c);
}

/* connect(2), AF_UNSPEC: the socket is as new, and may be connected to somebody else. */
static void dissolve(int fd)
{
	struct conn *c = conn_acquire(fd);

	if (!c)
		return;
	conn_start_over(c);
	conn_release(c);
}

void shim_on_connect(int fd, const struct sockaddr *address, socklen_t len, int result, int error)
{
	if (result < 0 && error != EINPROGRESS && error != EINTR)
		return;
	/* Programs that speak no HTTP (databases, queues, name lookups) get no thread: most often
	 * it starts with the first answer. What a program has left unanswered is found waiting
	 * here. */
	if (!address || len < sizeof(address->sa_family) || address->sa_family == AF_UNIX)
		return;
	if (!shim_tracked(fd) || thread_state.vfork_child)
		return;
	if (address->sa_family == AF_UNSPEC) {
		dissolve(fd);
		return;
	}
	note_peer(fd, address, len);
	tls_look_early();
	if (exporter_waiting())
		exporter_start();
}

void shim_on_received_fd(int fd)
{
	int type = 0, domain = 0, listening = 0;
	socklen_t n = sizeof(int);

	if (!ready(fd) || !process_may_call() ||
	    raw_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0 ||
	    raw_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) < 0 ||
	    raw_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) < 0)
		return;
	if (listening)
		process_flag_set(listener);
	else if (type == SOCK_STREAM && family_is_ours(domain))
		conn_track(fd, true, domain == AF_UNIX);
}

/* What stands open when the program starts: inetd, socket activation, a shell's redirections. */
void descriptors_find_inherited(void)
{
	struct pollfd fds[INHERITED_MAX];
	struct rlimit64 limit = { INHERITED_MAX, 0 };
	int n = INHERITED_MAX;

	raw_prlimit64(0, RLIMIT_NOFILE, NULL, &limit);
	if (limit.rlim_cur < INHERITED_MAX) /* poll() takes no more */
		n = (int)limit.rlim_cur;
	for (int i = 0; i < n; i++)
		fds[i] = (struct pollfd){ .fd = i };
	if (raw_poll(fds, (unsigned)n, 0) < 0)
		return;
	for (int i = 0; i < n; i++)
		if (!(fds[i].revents & POLLNVAL))
			shim_on_received_fd(i);
}

void shim_on_dup(int from, int to)
{
	struct conn *c;

	if (!ready(to) || from == to)
		return;
	c = conn_acquire(from);
	if (!c) {
		/* What was given up stays so under every name. */
		if ((unsigned)from < fd_table.size && (unsigned)to < fd_table.size)
			fd_table_remark(to, atomic_load_explicit(&fd_table.flags[from],
								 memory_order_relaxed));
		return;
	}
	if (!shim_tracked(from)) {
		/* It was given up just now, and may be another's already. */
	} else if ((unsigned)to < fd_table.size && fd_table_add(to, c)) {
		atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
	} else {
		/* A name we cannot follow: bytes would pass unseen. */
		count(untracked_fd_limit);
		conn_give_up(c, from);
	}
	conn_release(c);
}

void shim_before_close(int fd)
{
	struct conn *c, *seen;

	if ((unsigned)fd >= fd_table.size || thread_state.vfork_child || process_is_vm_child())
		return;
	fd_table_remark(fd, 0);
	seen = atomic_load_explicit(&fd_table.conn[fd], memory_order_acquire);
	if (!seen)
		return;
	c = conn_acquire(fd);
	if (c)
		seen = c;
	if (!atomic_compare_exchange_strong(&fd_table.conn[fd], &seen, NULL)) {
		if (c)
			conn_release(c);
	} else if (c) {
		conn_unref(c, fd);
	} else {
		/* Inside our own code (a signal handler), or its lock was not to be had. */
		conn_owe(seen);
	}
}

void shim_before_close_range(unsigned first, unsigned last)
{
	unsigned used = atomic_load_explicit(&fd_table.used, memory_order_relaxed);

	if (thread_state.vfork_child)
		return;
	for (unsigned fd = first; fd < used && fd <= last; fd++)
		shim_before_close((int)fd);
}

void shim_on_shutdown(int fd, int how)
{
	struct conn *c;

	if (!shim_tracked(fd))
		return;
	c = conn_acquire(fd);
	if (!c)
		return;
	if (how != SHUT_RD && c->role == CONN_SERVER && c->out.in_body &&
	    c->out.body.state == BODY_UNTIL_CLOSE)
		conn_end_exchanges(c, NULL);
	conn_release(c);
}

void shim_make_opaque(int fd)
{
	struct conn *c;

	if (!shim_tracked(fd))
		return;
	c = conn_acquire(fd);
	if (!c)
		return;
	/* A header that has not begun, or has left: only its other half would be waited for. */
	if (!atomic_load_explicit(&c->writing, memory_order_relaxed) &&
	    (c->alter.sent <= c->alter.before || c->alter.sent >= c->alter.before + c->alter.added))
		alteration_drop(c);
	if (c->role != CONN_OPAQUE) {
		count(opaque_switched);
		conn_give_up(c, fd);
	}
	conn_release(c);
}
