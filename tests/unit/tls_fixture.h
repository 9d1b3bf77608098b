/* SPDX-License-Identifier: Apache-2.0 */
/* Two ends of a real OpenSSL in this process, over a pipe that holds as little as a test wants. */
#ifndef TESTS_TLS_FIXTURE_H
#define TESTS_TLS_FIXTURE_H

#include <criterion/criterion.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include "base/counters.h"
#include "hooks/tls.h"
#include "shim/block.h"
#include "shim/conn.h"
#include "shim_fixture.h"

#define TRIES_MAX 1000000
#define ROOM      400000
#define ANSWER    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static SSL_CTX *client_context, *server_context;
static uint32_t inherited; /* connections that this process was started with */

static inline void make_contexts(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();

	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	cr_assert(X509_sign(cert, key, EVP_sha256()));
	client_context = SSL_CTX_new(TLS_client_method());
	server_context = SSL_CTX_new(TLS_method());
	SSL_CTX_set_num_tickets(server_context, 0); /* nobody would read them */
	cr_assert_eq(SSL_CTX_use_certificate(server_context, cert), 1);
	cr_assert_eq(SSL_CTX_use_PrivateKey(server_context, key), 1);
}

static inline void start(void)
{
	fixture_start(NULL);
	inherited = conn_in_use();
	make_contexts();
	hook_tls_look();
}

struct pair {
	SSL *client, *server;
};

static inline void pair_open(struct pair *p, size_t holds)
{
	BIO *here, *there;
	int a = 0, b = 0;

	cr_assert_eq(BIO_new_bio_pair(&here, holds, &there, holds), 1);
	p->client = SSL_new(client_context);
	p->server = SSL_new(server_context);
	SSL_set_bio(p->client, here, here);
	SSL_set_bio(p->server, there, there);
	SSL_set_connect_state(p->client);
	SSL_set_accept_state(p->server);
	for (unsigned i = 0; (a != 1 || b != 1) && i < TRIES_MAX; i++) {
		a = SSL_do_handshake(p->client);
		b = SSL_do_handshake(p->server);
	}
	cr_assert(a == 1 && b == 1);
}

static inline void pair_close(struct pair *p)
{
	SSL_free(p->client);
	SSL_free(p->server);
}

/* It may wait for either in a handshake. */
static inline void expect_waiting(const SSL *ssl, int n)
{
	int why = SSL_get_error(ssl, n);

	cr_assert(why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE, "%d: %s", why,
		  ERR_reason_error_string(ERR_peek_error()));
}

/* What the other end has read. */
struct heard {
	char bytes[ROOM];
	size_t n, at_once;
};

static inline void listen_to(struct heard *h, SSL *from)
{
	int n = SSL_read(from, h->bytes + h->n, (int)h->at_once);

	if (n > 0)
		h->n += (size_t)n;
	else
		expect_waiting(from, n);
	cr_assert_lt(h->n + h->at_once, ROOM);
}

/* A program that keeps to the contract, and where it may moves its buffer between two tries. */
static inline void say(SSL *to, const char *text, size_t n, struct heard *h, SSL *from)
{
	bool moving = SSL_get_mode(to) & SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;
	bool partial = SSL_get_mode(to) & SSL_MODE_ENABLE_PARTIAL_WRITE;
	char *room[2] = { malloc(n), malloc(n) };
	size_t done = 0;

	for (unsigned i = 0; done < n && i < TRIES_MAX; i++) {
		char *now = moving ? room[i % 2] : (char *)(uintptr_t)text;
		int taken;

		if (moving) {
			memset(room[(i + 1) % 2], '#', n);
			memcpy(now, text, n);
		}
		taken = SSL_write(to, now + done, (int)(n - done));
		if (taken > 0) {
			cr_assert(partial || (size_t)taken == n);
			done += (size_t)taken;
			cr_assert_leq(done, n);
		} else {
			expect_waiting(to, taken);
			listen_to(h, from);
		}
	}
	cr_assert_eq(done, n);
	free(room[0]);
	free(room[1]);
}

static inline size_t take_out_traceparent(struct heard *h)
{
	size_t lines = 0;
	char *line;

	h->bytes[h->n] = 0;
	while ((line = strstr(h->bytes, "traceparent: ")) != NULL) {
		char *end = strstr(line, "\r\n") + 2;

		memmove(line, end, h->n - (size_t)(end - h->bytes) + 1);
		h->n -= (size_t)(end - line);
		lines++;
	}
	return lines;
}

static inline char *request(size_t body, size_t *n)
{
	char *text = malloc(body + 200);
	int head =
		sprintf(text, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", body);

	for (size_t i = 0; i < body; i++)
		text[(size_t)head + i] = (char)('a' + i % 23);
	*n = (size_t)head + body;
	return text;
}

static inline void exchange(struct pair *p, size_t body, size_t cut, size_t at_once)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	static struct heard server, client;
	size_t n, first;
	char *text = request(body, &n);

	server = (struct heard){ .at_once = at_once };
	client = (struct heard){ .at_once = 100 };
	first = cut < n ? cut : n;
	if (first)
		say(p->client, text, first, &server, p->server);
	if (first < n)
		say(p->client, text + first, n - first, &server, p->server);
	for (unsigned i = 0; server.n < n + 70 && i < TRIES_MAX; i++)
		listen_to(&server, p->server);
	cr_assert_eq(take_out_traceparent(&server), 1);
	cr_assert(server.n == n && memcmp(server.bytes, text, n) == 0, "%zu of %zu", server.n, n);
	say(p->server, answer, sizeof(answer) - 1, &client, p->client);
	for (unsigned i = 0; client.n < sizeof(answer) - 1 && i < TRIES_MAX; i++)
		listen_to(&client, p->client);
	cr_assert_arr_eq(client.bytes, answer, sizeof(answer) - 1);
	free(text);
}

#endif
