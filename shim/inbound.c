/* SPDX-License-Identifier: Apache-2.0 */
/* Reading. An existing traceparent (or what carries context in its place: carrier.h) is overwritten
 * where it lies whole in the caller's buffer.
 * A header is put in only for programs that pass headers on; room for it is made by reserve and
 * refill: while a head is awaited the kernel is asked for 72 bytes less than the program wants; if
 * that came back full, the rest is topped up at once, so that "not full" still means "drained" to
 * an edge-triggered program. Of a TLS library the rest is read by whoever called it. */
#include "shim/inbound.h"

#include "base/config.h"
#include "base/counters.h"
#include "base/host_errno.h"
#include "base/raw.h"
#include "base/readable.h"
#include "exporter/exporter.h"
#include "shim/carrier.h"
#include "shim/limits.h"
#include "shim/link.h"
#include "shim/process_state.h"

#define H2_RESERVED_MAX 128 /* headers for which room is kept */

/* What is put in the program may pass on to any host. */
static bool every_host_may_have_it(void)
{
	return config.propagate_to[0] == '*' && !config.propagate_to[1];
}

bool inbound_inserts(void)
{
	return (config.inbound_header == INBOUND_ON ||
		(config.inbound_header == INBOUND_AUTO && process_flag(forwards))) &&
	       every_host_may_have_it();
}

static bool overwrite(struct exchange *e, const struct http1_head *head, struct bytes whole,
		      const struct inbound_place *place)
{
	const struct carrier_text text = { head, whole, place->piece->p, place->offset };
	struct span_context own;

	if (carrier_is_traceparent() && !e->traceparent)
		return false;
	shared_context_get(&own, &e->context);
	return carrier_overwrite(&text, NULL, &own, e->parent_id);
}

static size_t insert(struct exchange *e, const struct http1_head *head,
		     const struct inbound_place *place)
{
	struct piece *piece = place->piece;
	ssize_t at = place->offset + (ssize_t)head->blank;
	char room[INBOUND_HEADER_LEN];
	struct text line = TEXT_ON(room);
	struct span_context own;
	char *p;

	shared_context_get(&own, &e->context);
	carrier_put_line(&line, &own, e->debug, head->bare_lf ? BYTES("\n") : BYTES("\r\n"));
	if (at < 0 || piece->room < line.n || !limits_allow(head, text_bytes(&line)))
		return 0;
	/* The kernel has not been there yet, and a program may promise more than it has. */
	if (!memory_writable(piece->p + piece->n, line.n))
		return 0;
	p = piece->p + at;
	memmove(p + line.n, p, piece->n - (size_t)at);
	memcpy(p, line.p, line.n);
	piece->n += line.n;
	piece->room -= line.n;
	return line.n;
}

/* A tunnel is asked for; an extended CONNECT of HTTP/2 has a path. */
static bool is_tunnel(const struct exchange *e)
{
	return bytes_equal(e->method, BYTES("CONNECT")) && (!e->target.n || e->target.p[0] != '/');
}

enum inbound_way inbound_way(const struct exchange *e, const struct http1_head *head)
{
	if (e->excluded || config.inbound_header == INBOUND_OFF || !carrier_any())
		return INBOUND_LEAVE;
	if (carrier_in(head))
		return e->sampled ? INBOUND_OVERWRITE : INBOUND_LEAVE;
	return inbound_inserts() && !is_tunnel(e) ? INBOUND_INSERT : INBOUND_LEAVE;
}

void inbound_note(struct exchange *e)
{
	atomic_store_explicit(&e->rewritten, true, memory_order_relaxed);
	count(headers_inbound);
}

size_t inbound_rewrite(struct exchange *e, const struct http1_head *head, struct bytes whole,
		       const struct inbound_place *place)
{
	size_t added = 0;
	bool done = false;

	switch (inbound_way(e, head)) {
	case INBOUND_OVERWRITE:
		done = overwrite(e, head, whole, place);
		break;
	case INBOUND_INSERT:
		added = insert(e, head, place);
		done = added;
		break;
	case INBOUND_LEAVE:
		break;
	}
	if (done)
		inbound_note(e);
	return added;
}

