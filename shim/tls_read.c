/* SPDX-License-Identifier: Apache-2.0 */
/* Reading above encryption. A read brings a record's plaintext at most. Where room was reserved for
 * a header, what it kept back is what the library has decrypted already (SSL_pending): a second
 * call fetches that and goes to no socket, so the library is left as one read would have left it.
 */
#include "base/host_errno.h"
#include "base/thread.h"
#include "shim/inject.h"
#include "shim/tls.h"

#define SSL_RECEIVED_SHUTDOWN 2
#define BIO_SHOULD_RETRY      8

/* Why a read brought nothing, as a socket would say it: 0 the end, -1 an error in errno, 1 it is to
 * be tried again. As SSL_get_error() finds out, but for the queue of errors, which may allocate. */
static ssize_t outcome(const struct shim_tls_library *l, const void *ssl)
{
	int want = l->want(ssl);
	const void *bio;

	if (l->get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN)
		return 0;
	if (want == TLS_WANT_NOTHING) {
		host_errno_set(EPROTO);
		return -1;
	}
	if (want != TLS_WANT_READING)
		return 1;
	bio = l->get_rbio(ssl);
	if (!bio || l->test_flags(bio, BIO_SHOULD_RETRY))
		return 1;
	return host_errno() ? -1 : 0;
}

static ssize_t told_outcome(enum shim_tls_why why)
{
	if (why != SHIM_TLS_BROKEN)
		return why == SHIM_TLS_RETRY;
	if (!inject_is_fatal(host_errno()))
		host_errno_set(EPROTO);
	return -1;
}

static void nothing_read(const struct shim_tls_library *l, const void *ssl, struct shim_read *r,
			 int result)
{
	int saved = host_errno();
	ssize_t n = l->why ? told_outcome(l->why(result)) : outcome(l, ssl);

	if (n <= 0)
		shim_read_end(r, n, 0);
	host_errno_set(saved);
}

/* All that was asked for has come: what one read would have brought with it. */
static size_t rest_of_record(const struct shim_tls_library *l, void *ssl, const struct shim_read *r,
			     size_t told)
{
	const struct iovec *all = r->program;
	struct iovec rest = { (char *)all->iov_base + told, all->iov_len - told };
	size_t n = 0;

	if (!rest.iov_len || l->pending(ssl) <= 0 ||
	    l->read(ssl, rest.iov_base, rest.iov_len, &n) <= 0)
		return 0;
	return shim_read_rest(r, rest, n);
}

int shim_tls_read(const struct shim_tls_library *l, void *ssl, void *buf, size_t len, size_t *got)
{
	struct tls_place *p = tls_place(l, ssl);
	struct iovec v = { buf, len };
	struct shim_read r;
	bool inside;
	int result;

	if (!p || !tls_followed(p))
		return l->read(ssl, buf, len, got);
	shim_read_begin(&r, tls_number(p), &v, 1, 0, SHIM_CALL_TLS_READ);
	thread_state.tls_read = tls_number(p);
	inside = tls_enter(l, p);
	result = l->read(ssl, buf, r.iov->iov_len, got);
	tls_leave(l, p, inside);
	if (!p->searched)
		tls_learn_below(l, p);
	if (result > 0) {
		bool full = r.reserved && *got == r.iov->iov_len;

		*got = (size_t)shim_read_end(&r, (ssize_t)*got, 0);
		if (full)
			*got += rest_of_record(l, ssl, &r, *got);
	} else {
		nothing_read(l, ssl, &r, result);
	}
	return result;
}
