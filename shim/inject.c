/* SPDX-License-Identifier: Apache-2.0 */
/* Writing into other people's bytes, as a transaction. Before the real call the head is looked at;
 * if it is whole (with what earlier calls sent of it) an image of its unsent part is made, with our
 * header lines behind its last line or our id in place of the one the program passes on. The real
 * call gets the image and the program's own bytes from the blank line on; what it reports is
 * translated back, so that only the program's bytes count:
 *
 *	[ before: the program's | added: ours ][ blank line, body: the program's ]
 *
 * The header goes in front of the blank line: every header has been seen by then, and a byte of the
 * program's is still unsent behind it, so a kernel-short write is reported as it is and the rest of
 * ours leaves with the retry. A short count the kernel did not make is never reported. */
#include "shim/inject.h"

#include "base/counters.h"
#include "base/host_errno.h"
#include "base/raw.h"
#include "base/readable.h"
#include "base/thread.h"
#include "shim/block.h"
#include "shim/flow.h"
#include "shim/h2.h"
#include "shim/link.h"
#include "shim/process_state.h"
#include "shim/stream.h"
#include "shim/vector.h"

#define FIRST_LOOK  4096 /* bytes: most heads are shorter */
#define STATUS_LOOK 32   /* a status line as far as its code */

/* A call that ends in the CR of an empty line ends in the blank line: nothing else is legal there.
 * The line feed that comes with the next call is supplied, so that the header can go in now. */
static void scan_cut_blank_line(struct conn *c, struct shim_write *w)
{
	struct direction *d = &c->out;
	size_t n = d->carried + w->program_bytes, size;
	struct http1_head head;
	char *copy;

	if (n < 2 || n >= HTTP1_HEAD_MAX || !vector_readable(w, w->program_bytes) ||
	    vector_last(w) != '\r')
		return;
	copy = block_get(n + 1, &size);
	if (!copy)
		return;
	if (d->carried)
		memcpy(copy, d->carry, d->carried);
	vector_copy(w, copy + d->carried, w->program_bytes);
	copy[n] = '\n';
	if (copy[n - 2] == '\n' && http1_parse_request(&head, (struct bytes){ copy, n + 1 },
						       d->carried) == (ssize_t)(n + 1))
		inject_prepare(c, w, &head, (struct bytes){ copy, n + 1 }, w->program_bytes + 1);
	block_put(copy);
}

/* The first bytes of the call in one piece: those of the first part if the head ends there, else a
 * copy. */
static void scan(struct conn *c, struct shim_write *w)
{
	struct bytes first = vector_beginning(w, FIRST_LOOK), whole;
	struct http1_head head;
	char *copy = NULL;
	size_t size = 0;
	ssize_t n = 0;
	int decided = stream_decide_role(c, first, true);

	if (c->h2) {
		h2_write_begin(c, w);
		return;
	}
	if (decided > 0 && c->role == CONN_CLIENT)
		n = direction_head(&c->out, first, true, &head, &whole);
	if (n == 0 && decided >= 0 && first.n < w->program_bytes) {
		size = w->program_bytes < HTTP1_HEAD_MAX ? w->program_bytes : HTTP1_HEAD_MAX;
		if (!vector_readable(w, size))
			return;
		copy = block_get(size, &size);
		if (!copy)
			return;
		first = (struct bytes){ copy, vector_copy(w, copy, size) };
		if (stream_decide_role(c, first, true) > 0 && c->role == CONN_CLIENT && !c->h2)
			n = direction_head(&c->out, first, true, &head, &whole);
	}
	if (c->h2)
		h2_write_begin(c, w);
	else if (n > 0)
		inject_prepare(c, w, &head, whole, (size_t)n);
	else if (n == 0 && c->role == CONN_CLIENT)
		scan_cut_blank_line(c, w);
	block_put(copy);
}

/* The program begins to answer: that is so from now on, whatever happens to the connection before
 * the call returns (the client may have the answer, and the reader closed, by then). */
static void answer_begins(struct conn *c, const struct shim_write *w)
{
	struct exchange *e = conn_oldest(c);
	struct bytes first;

	if (!e || e->status_seen || e->status_coming || c->out.in_body || c->out.carried)
		return;
	first = vector_beginning(w, STATUS_LOOK);
	e->status_coming = http1_peek_status(first);
	flow_note_answer(c, e);
	if (e->status_coming && !atomic_load_explicit(&e->answered, memory_order_relaxed))
		link_on_answer(e);
}

static bool mark_writing(struct conn *c, struct shim_write *w)
{
	uint32_t none = 0;

	w->mark = atomic_fetch_add_explicit(&c->last_mark, 1, memory_order_relaxed) + 1;
	if (!w->mark) /* 0 means none, after 2^32 writes too */
		w->mark = 1;
	return atomic_compare_exchange_strong_explicit(&c->writing, &none, w->mark,
						       memory_order_relaxed, memory_order_relaxed);
}

