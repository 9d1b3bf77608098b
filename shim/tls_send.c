/* SPDX-License-Identifier: Apache-2.0 */
/* GnuTLS's contract of writing above that of tls_write.c. A write takes one record's worth at most,
 * and says how much. One that was not finished is repeated with the same bytes or with none
 * (NULL, 0): the library holds a record already, and looks at neither. Here more than that record
 * may be unfinished, so the bytes are copied when a write ends unfinished, and it is the copy that
 * is repeated, whatever the program passes. */
#include "shim/block.h"
#include "shim/inject.h"
#include "shim/stream.h"
#include "shim/tls.h"

#define RECORD_MAX 16384 /* RFC 8446 section 5.1 */

static bool waits(const struct tls_place *p)
{
	return p->again || p->kept || p->done;
}

/* What the shim has been told of, and a record behind it. No memory: what is unfinished stays so,
 * and the rest is followed no more. */
static void copy_begun(struct tls_place *p, const char *buf, size_t len)
{
	size_t n = p->done + RECORD_MAX, size;

	if (n > BLOCK_LARGE)
		n = BLOCK_LARGE;
	if (n > len)
		n = len;
	p->copy = buf && n >= p->done ? block_get(n, &size) : NULL;
	if (!p->copy) {
		tls_leave_alone(p);
		return;
	}
	memcpy(p->copy, buf, n);
	p->copy_n = n;
}

static void copy_drop(struct tls_place *p)
{
	block_put(p->copy);
	p->copy = NULL;
}

/* What a call adds to what the program believes to be corked. */
static void note_corked(struct tls_place *p, size_t handed, size_t told)
{
	handed = p->handed - handed;
	if (p->corked && handed > told)
		p->cork_added += handed - told;
}

/* What the program does not pass again has not been copied (no memory, or begun before the library
 * was found): it is told less, and the shim does not learn what has left. */
static int finish_uncopied(const struct shim_tls_library *l, void *ssl, struct tls_place *p,
			   size_t *written)
{
	int result;

	if (p->kept)
		return shim_tls_write(l, ssl, p->kept, p->done, written);
	tls_leave_alone(p);
	result = l->write(ssl, NULL, 0, written);
	if (result > 0) {
		*written += p->done;
		p->done = 0;
		p->again = false;
	}
	return result;
}

ssize_t shim_tls_send(const struct shim_tls_library *l, void *ssl, const void *buf, size_t len)
{
	struct tls_place *p = tls_place(l, ssl);
	size_t written = 0, handed = p ? p->handed : 0;
	int result;

	if (p && p->copy) {
		buf = p->copy;
		len = p->copy_n;
	}
	if (p && !len && waits(p))
		result = finish_uncopied(l, ssl, p, &written);
	else
		result = shim_tls_write(l, ssl, buf, len, &written);
	if (!p)
		return result > 0 ? (ssize_t)written : result;
	if (result > 0) {
		copy_drop(p);
		note_corked(p, handed, written);
		return (ssize_t)written;
	}
	if (l->why(result) == SHIM_TLS_RETRY && waits(p) && !p->copy)
		copy_begun(p, buf, len);
	return result;
}

int shim_tls_flush(const struct shim_tls_library *l, void *ssl)
{
	struct tls_place *p = tls_place_known(ssl);
	ssize_t n = p && p->kept ? shim_tls_send(l, ssl, NULL, 0) : 0;

	return n < 0 ? (int)n : 0;
}

void shim_tls_corked(const struct shim_tls_library *l, void *ssl)
{
	struct tls_place *p = tls_place(l, ssl);

	if (p)
		p->corked = true;
}

size_t shim_tls_held(const void *ssl, size_t n)
{
	const struct tls_place *p = tls_place_known(ssl);

	if (!p || !p->cork_added)
		return n;
	return n > p->cork_added ? n - p->cork_added : 0;
}

int shim_tls_uncorked(const void *ssl, int n)
{
	struct tls_place *p = tls_place_known(ssl);

	if (!p || n < 0)
		return n;
	n = (int)shim_tls_held(ssl, (size_t)n);
	p->corked = false;
	p->cork_added = 0;
	return n;
}

void shim_tls_unseen(const struct shim_tls_library *l, void *ssl, ssize_t n)
{
	const struct tls_place *p = tls_place(l, ssl);
	struct conn *c;

	if (p && n < 0)
		tls_leave_alone(p);
	c = p && n > 0 ? conn_acquire(tls_number(p)) : NULL;
	if (!c)
		return;
	stream_skipped(c, tls_number(p), true, (uint64_t)n);
	inject_note_body(c);
	conn_release(c);
}

void shim_tls_leave(const struct shim_tls_library *l, void *ssl)
{
	shim_tls_unseen(l, ssl, -1);
}

void shim_tls_open(const struct shim_tls_library *l, void *ssl)
{
	bool known = tls_place_known(ssl) != NULL;
	struct tls_place *p = tls_place(l, ssl);

	if (p && !known)
		p->again = false; /* nothing has been written */
}
