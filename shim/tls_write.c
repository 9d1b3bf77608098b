/* SPDX-License-Identifier: Apache-2.0 */
/* Writing above encryption. To the rest of the shim an object is a socket that takes what it is
 * given in pieces; here that is made of the library's contract: a write that has not been finished
 * is repeated with the same bytes at the same address, and reports all or (in its partial mode)
 * what the last call of the library has taken.
 *
 * An altered beginning is handed over from a block of ours. If the library has made a record of it
 * and could not send that, it counts as sent from here on; the program is told what the library
 * says, and the block waits for the program's next call. Success is told only if the library's last
 * call has succeeded, so the library never holds bytes that the program believes sent. */
#include "base/counters.h"
#include "base/host_errno.h"
#include "shim/block.h"
#include "shim/inject.h"
#include "shim/tls.h"

/* One write of the program's. */
struct tls_write {
	const struct shim_tls_library *l;
	void *ssl;
	struct tls_place *p;
	const char *buf;
	size_t len;
	int result; /* of the library's last call, and errno after it */
	int error;
	bool as_it_is;
};

/* Bytes of the shim's on their way into the library. */
struct tls_block {
	char *p;
	uint32_t n, at;
};

static size_t call(struct tls_write *t, const void *buf, size_t n)
{
	size_t written = 0;
	bool inside = tls_enter(t->l, t->p);

	t->result = t->l->write(t->ssl, buf, n, &written);
	tls_leave(t->l, t->p, inside);
	t->error = host_errno();
	if (t->result <= 0)
		return 0;
	t->p->handed += written;
	return written;
}

/* The library has a record of the bytes it was given, and waits for the socket. (GnuTLS may not
 * have made it yet: it is given the same bytes again in either case.) */
static bool holds(const struct tls_write *t)
{
	if (t->l->why)
		return t->result < 0 && t->l->why(t->result) == SHIM_TLS_RETRY;
	return t->l->want(t->ssl) == TLS_WANT_WRITING && !t->l->in_init(t->ssl) &&
	       !inject_is_fatal(t->error);
}

/* Whether all of the block has been taken. */
static bool send_block(struct tls_write *t, struct tls_block *b)
{
	do
		b->at += (uint32_t)call(t, b->p + b->at, b->n - b->at);
	while (t->result > 0 && b->at < b->n);
	return t->result > 0;
}

/* Tells the shim what a socket would say: it is full, or broken. */
static ssize_t refused(const struct tls_write *t)
{
	int error = inject_is_fatal(t->error) ? t->error : EAGAIN;

	if (t->l->why && (t->result >= 0 || holds(t)))
		error = EAGAIN; /* errno is of another call */
	else if (t->l->why && error == EAGAIN)
		error = ECONNRESET;
	host_errno_set(error);
	return -1;
}

/* Bytes of ours, or some of the program's with ours among them. */
static ssize_t write_altered(struct tls_write *t, const struct iovec *v)
{
	struct tls_block b = { .n = (uint32_t)v->iov_len };
	size_t size;

	b.p = block_get(v->iov_len, &size);
	t->result = 0;
	if (!b.p) {
		count(inject_skipped_memory);
		t->as_it_is = true;
		return refused(t);
	}
	memcpy(b.p, v->iov_base, v->iov_len);
	if (!send_block(t, &b) && (b.at || holds(t))) {
		/* The rest comes with the program's next call. */
		t->p->kept = b.p;
		t->p->kept_n = b.n;
		t->p->kept_at = b.at;
		return (ssize_t)v->iov_len;
	}
	block_put(b.p);
	return t->result > 0 ? (ssize_t)v->iov_len : refused(t);
}

static ssize_t write_own(struct tls_write *t, const struct iovec *v)
{
	size_t n = call(t, v->iov_base, v->iov_len);

	if (t->result > 0)
		return (ssize_t)n;
	t->p->again = holds(t);
	return refused(t);
}

static bool is_programs(const struct tls_write *t, const struct iovec *v)
{
	return (uintptr_t)v->iov_base - (uintptr_t)t->buf < t->len;
}

/* The program's bytes from p->done on: those that leave, or are kept, count as done. */
static void write_rest(struct tls_write *t, enum shim_call how)
{
	struct iovec rest = { (char *)(uintptr_t)t->buf + t->p->done, t->len - t->p->done };
	struct shim_write w;
	bool more = true;
	ssize_t n = 0;

	t->as_it_is = false;
	shim_write_begin(&w, tls_number(t->p), &rest, 1, 0, how);
	while (more) {
		n = is_programs(t, w.iov) ? write_own(t, w.iov) : write_altered(t, w.iov);
		more = shim_write_again(&w, &n);
		if (more && t->result <= 0) {
			n = refused(t);
			more = shim_write_again(&w, &n);
		}
	}
	if (n > 0)
		t->p->done += (size_t)n;
}

/* RFC 8446 section 2.3: data that leaves before the server has answered may be rejected, and is
 * then sent again by a program that is told so elsewhere. No handshake is under way, and none is
 * over. */
static bool is_early(const struct tls_write *t)
{
	return !t->l->is_server(t->ssl) && !t->l->in_init(t->ssl) &&
	       !t->l->is_init_finished(t->ssl);
}

/* What the library holds of an earlier call; false: it still does. */
static bool finish_kept(struct tls_write *t)
{
	struct tls_place *p = t->p;
	struct tls_block b = { p->kept, p->kept_n, p->kept_at };
	bool all = send_block(t, &b);

	p->kept_at = b.at;
	if (!all)
		return false;
	block_put(p->kept);
	p->kept = NULL;
	return true;
}

static int write_followed(struct tls_write *t, size_t *written)
{
	struct tls_place *p = t->p;
	enum shim_call how = p->again ? SHIM_CALL_TLS_AGAIN : SHIM_CALL_WRITE;

	if (t->len < p->done) /* not what was begun: the library says what it thinks of that */
		return t->l->write(t->ssl, t->buf, t->len, written);
	p->again = false;
	if (p->kept && !finish_kept(t))
		return t->result;
	if (p->done < t->len)
		write_rest(t, how);
	if (t->as_it_is && p->done < t->len)
		write_rest(t, SHIM_CALL_TLS_AGAIN);
	if (t->result <= 0)
		return t->result;
	p->established = true;
	*written = p->done;
	p->done = 0;
	return t->result;
}

int shim_tls_write(const struct shim_tls_library *l, void *ssl, const void *buf, size_t len,
		   size_t *written)
{
	struct tls_write t = { .l = l, .ssl = ssl, .buf = buf, .len = len };
	int result;

	t.p = len ? tls_place(l, ssl) : NULL;
	if (t.p && !t.p->established && tls_followed(t.p) && is_early(&t))
		tls_leave_alone(t.p);
	if (!t.p || (!tls_followed(t.p) && !t.p->kept && !t.p->done))
		return l->write(ssl, buf, len, written);
	t.error = host_errno();
	result = write_followed(&t, written);
	host_errno_set(t.error);
	return result;
}
