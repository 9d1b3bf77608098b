/* SPDX-License-Identifier: Apache-2.0 */
/* GnuTLS. It has no tables of methods to stand in, and a name of ours would be found by who looks
 * for its names: so each object that calls it is led to us by its import slots. What is called
 * through a pointer that was looked up by name stays the library's.
 *
 * A session has its handshake in a call of its own, and is used for one connection only. */
#include "hooks/gnutls.h"

#include <stdatomic.h>
#include "base/hash.h"
#include "shim/shim.h"

#define ROLES 1024 /* sessions whose side is remembered; of the others it is asked */

/* gnutls/gnutls.h, since 3.4: */
#define SERVER                1 /* a flag of gnutls_init() */
#define TLS_1_0               2
#define INVALID_REQUEST       (-50)
#define PREMATURE_TERMINATION (-110)

#define KTLS                  (1ul << 3) /* SSL_OP_ENABLE_KTLS, as shim/tls.c knows it */

struct datum { /* gnutls_datum_t */
	unsigned char *data;
	unsigned size;
};

/* What was found of the library; NULL: it has none. The first ones are stood in front of. */
static struct {
	int (*init)(void **session, unsigned flags);
	void (*deinit)(void *session);
	int (*handshake)(void *session);
	ssize_t (*recv)(void *session, void *data, size_t n);
	ssize_t (*recv_seq)(void *session, void *data, size_t n, unsigned char *seq);
	ssize_t (*recv_packet)(void *session, void **packet);
	ssize_t (*recv_early)(void *session, void *data, size_t n);
	ssize_t (*send)(void *session, const void *data, size_t n);
	ssize_t (*send2)(void *session, const void *data, size_t n, size_t pad, unsigned flags);
	ssize_t (*send_range)(void *session, const void *data, size_t n, const void *range);
	ssize_t (*send_early)(void *session, const void *data, size_t n);
	ssize_t (*send_file)(void *session, int fd, off_t *offset, size_t n);
	void (*cork)(void *session);
	int (*uncork)(void *session, unsigned flags);
	size_t (*check_corked)(void *session);
	int (*bye)(void *session, int how);

	size_t (*check_pending)(void *session);
	int (*is_fatal)(int error);
	int (*version)(const void *session);
	const char *(*ciphersuite)(const void *session);
	void (*get_random)(const void *session, struct datum *client, struct datum *server);
	void *(*get_transport)(const void *session);
	int (*get_name)(void *session, void *data, size_t *n, unsigned *type, unsigned index);
	unsigned (*is_ktls)(const void *session);
} gnutls;

/* ---- what is asked of a session ---- */

static _Atomic uintptr_t roles[ROLES]; /* sessions; the lowest bit is set for a server */

static _Atomic uintptr_t *role_of(const void *session)
{
	return &roles[hash_mix(0, (uintptr_t)session) % ROLES];
}

/* A client has no name to get. */
static int is_server(const void *session)
{
	uintptr_t role = atomic_load_explicit(role_of(session), memory_order_relaxed);
	size_t n = 0;
	unsigned type;

	if ((role & ~(uintptr_t)1) == (uintptr_t)session)
		return (int)(role & 1);
	return gnutls.get_name((void *)(uintptr_t)session, NULL, &n, &type, 0) != INVALID_REQUEST;
}

static int pending(const void *session)
{
	return (int)gnutls.check_pending((void *)(uintptr_t)session);
}

static int no(const void *session)
{
	(void)session;
	return 0;
}

static int yes(const void *session)
{
	(void)session;
	return 1;
}

/* The argument of the program's own functions, or a descriptor for the library's. */
static int get_fd(const void *session)
{
	uintptr_t transport = (uintptr_t)gnutls.get_transport(session);

	if (!transport || transport >= fd_table.size || shim_tracked((int)transport))
		return -1;
	return (int)transport;
}

static const char *get_version(const void *session)
{
	static const char *const names[] = { "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3" };
	unsigned i = (unsigned)gnutls.version(session) - TLS_1_0;

	return i < sizeof(names) / sizeof(*names) ? names[i] : NULL;
}