/* ---- the call ---- */

static bool may_reserve(const struct conn *c, const struct shim_read *r)
{
	/* Behind the rest of a frame of HTTP/2 comes another. */
	bool in_body = c->in.in_body && (!c->h2 || c->in.body.remaining > r->iov[0].iov_len);

	if (!inbound_inserts() || !c->inbound || in_body || !process_may_call() ||
	    (c->tls && r->call != SHIM_CALL_TLS_READ) ||
	    (c->role != CONN_NEW && c->role != CONN_SERVER))
		return false;
	if (r->iov[0].iov_len < 4 * INBOUND_HEADER_LEN ||
	    r->flags & (MSG_PEEK | MSG_WAITALL | MSG_TRUNC | MSG_OOB | MSG_ERRQUEUE))
		return false;
	return r->call != SHIM_CALL_RECVMMSG && r->call != SHIM_CALL_RECVMSG;
}

/* HTTP/2 may bring many requests at once, the first read of all too. */
static uint16_t reserve_for(const struct conn *c, size_t room)
{
	size_t n = c->h2 || c->role == CONN_NEW ? room / 4 / INBOUND_HEADER_LEN : 1;

	return (uint16_t)((n < H2_RESERVED_MAX ? n : H2_RESERVED_MAX) * INBOUND_HEADER_LEN);
}

void shim_read_begin(struct shim_read *r, int fd, const struct iovec *iov, int count, int flags,
		     enum shim_call call)
{
	struct conn *c;

	*r = (struct shim_read){ .iov = (struct iovec *)(uintptr_t)iov,
				 .iovcnt = count,
				 .flags = flags,
				 .fd = fd,
				 .call = (uint8_t)call,
				 .program = (struct iovec *)(uintptr_t)iov,
				 .program_count = count };
	c = conn_glance(fd, &r->generation);
	if (!inbound_inserts() || (c && passing_may(&c->in.passing, r->generation, 0))) {
		r->conn = c;
		return;
	}
	c = conn_acquire(fd);
	if (!c)
		return;
	r->conn = c;
	r->generation = atomic_load_explicit(&c->generation, memory_order_relaxed);
	if (c->role != CONN_OPAQUE && count == 1 && memory_readable(iov, sizeof(*iov)) &&
	    may_reserve(c, r)) {
		r->one = iov[0];
		r->reserved = reserve_for(c, iov[0].iov_len);
		r->one.iov_len -= r->reserved;
		r->iov = &r->one;
	}
	conn_release(c);
}

static size_t asked_for(const struct iovec *iov, int count)
{
	size_t n = 0;

	for (int i = 0; i < count; i++)
		n += iov[i].iov_len;
	return n;
}

/* Returns how many bytes were put in. *first is left behind what the first part holds. */
static size_t feed(struct conn *c, const struct shim_read *r, struct piece *first, size_t n)
{
	/* With MSG_WAITALL a count is an answer to the program's question. One that counts down
	 * what waits would take our bytes for the last of them, unless these are the last. */
	bool drained = n < asked_for(r->iov, r->iovcnt);
	bool may_add = !(r->flags & MSG_WAITALL) && (!c->counted || drained);
	bool dontwait = r->flags & MSG_DONTWAIT;
	size_t grown = 0;

	*first = (struct piece){ NULL, 0, 0, dontwait };
	for (int i = 0; i < r->program_count && n; i++) {
		struct iovec *v = &r->program[i];
		size_t part = n < v->iov_len ? n : v->iov_len, room = v->iov_len - part;
		struct piece piece = { v->iov_base, part, may_add ? room : 0, dontwait };

		stream_received(c, r->fd, &piece);
		grown += piece.n - part;
		piece.room = room - (piece.n - part);
		if (i == 0)
			*first = piece;
		n -= part;
	}
	return grown;
}

/* The kernel gave all that it was asked for: more may be there, and the program's buffer has room.
 * The same system call again, without blocking. An error that waits is left to the program: the
 * kernel tells it once. */