/* A writer is still on its way back from the kernel while the client, which has had the whole
 * answer, has asked again, and another thread answers that. The order is known: the answer is
 * settled here, and the late writer finds its mark gone. */
static bool overtake(struct conn *c, struct shim_write *w)
{
	struct exchange *e = conn_oldest(c);

	if (c->role != CONN_SERVER || c->queued < 2 ||
	    !atomic_load_explicit(&e->answered, memory_order_relaxed) ||
	    !(e->status_seen || e->status_coming))
		return false;
	stream_answer_over(c);
	atomic_store_explicit(&c->writing, w->mark, memory_order_relaxed);
	return true;
}

void shim_write_begin(struct shim_write *w, int fd, const struct iovec *iov, int count, int flags,
		      enum shim_call call)
{
	struct conn *c;

	*w = (struct shim_write){ .iov = (struct iovec *)(uintptr_t)iov,
				  .iovcnt = count,
				  .flags = flags,
				  .fd = fd,
				  .call = (uint8_t)call,
				  .program = iov,
				  .program_count = count };
	if (!vector_is_single(w) && !memory_readable(iov, (size_t)count * sizeof(*iov)))
		return; /* the kernel's to say */
	for (int i = 0; i < count; i++)
		w->program_bytes += iov[i].iov_len;
	w->offered = w->program_bytes;
	c = conn_glance(fd, &w->generation);
	if (c && passing_may(&c->out.passing, w->generation, w->program_bytes) &&
	    !(flags & (MSG_OOB | MSG_ZEROCOPY)) && !process_is_vm_child()) {
		w->conn = c;
		w->passes = true;
		return;
	}
	/* A body goes on: there is nothing to look for, only the mark to set. */
	if (c && atomic_load_explicit(&c->body_out, memory_order_acquire) &&
	    !(flags & (MSG_OOB | MSG_ZEROCOPY)) && !thread_state.vfork_child &&
	    !process_is_vm_child() && mark_writing(c, w)) {
		w->conn = c;
		return;
	}
	c = conn_acquire(fd);
	if (!c)
		return;
	if (c->role == CONN_OPAQUE && !c->alter.sent)
		goto release;
	w->conn = c;
	w->generation = atomic_load_explicit(&c->generation, memory_order_relaxed);
	if (flags & (MSG_OOB | MSG_ZEROCOPY)) {
		count(opaque_switched);
		conn_give_up(c, fd);
		w->conn = NULL;
		goto release;
	}
	if (!mark_writing(c, w) && !overtake(c, w)) {
		/* Two writers at once, or one that never came back: nobody knows the order. */
		count(opaque_concurrent);
		conn_give_up(c, fd);
		w->conn = NULL;
		goto release;
	}
	if (call == SHIM_CALL_TLS_AGAIN) {
		w->h2 = c->h2;
	} else if (c->h2) {
		h2_write_begin(c, w);
	} else if (c->alter.sent) {
		w->prepared = true;
		vector_offer(w, &c->alter);
	} else if (c->role == CONN_SERVER) {
		answer_begins(c, w);
	} else if (!c->out.in_body && c->role != CONN_OPAQUE && w->program_bytes) {
		scan(c, w);
	}
release:
	conn_release(c);
}

/* ---- after the call ---- */

void inject_note_body(struct conn *c)
{
	/* Behind the rest of a frame of HTTP/2 comes another. */
	atomic_store_explicit(&c->body_out, c->out.in_body && c->role != CONN_OPAQUE && !c->h2,
			      memory_order_release);
}

/* The program's bytes among those of the altered stream that have left. */
static size_t reported(const struct shim_write *w)
{
	if (w->moved <= w->own_at)
		return w->moved;
	return w->moved <= w->own_at + w->own ? w->own_at : w->moved - w->own;
}

void inject_sent(struct conn *c, const struct shim_write *w, size_t from, size_t to)
{
	size_t at = 0;

	for (int i = 0; i < w->program_count && at < to; i++) {
		size_t n = w->program[i].iov_len, start = from > at ? from - at : 0;
		size_t end = to - at < n ? to - at : n;

		if (start < end)
			stream_sent(c, w->fd,
				    (struct bytes){ (char *)w->program[i].iov_base + start,
						    end - start });
		at += n;
	}
}

/* The alteration is done with, or nothing came of it; what is left of the call is as ever. */
static void drop(struct conn *c, int fd)
{
	alteration_drop(c);
	if (c->role == CONN_OPAQUE)
		conn_forget(c, fd);
}