static const void *get_cipher(const void *session)
{
	return gnutls.ciphersuite ? gnutls.ciphersuite(session) : NULL;
}

static const char *get_cipher_name(const void *cipher)
{
	return cipher;
}

/* Datagrams are left alone as well. */
static unsigned long get_options(const void *session)
{
	return (gnutls.is_ktls && gnutls.is_ktls(session)) || !get_version(session) ? KTLS : 0;
}

static size_t get_client_random(const void *session, unsigned char *to, size_t n)
{
	struct datum client = { NULL, 0 }, server;

	gnutls.get_random(session, &client, &server);
	if (!client.data || client.size < n)
		return 0;
	memcpy(to, client.data, n);
	return n;
}

static enum shim_tls_why why(int result)
{
	if (result == 0 || result == PREMATURE_TERMINATION)
		return SHIM_TLS_END;
	return gnutls.is_fatal(result) ? SHIM_TLS_BROKEN : SHIM_TLS_RETRY;
}

/* There is no more of it, but the connection goes on. */
static enum shim_tls_why why_early(int result)
{
	(void)result;
	return SHIM_TLS_RETRY;
}

/* ---- behind the shim ---- */

static int moved(ssize_t n, size_t *told)
{
	if (n <= 0)
		return (int)n;
	*told = (size_t)n;
	return 1;
}

static int behind_read(void *session, void *data, size_t n, size_t *got)
{
	return moved(gnutls.recv(session, data, n), got);
}

static int behind_read_early(void *session, void *data, size_t n, size_t *got)
{
	return moved(gnutls.recv_early(session, data, n), got);
}

static int behind_write(void *session, const void *data, size_t n, size_t *written)
{
	return moved(gnutls.send(session, data, n), written);
}

#define ASKED                                                                           \
	.write = behind_write, .get_fd = get_fd, .is_server = is_server, .in_init = no, \
	.is_init_finished = yes, .in_before = no, .get_options = get_options,           \
	.get_client_random = get_client_random, .get_version = get_version,             \
	.get_cipher = get_cipher, .get_cipher_name = get_cipher_name

static const struct shim_tls_library library = {
	.read = behind_read, .pending = pending, .why = why, ASKED
};
static const struct shim_tls_library early = {
	.read = behind_read_early, .pending = yes, .why = why_early, ASKED
};
#undef ASKED

/* ---- in front of the library ---- */

static int init(void **session, unsigned flags)
{
	int result = gnutls.init(session, flags);

	if (result < 0 || !*session)
		return result;
	atomic_store_explicit(role_of(*session), (uintptr_t)*session | (flags & SERVER),
			      memory_order_relaxed);
	shim_tls_end(*session, false);
	return result;
}

static void deinit(void *session)
{
	if (session)
		shim_tls_end(session, true);
	gnutls.deinit(session);
}

static int handshake(void *session)
{
	int result = gnutls.handshake(session);

	if (result == 0)
		shim_tls_open(&library, session);
	return result;
}

static ssize_t recv_by(const struct shim_tls_library *l, void *session, void *data, size_t n)
{
	size_t got = 0;
	int result = shim_tls_read(l, session, data, n, &got);

	return result > 0 ? (ssize_t)got : result;
}

static ssize_t record_recv(void *session, void *data, size_t n)
{
	return recv_by(&library, session, data, n);
}

static ssize_t recv_early(void *session, void *data, size_t n)
{
	return recv_by(&early, session, data, n);
}

static ssize_t recv_seq(void *session, void *data, size_t n, unsigned char *seq)
{
	shim_tls_leave(&library, session);
	return gnutls.recv_seq(session, data, n, seq);
}

static ssize_t recv_packet(void *session, void **packet)
{
	shim_tls_leave(&library, session);
	return gnutls.recv_packet(session, packet);
}

static ssize_t record_send(void *session, const void *data, size_t n)
{
	return shim_tls_send(&library, session, data, n);
}

static ssize_t send2(void *session, const void *data, size_t n, size_t pad, unsigned flags)
{
	if (!pad)
		return shim_tls_send(&library, session, data, n);
	shim_tls_leave(&library, session);
	return gnutls.send2(session, data, n, pad, flags);
}

