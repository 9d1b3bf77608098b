/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that leave by calls that show none of them: sendfile(), splice(), direct system calls,
 * sends that are not ours to alter. Their number advances a body. What must not happen is that they
 * come between two halves of our header: its rest goes first, as a write of no bytes of the
 * program's. */
#include "base/counters.h"
#include "base/host_errno.h"
#include "base/process.h"
#include "base/raw.h"
#include "shim/inject.h"
#include "shim/stream.h"

/* A look without the lock: whoever sends a rest has seen the first half leave. */
static bool head_is_halved(int fd)
{
	const struct conn *c;

	if (!shim_tracked(fd))
		return false;
	c = atomic_load_explicit(&fd_table.conn[fd], memory_order_acquire);
	return c && !__atomic_load_n(&c->h2, __ATOMIC_RELAXED) &&
	       __atomic_load_n(&c->alter.sent, __ATOMIC_RELAXED);
}

static ssize_t send_rest(const struct shim_write *w)
{
	const struct iovec *v = &w->iov[0];
	ssize_t n;

	/* The program's own call raises SIGPIPE, once. Behind a filter only what the program has
	 * done itself is safe: it has written. */
	if (process_may_call())
		n = raw_send(w->fd, v->iov_base, v->iov_len, w->flags | MSG_NOSIGNAL);
	else
		n = raw_write(w->fd, v->iov_base, v->iov_len);
	if (n >= 0)
		return n;
	host_errno_set((int)-n);
	return -1;
}

bool shim_before_unseen(int fd, int flags)
{
	int before, error;
	struct shim_write w;
	ssize_t n;

	if (!head_is_halved(fd))
		return true;
	before = host_errno();
	shim_write_begin(&w, fd, NULL, 0, flags & MSG_DONTWAIT, SHIM_CALL_WRITEV);
	do
		n = w.own ? send_rest(&w) : 0;
	while (shim_write_again(&w, &n));
	error = n < 0 ? host_errno() : EAGAIN;
	if (w.moved < w.own && (error == EAGAIN || error == EINTR)) {
		host_errno_set(error);
		return false;
	}
	host_errno_set(before);
	return true;
}

/* The rest of a prepared head is among the n bytes: how many are behind it. The bytes are the
 * program's, so they are what the head was prepared from; a header that had not begun stays out. */
static size_t behind_head(struct conn *c, int fd, size_t n)
{
	struct alteration *a = &c->alter;
	size_t head = a->head;

	if (a->sent < a->before + a->added)
		a->added = 0;
	if (n < head) { /* a head in three pieces: not worth following */
		alteration_drop(c);
		return n;
	}
	inject_head_left(c, fd);
	return n - head;
}

void shim_on_sent_unseen(int fd, ssize_t n)
{
	struct conn *c = n > 0 && shim_tracked(fd) ? conn_acquire(fd) : NULL;
	size_t left = (size_t)n;

	if (!c)
		return;
	if (c->alter.head && !c->h2 && !atomic_load_explicit(&c->writing, memory_order_relaxed))
		left = behind_head(c, fd, left);
	stream_skipped(c, fd, true, left);
	inject_note_body(c);
	conn_release(c);
}
