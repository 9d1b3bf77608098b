/* SPDX-License-Identifier: Apache-2.0 */
/* A shim that writes down what it is told, for the tests of hooks/. Include it in one file of the
 * program: it defines every function of shim/shim.h. */
#ifndef TESTS_UNIT_FAKE_SHIM_H
#define TESTS_UNIT_FAKE_SHIM_H

#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/thread.h"
#include "hooks/real.h"
#include "shim/shim.h"

#define FAKE_FDS 64

struct fd_table fd_table;
static _Atomic(struct conn *) fake_conns[FAKE_FDS];
static _Atomic uint8_t fake_flags[FAKE_FDS];

/* How the fake behaves, and what it was told: one line a call. */
static struct {
	char said[4096];
	size_t n;
	size_t shorten;                   /* read: ask for this much less */
	size_t grow;                      /* read: report this much more */
	const struct iovec *send_instead; /* write: the first call's vector */
	int send_instead_count;
	bool refuse; /* what passes unseen: a rest of ours would have to wait */
	int again;   /* write: how often it calls again, for one byte more */
} fake;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fake.n += (size_t)vsnprintf(fake.said + fake.n, sizeof(fake.said) - fake.n, format, args);
	va_end(args);
	fake.n += (size_t)snprintf(fake.said + fake.n, sizeof(fake.said) - fake.n, "\n");
}

#define expect_said(text) cr_assert_str_eq(fake.said, text)

static void fake_track(int fd)
{
	fake_conns[fd] = (struct conn *)&fake;
}

static void fake_start(void)
{
	fd_table.conn = fake_conns;
	fd_table.flags = fake_flags;
	fd_table.size = FAKE_FDS;
	real_resolve_all();
}

void shim_start(char **envp)
{
	(void)envp;
}

void shim_before_exec(void)
{
	say("before_exec");
}

void shim_at_exit(void)
{
	say("at_exit");
}

void shim_fork_child(void)
{
	say("fork_child");
}

void shim_fork_parent(void)
{
	say("fork_parent");
}

void shim_on_vm_child(void)
{
	say("on_vm_child");
}

void shim_before_main_exit(void)
{
	say("before_main_exit");
}

void shim_before_filter(bool every_thread)
{
	say("before_filter %d", every_thread);
}

void shim_on_socket(int fd, int domain, int type)
{
	say("on_socket %d %d %d", fd, domain, type);
}

void shim_on_accept(int listener, int fd, const struct sockaddr *peer, socklen_t len)
{
	say("on_accept %d %d %s %u", listener, fd, peer ? "peer" : "-", len);
}

void shim_on_listen(int fd)
{
	say("on_listen %d", fd);
}

void shim_on_setsid(void)
{
	say("on_setsid");
}

void shim_on_connect(int fd, const struct sockaddr *address, socklen_t len, int result, int error)
{
	(void)address;
	say("on_connect %d %u %d %d", fd, len, result, error);
}

void shim_on_received_fd(int fd)
{
	say("on_received_fd %d", fd);
}

void shim_on_dup(int from, int to)
{
	say("on_dup %d %d", from, to);
}

void shim_before_close(int fd)
{
	say("before_close %d", fd);
	fake_conns[fd] = NULL;
	fake_flags[fd] = 0;
}

void shim_before_close_range(unsigned first, unsigned last)
{
	say("before_close_range %u %u", first, last);
}

void shim_on_shutdown(int fd, int how)
{
	say("on_shutdown %d %d", fd, how);
}

static size_t fake_total(const struct iovec *iov, int count)
{
	size_t n = 0;

	for (int i = 0; i < count; i++)
		n += iov[i].iov_len;
	return n;
}

void shim_read_begin(struct shim_read *r, int fd, const struct iovec *iov, int count, int flags,
		     enum shim_call call)
{
	static struct iovec shorter[8];

	say("read_begin %d %zu/%d %x %d", fd, fake_total(iov, count), count, flags, call);
	*r = (struct shim_read){
		.iov = (struct iovec *)iov, .iovcnt = count, .flags = flags, .fd = fd
	};
	if (!fake.shorten)
		return;
	memcpy(shorter, iov, (size_t)count * sizeof(*iov));
	shorter[count - 1].iov_len -= fake.shorten;
	r->iov = shorter;
}

ssize_t shim_read_end(struct shim_read *r, ssize_t n, int msg_flags)
{
	say("read_end %d %zd %x", r->fd, n, msg_flags);
	return n > 0 ? n + (ssize_t)fake.grow : n;
}

void shim_write_begin(struct shim_write *w, int fd, const struct iovec *iov, int count, int flags,
		      enum shim_call call)
{
	say("write_begin %d %zu/%d %x %d", fd, fake_total(iov, count), count, flags, call);
	*w = (struct shim_write){ .iov = (struct iovec *)iov,
				  .iovcnt = count,
				  .flags = flags,
				  .fd = fd,
				  .program = iov,
				  .program_count = count };
	if (fake.send_instead) {
		w->iov = (struct iovec *)fake.send_instead;
		w->iovcnt = fake.send_instead_count;
	}
}

bool shim_write_again(struct shim_write *w, ssize_t *n)
{
	say("write_again %d %zd", w->fd, *n);
	if (fake.again == 0)
		return false;
	fake.again--;
	w->one = (struct iovec){ (void *)"+", 1 };
	w->iov = &w->one;
	w->iovcnt = 1;
	return true;
}

bool shim_before_unseen(int fd, int flags)
{
	say("before_unseen %d %x", fd, flags);
	return !fake.refuse;
}

void shim_on_sent_unseen(int fd, ssize_t n)
{
	say("on_sent_unseen %d %zd", fd, n);
}

void shim_on_received_unseen(int fd, ssize_t n)
{
	say("on_received_unseen %d %zd", fd, n);
}

void shim_on_counted(int fd, int n)
{
	say("on_counted %d %d", fd, n);
}

void shim_make_opaque(int fd)
{
	say("make_opaque %d", fd);
}

bool shim_answers(void)
{
	return true;
}

ssize_t shim_answer(void *buf, size_t n)
{
	(void)buf;
	say("answer %zu", n);
	return 0;
}

void shim_on_poll(const struct pollfd *fds, nfds_t n)
{
	(void)fds;
	say("on_poll %zu", (size_t)n);
}

void shim_on_select(int n, const fd_set *readable, const fd_set *writable)
{
	say("on_select %d %s %s", n, readable ? "in" : "-", writable ? "out" : "-");
}

void shim_on_epoll_ctl(int epfd, int op, int fd)
{
	say("on_epoll_ctl %d %d %d", epfd, op, fd);
}

void shim_on_epoll_wait(int epfd)
{
	say("on_epoll_wait %d", epfd);
}

#endif