static ssize_t send_range(void *session, const void *data, size_t n, const void *range)
{
	shim_tls_leave(&library, session);
	return gnutls.send_range(session, data, n, range);
}

/* It may be rejected, and is then sent again. */
static ssize_t send_early(void *session, const void *data, size_t n)
{
	shim_tls_leave(&library, session);
	return gnutls.send_early(session, data, n);
}

static ssize_t send_file(void *session, int fd, off_t *offset, size_t n)
{
	ssize_t sent = shim_tls_flush(&library, session);

	if (sent < 0)
		return sent;
	sent = gnutls.send_file(session, fd, offset, n);
	shim_tls_unseen(&library, session, sent);
	return sent;
}

static void cork(void *session)
{
	gnutls.cork(session);
	shim_tls_corked(&library, session);
}

static int uncork(void *session, unsigned flags)
{
	return shim_tls_uncorked(session, gnutls.uncork(session, flags));
}

static size_t check_corked(void *session)
{
	return shim_tls_held(session, gnutls.check_corked(session));
}

static int bye(void *session, int how)
{
	int result = shim_tls_flush(&library, session);

	return result < 0 ? result : gnutls.bye(session, how);
}

/* ---- finding it ---- */

struct wanted {
	const char *name;
	uintptr_t ours; /* of the first GNUTLS_IMPORTS; the others are only called */
	void **theirs;
	bool may_be_missing; /* younger than the library as we know it */
};

static bool learn(const struct wanted *w, const struct image *m)
{
	*w->theirs = image_find(m, w->name);
	return *w->theirs || w->may_be_missing;
}

#define FRONT(field, name, fn)                                                  \
	{                                                                       \
		"gnutls_" #name, (uintptr_t)(fn), (void **)&gnutls.field, false \
	}
#define YOUNG(field, name, fn)                                                 \
	{                                                                      \
		"gnutls_" #name, (uintptr_t)(fn), (void **)&gnutls.field, true \
	}

bool hook_gnutls_find(struct import *imports, const struct image *m)
{
	const struct wanted wanted[] = {
		FRONT(init, init, init),
		FRONT(deinit, deinit, deinit),
		FRONT(handshake, handshake, handshake),
		FRONT(recv, record_recv, record_recv),
		FRONT(recv_seq, record_recv_seq, recv_seq),
		FRONT(recv_packet, record_recv_packet, recv_packet),
		YOUNG(recv_early, record_recv_early_data, recv_early),
		FRONT(send, record_send, record_send),
		YOUNG(send2, record_send2, send2),
		FRONT(send_range, record_send_range, send_range),
		YOUNG(send_early, record_send_early_data, send_early),
		YOUNG(send_file, record_send_file, send_file),
		FRONT(cork, record_cork, cork),
		FRONT(uncork, record_uncork, uncork),
		FRONT(check_corked, record_check_corked, check_corked),
		FRONT(bye, bye, bye),
		FRONT(check_pending, record_check_pending, 0),
		FRONT(is_fatal, error_is_fatal, 0),
		FRONT(version, protocol_get_version, 0),
		YOUNG(ciphersuite, ciphersuite_get, 0),
		FRONT(get_random, session_get_random, 0),
		FRONT(get_transport, transport_get_ptr, 0),
		FRONT(get_name, server_name_get, 0),
		YOUNG(is_ktls, transport_is_ktls_enabled, 0),
	};

	for (unsigned i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		if (!learn(&wanted[i], m))
			return false;
	if (!shim_tls_start())
		return false;
	for (unsigned i = 0; i < GNUTLS_IMPORTS; i++)
		imports[i] = (struct import){ .name = *wanted[i].theirs ? wanted[i].name : "",
					      .theirs = (uintptr_t)*wanted[i].theirs,
					      .ours = wanted[i].ours };
	return true;
}
#undef FRONT
#undef YOUNG

void hook_gnutls_look(void)
{
	static struct imported gnutls_imports = {
		"gnutls_record_recv", hook_gnutls_find, GNUTLS_IMPORTS, { { .name = NULL } }
	};

	imports_look(&gnutls_imports);
}