void inject_head_left(struct conn *c, int fd)
{
	struct alteration a = c->alter;

	if (a.image && a.added)
		count(headers_injected);
	else if (a.image)
		count(headers_rewritten);
	if (c->role != CONN_OPAQUE) {
		c->alter.exchange = NULL;
		direction_reset(&c->out);
		stream_request_sent(c, a.exchange, &a.body);
	}
	drop(c, fd);
}

/* Some of the head has left, and it was answered by a switch to HTTP/2: nobody can follow that. */
static void give_up_switched(struct conn *c, int fd)
{
	count(opaque_framing);
	conn_give_up(c, fd);
	h2_close(c);
}

/* What left counts: the exchange begins once its head has left whole. */
static void settle(struct conn *c, struct shim_write *w, size_t taken)
{
	struct alteration *a = &c->alter;

	if (atomic_load_explicit(&c->writing, memory_order_relaxed) != w->mark)
		return; /* overtaken: the answer this was part of has been settled */
	atomic_store_explicit(&c->writing, 0, memory_order_relaxed);
	if (!w->prepared) {
		inject_sent(c, w, 0, taken);
		return;
	}
	if (taken >= a->head) {
		size_t head = a->head;

		inject_head_left(c, w->fd);
		inject_sent(c, w, head, taken);
	} else if (a->image && w->moved) {
		a->sent += w->moved;
		a->head -= taken;
		if (c->h2)
			give_up_switched(c, w->fd);
	} else if (!a->sent) {
		/* Nothing of ours has left: the retry is looked at anew. */
		drop(c, w->fd);
		inject_sent(c, w, 0, taken);
	}
}

bool inject_is_blocking(const struct shim_write *w)
{
	if (w->flags & MSG_DONTWAIT)
		return false;
	if (w->conn->tls) /* the library says itself when it would wait */
		return true;
	/* If it may not be asked, going on is right as well: the kernel answers EAGAIN. */
	return !process_may_call() || !(raw_fcntl(w->fd, F_GETFL, 0) & O_NONBLOCK);
}

bool inject_is_fatal(int error)
{
	return error == EPIPE || error == ECONNRESET || error == ETIMEDOUT ||
	       error == ECONNABORTED || error == EHOSTUNREACH || error == ENETUNREACH;
}

/* Whether the program's call is not over yet: only our bytes have left on a blocking socket, or
 * the program's own rest did not fit behind the image. */
static bool goes_on(struct shim_write *w, ssize_t n)
{
	if (n <= 0 || !w->prepared || w->moved >= w->program_bytes + w->own ||
	    conn_taken_over(w->conn, w->fd, w->generation))
		return false;
	if (w->moved < w->offered)
		return reported(w) == 0 && inject_is_blocking(w) && vector_advance(w, (size_t)n);
	return vector_offer_rest(w, reported(w));
}

/* After a call that only bytes of a body were given to. */
static void passed(struct shim_write *w, ssize_t n)
{
	int error = n < 0 ? host_errno() : 0;
	struct conn *c;

	if (n == 0 || (n < 0 && !inject_is_fatal(error)) ||
	    (n > 0 && passing_count(&w->conn->out.passing, w->generation, (size_t)n)))
		return;
	c = conn_reacquire(w->conn, w->fd, w->generation);
	if (!c)
		return;
	if (n > 0)
		inject_sent(c, w, 0, (size_t)n);
	else
		stream_write_failed(c, error);
	inject_note_body(c);
	conn_release(c);
}

static bool write_again(struct shim_write *w, ssize_t *n)
{
	int error = *n < 0 ? host_errno() : 0;
	struct conn *c;
	size_t taken;

	if (w->passes) {
		passed(w, *n);
		return false;
	}
	if (w->h2)
		return h2_write_again(w, n);
	if (*n > 0)
		w->moved += (size_t)*n;
	if (goes_on(w, *n))
		return true;
	taken = reported(w);
	c = conn_reacquire(w->conn, w->fd, w->generation);
	if (c) {
		settle(c, w, taken);
		inject_note_body(c);
		if (inject_is_fatal(error))
			stream_write_failed(c, error);
		conn_release(c);
	} else {
		vector_abandon(w);
	}
	if (taken || *n == 0 || (*n > 0 && !w->program_bytes)) {
		*n = (ssize_t)taken;
	} else if (*n > 0) {
		/* Only bytes of ours have left: to the program nothing has. */
		host_errno_set(conn_taken_over(w->conn, w->fd, w->generation) ? EBADF : EAGAIN);
		*n = -1;
	}
	return false;
}

bool shim_write_again(struct shim_write *w, ssize_t *n)
{
	if (!w->conn)
		return false;
	if (write_again(w, n))
		return true;
	if (*n > 0)
		flow_queue_sent(w->conn, (size_t)*n);
	return false;
}