static ssize_t top_up(const struct shim_read *r, const struct piece *piece)
{
	struct pollfd waiting = { .fd = r->fd, .events = POLLIN };
	struct iovec rest = { piece->p + piece->n, piece->room };

	if (raw_poll(&waiting, 1, 0) <= 0 || (waiting.revents & (POLLIN | POLLERR)) != POLLIN)
		return 0;
	if (r->call == SHIM_CALL_RECV)
		return raw_recvfrom(r->fd, rest.iov_base, rest.iov_len, r->flags | MSG_DONTWAIT,
				    NULL, NULL);
	if (!(raw_fcntl(r->fd, F_GETFL, 0) & O_NONBLOCK))
		return 0; /* a blocking read() that is not full tells the program nothing */
	if (r->call == SHIM_CALL_READV)
		return raw_readv(r->fd, &rest, 1);
	return raw_read(r->fd, rest.iov_base, rest.iov_len);
}

static ssize_t received(struct conn *c, const struct shim_read *r, size_t n)
{
	struct piece first, rest;
	ssize_t total, more = 0;

	total = (ssize_t)(n + feed(c, r, &first, n));
	if (r->reserved && n == r->one.iov_len && first.room && !c->tls)
		more = top_up(r, &first);
	if (more > 0) {
		rest = (struct piece){ first.p + first.n, (size_t)more, first.room - (size_t)more,
				       first.dontwait };
		stream_received(c, r->fd, &rest);
		total += (ssize_t)rest.n;
	}
	if (n < asked_for(r->iov, r->iovcnt) || (size_t)total > c->counted)
		c->counted = 0;
	else
		c->counted -= (size_t)total;
	return total;
}

static bool speaks_http(const struct conn *c)
{
	return c->role == CONN_SERVER || c->role == CONN_CLIENT;
}

ssize_t shim_read_end(struct shim_read *r, ssize_t n, int msg_flags)
{
	struct conn *c;
	bool followed;
	int error;

	if (!r->conn || r->flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE) ||
	    msg_flags & (MSG_OOB | MSG_ERRQUEUE))
		return n;
	if (n > 0 && !process_is_vm_child() &&
	    passing_count(&r->conn->in.passing, r->generation, (size_t)n))
		return n;
	error = n < 0 ? host_errno() : 0;
	if (error == EAGAIN || error == EINTR || error == EFAULT || error == EINVAL)
		return n;
	c = conn_reacquire(r->conn, r->fd, r->generation);
	if (!c)
		return n;
	followed = speaks_http(c);
	if (c->role == CONN_OPAQUE)
		;
	else if (n > 0 && r->flags & MSG_TRUNC) /* TCP threw the bytes away */
		stream_skipped(c, r->fd, false, (uint64_t)n);
	else if (n > 0)
		n = received(c, r, (size_t)n);
	else if (n < 0 || asked_for(r->program, r->program_count))
		stream_ended(c, error);
	followed |= speaks_http(c);
	conn_release(c);
	if (followed) /* calls into libc: not under the lock */
		exporter_start();
	return n;
}

size_t shim_read_rest(const struct shim_read *r, struct iovec rest, size_t n)
{
	struct piece piece = { rest.iov_base, n, rest.iov_len - n, false };
	struct conn *c = conn_reacquire(r->conn, r->fd, r->generation);

	if (!c)
		return n;
	if (c->role != CONN_OPAQUE)
		stream_received(c, r->fd, &piece);
	conn_release(c);
	return piece.n;
}

void shim_on_counted(int fd, int n)
{
	struct conn *c = shim_tracked(fd) ? conn_acquire(fd) : NULL;

	if (!c)
		return;
	c->counted = n > 0 ? (size_t)n : 0;
	conn_release(c);
}

void shim_on_received_unseen(int fd, ssize_t n)
{
	struct conn *c = n > 0 && shim_tracked(fd) ? conn_acquire(fd) : NULL;

	if (!c)
		return;
	stream_skipped(c, fd, false, (uint64_t)n);
	conn_release(c);
}
