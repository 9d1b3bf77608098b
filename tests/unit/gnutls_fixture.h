/* SPDX-License-Identifier: Apache-2.0 */
/* Two ends of a real GnuTLS in this process, over a pipe that holds as little as a test wants. */
#ifndef TESTS_GNUTLS_FIXTURE_H
#define TESTS_GNUTLS_FIXTURE_H

#include <gnutls/gnutls.h>
#include "hooks/gnutls.h"
#include "tls_fixture.h"

#define PSK_KEY "6b6579206b6579206b6579206b657921"

static gnutls_psk_client_credentials_t client_key;
static gnutls_psk_server_credentials_t server_key;
static size_t record_size; /* 0: the largest */

/* Bytes on their way. */
struct pipe {
	char bytes[65536];
	size_t n, holds;
};

struct end {
	gnutls_session_t session;
	struct pipe *in, *out;
};

struct ends {
	struct end client, server;
	struct pipe there, back;
};

/* How a program repeats a write that was not finished. */
enum repeating { REPEAT_SAME, REPEAT_NOTHING, REPEAT_MOVED, REPEATINGS };

static inline int find_key(gnutls_session_t session, const char *user, gnutls_datum_t *key)
{
	size_t n = strlen(PSK_KEY) / 2;

	(void)session;
	(void)user;
	key->data = gnutls_malloc(n);
	key->size = (unsigned)n;
	return gnutls_hex2bin(PSK_KEY, strlen(PSK_KEY), key->data, &n);
}

static inline void start_bare_gnutls(void)
{
	gnutls_datum_t key = { (unsigned char *)(uintptr_t)PSK_KEY, strlen(PSK_KEY) };

	fixture_start("TAGALONG_TLS_ATTRIBUTES=true");
	inherited = conn_in_use();
	gnutls_psk_allocate_client_credentials(&client_key);
	gnutls_psk_allocate_server_credentials(&server_key);
	gnutls_psk_set_client_credentials(client_key, "somebody", &key, GNUTLS_PSK_KEY_HEX);
	gnutls_psk_set_server_credentials_function(server_key, find_key);
}

static inline void start_gnutls(void)
{
	start_bare_gnutls();
	hook_gnutls_look();
}

/* errno is left as something else may have left it: GnuTLS is told its own. */
static inline ssize_t push(gnutls_transport_ptr_t ptr, const void *data, size_t n)
{
	const struct end *e = ptr;
	size_t room = e->out->holds - e->out->n;

	errno = EPIPE;
	if (!room) {
		gnutls_transport_set_errno(e->session, EAGAIN);
		return -1;
	}
	n = n < room ? n : room;
	memcpy(e->out->bytes + e->out->n, data, n);
	e->out->n += n;
	return (ssize_t)n;
}

static inline ssize_t pull(gnutls_transport_ptr_t ptr, void *data, size_t n)
{
	const struct end *e = ptr;

	errno = EPIPE;
	if (!e->in->n) {
		gnutls_transport_set_errno(e->session, EAGAIN);
		return -1;
	}
	n = n < e->in->n ? n : e->in->n;
	memcpy(data, e->in->bytes, n);
	e->in->n -= n;
	memmove(e->in->bytes, e->in->bytes + n, e->in->n);
	return (ssize_t)n;
}

static inline void end_open(struct end *e, unsigned flags, const char *version)
{
	char priority[200];

	sprintf(priority, "NORMAL:-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK:-VERS-ALL:+VERS-TLS%s", version);
	cr_assert_eq(gnutls_init(&e->session, flags | GNUTLS_NO_TICKETS), 0);
	cr_assert_eq(gnutls_priority_set_direct(e->session, priority, NULL), 0);
	if (record_size)
		cr_assert_eq(gnutls_record_set_max_size(e->session, record_size), 0);
	gnutls_credentials_set(e->session, GNUTLS_CRD_PSK,
			       flags & GNUTLS_SERVER ? (void *)server_key : (void *)client_key);
	gnutls_transport_set_ptr(e->session, e);
	gnutls_transport_set_push_function(e->session, push);
	gnutls_transport_set_pull_function(e->session, pull);
}

static inline void shake_hands(struct ends *p)
{
	int a = 1, b = 1;

	for (unsigned i = 0; (a || b) && i < TRIES_MAX; i++) {
		if (a)
			a = gnutls_handshake(p->client.session);
		if (b)
			b = gnutls_handshake(p->server.session);
		cr_assert(!gnutls_error_is_fatal(a) && !gnutls_error_is_fatal(b), "%s, %s",
			  gnutls_strerror(a), gnutls_strerror(b));
	}
	cr_assert(!a && !b);
}

static inline void ends_open(struct ends *p, size_t holds, const char *version)
{
	p->there.n = p->back.n = 0;
	p->there.holds = p->back.holds = holds;
	p->client = (struct end){ NULL, &p->back, &p->there };
	p->server = (struct end){ NULL, &p->there, &p->back };
	end_open(&p->client, GNUTLS_CLIENT, version);
	end_open(&p->server, GNUTLS_SERVER, version);
	shake_hands(p);
}

static inline void ends_close(struct ends *p)
{
	gnutls_deinit(p->client.session);
	gnutls_deinit(p->server.session);
}

static inline bool is_waiting(ssize_t n)
{
	return n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED;
}

static inline void hear_from(struct heard *h, struct end *e)
{
	ssize_t n = gnutls_record_recv(e->session, h->bytes + h->n, h->at_once);

	if (n > 0)
		h->n += (size_t)n;
	else
		cr_assert(is_waiting(n), "%s", gnutls_strerror((int)n));
	cr_assert_lt(h->n + h->at_once, ROOM);
}

/* One write of the program's until it is taken; the other end reads meanwhile. */
static inline size_t say_once(struct end *to, const char *text, size_t n, enum repeating how,
			      struct heard *h, struct end *from)
{
	char *mine = malloc(n);
	ssize_t taken;

	memcpy(mine, text, n);
	taken = gnutls_record_send(to->session, mine, n);
	if (is_waiting(taken) && how != REPEAT_SAME)
		memset(mine, '#', n); /* nobody may look there any more */
	for (unsigned i = 0; is_waiting(taken) && i < TRIES_MAX; i++) {
		hear_from(h, from);
		if (how == REPEAT_SAME)
			taken = gnutls_record_send(to->session, mine, n);
		else if (how == REPEAT_NOTHING)
			taken = gnutls_record_send(to->session, NULL, 0);
		else
			taken = gnutls_record_send(to->session, text, n);
	}
	cr_assert_gt(taken, 0, "%s", gnutls_strerror((int)taken));
	cr_assert_leq((size_t)taken, n);
	free(mine);
	return (size_t)taken;
}

static inline void say_by(struct end *to, const char *text, size_t n, enum repeating how,
			  struct heard *h, struct end *from)
{
	size_t max = gnutls_record_get_max_size(to->session);

	while (n) {
		size_t taken = say_once(to, text, n, how, h, from);

		cr_assert_geq(taken, n < max ? n : max, "the library takes a record at least");
		text += taken;
		n -= taken;
	}
}

static inline void hear_all(struct heard *h, struct end *e, size_t n)
{
	for (unsigned i = 0; h->n < n && i < TRIES_MAX; i++)
		hear_from(h, e);
	cr_assert_geq(h->n, n);
}

#endif
