/* SPDX-License-Identifier: Apache-2.0 */
/* What programs do with an object of OpenSSL's besides reading and writing it. */
#include <fcntl.h>
#include <sys/wait.h>
#include "tls_fixture.h"

TestSuite(tls_cases, .init = start, .timeout = 60);

static struct heard server, client;

static void begin(size_t at_once)
{
	server = (struct heard){ .at_once = at_once };
	client = (struct heard){ .at_once = 100 };
}

static void hear(struct heard *h, SSL *from, size_t n)
{
	for (unsigned i = 0; h->n < n && i < TRIES_MAX; i++)
		listen_to(h, from);
	cr_assert_geq(h->n, n);
}

static void answers(struct pair *p)
{
	say(p->server, ANSWER, sizeof(ANSWER) - 1, &client, p->client);
	for (unsigned i = 0; client.n < sizeof(ANSWER) - 1 && i < TRIES_MAX; i++) {
		listen_to(&client, p->client);
		/* A handshake may be under way. */
		if (!(SSL_get_shutdown(p->server) & SSL_RECEIVED_SHUTDOWN))
			listen_to(&server, p->server);
	}
	cr_assert_arr_eq(client.bytes, ANSWER, sizeof(ANSWER) - 1);
}

static void expect_spans(uint64_t n)
{
	cr_assert_eq(counted(exchanges_server), n);
	cr_assert_eq(counted(exchanges_client), n);
	cr_assert_eq(counted(headers_injected), n);
}

Test(tls_cases, what_is_peeked_at_is_no_request)
{
	struct pair p;
	char seen[100];
	size_t n, got;
	char *text = request(10, &n);

	begin(1000);
	pair_open(&p, 20000);
	cr_assert_eq(SSL_write(p.client, text, (int)n), (int)n);
	for (unsigned i = 0; i < 5; i++) {
		cr_assert_eq(SSL_peek(p.server, seen, 20), 20);
		cr_assert_arr_eq(seen, text, 20);
		cr_assert_eq(SSL_peek_ex(p.server, seen, sizeof(seen), &got), 1);
	}
	cr_assert_eq(counted(exchanges_server), 0);
	hear(&server, p.server, n);
	answers(&p);
	expect_spans(1);
	pair_close(&p);
	free(text);
}

Test(tls_cases, calls_that_tell_sizes_apart)
{
	struct pair p;
	size_t n, got = 77;
	char *text = request(30000, &n);

	begin(1000);
	pair_open(&p, 1000000);
	cr_assert_eq(SSL_write_ex(p.client, text, n, &got), 1);
	cr_assert_eq(got, n);
	for (unsigned i = 0; server.n < n + 60 && i < TRIES_MAX; i++) {
		cr_assert_eq(SSL_read_ex(p.server, server.bytes + server.n, 777, &got), 1);
		cr_assert_leq(got, 777);
		server.n += got;
	}
	cr_assert_eq(SSL_read_ex(p.server, server.bytes, 777, &got), 0);
	cr_assert_eq(take_out_traceparent(&server), 1);
	cr_assert(server.n == n && memcmp(server.bytes, text, n) == 0);
	answers(&p);
	expect_spans(1);
	pair_close(&p);
	free(text);
}

static void connect_again(struct pair *p)
{
	BIO *here, *there;
	int a = 0, b = 0;

	cr_assert_eq(SSL_clear(p->client), 1);
	cr_assert_eq(SSL_clear(p->server), 1);
	cr_assert_eq(BIO_new_bio_pair(&here, 3000, &there, 3000), 1);
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

Test(tls_cases, objects_that_are_used_again)
{
	struct pair p;
	char half[] = "GET /half HTTP/1.1\r\nHost: ";

	pair_open(&p, 3000);
	for (unsigned i = 0; i < 10; i++) {
		exchange(&p, i * 1000, 0, 1000);
		/* What one connection leaves unfinished is nothing to the next. */
		if (i % 2)
			cr_assert_gt(SSL_write(p.client, half, sizeof(half) - 1), 0);
		connect_again(&p);
	}
	pair_close(&p);
	expect_spans(10);
	cr_assert_eq(conn_in_use(), inherited);
	cr_assert_eq(block_in_use(), 0);
}

static void allow_renegotiation(struct pair *p, size_t holds)
{
	SSL_CTX_set_max_proto_version(client_context, TLS1_2_VERSION);
	SSL_CTX_set_options(server_context, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
	pair_open(p, holds);
}

/* By either side, in the middle of a body too. */
Test(tls_cases, handshakes_between_the_bytes_of_requests)
{
	static const size_t holds[] = { 100, 3000, 50000 };
	uint64_t spans = 0;

	for (size_t h = 0; h < 3; h++) {
		struct pair p;

		allow_renegotiation(&p, holds[h]);
		for (unsigned i = 0; i < 12; i++, spans++) {
			size_t n, cut;
			char *text = request(5000, &n);
			SSL *by = i % 2 ? p.client : p.server;

			begin(1000);
			cut = i * 40;
			if (cut)
				say(p.client, text, cut, &server, p.server);
			cr_assert_eq(SSL_renegotiate(by), 1);
			if (by == p.server)
				SSL_do_handshake(by);
			say(p.client, text + cut, n - cut, &server, p.server);
			for (unsigned k = 0; server.n < n + 60 && k < TRIES_MAX; k++) {
				listen_to(&client, p.client);
				listen_to(&server, p.server);
			}
			cr_assert_eq(take_out_traceparent(&server), 1, "%zu/%u", h, i);
			cr_assert(server.n == n && memcmp(server.bytes, text, n) == 0);
			answers(&p);
			free(text);
		}
		cr_assert_geq(SSL_total_renegotiations(p.client), 12);
		pair_close(&p);
	}
	expect_spans(spans);
	cr_assert_eq(block_in_use(), 0);
}

Test(tls_cases, a_client_that_has_said_all_is_answered)
{
	struct pair p;
	size_t n;
	char *text = request(10, &n), byte;

	begin(1000);
	pair_open(&p, 20000);
	say(p.client, text, n, &server, p.server);
	cr_assert_eq(SSL_shutdown(p.client), 0);
	hear(&server, p.server, n);
	cr_assert_eq(SSL_read(p.server, &byte, 1), 0);
	cr_assert_eq(SSL_get_error(p.server, 0), SSL_ERROR_ZERO_RETURN);
	answers(&p);
	expect_spans(1);
	pair_close(&p);
	free(text);
}

/* The child goes on with the connection, the parent lets go of it. */
Test(tls_cases, a_child_serves_what_its_parent_has_accepted)
{
	struct pair p;
	int status = 0;
	pid_t child;

	pair_open(&p, 20000);
	child = fork();
	if (!child) {
		shim_fork_child();
		exchange(&p, 100, 0, 1000);
		pair_close(&p);
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	pair_close(&p);
	cr_assert_eq(conn_in_use(), inherited);
}

/* Whose next call is judged by the queue of errors (SSL_get_error(3)). */
Test(tls_cases, what_is_asked_of_an_object_leaves_no_error_behind)
{
	struct pair p;
	size_t n;
	char *text = request(10, &n);

	begin(1000);
	pair_open(&p, 20000);
	SSL_set0_rbio(p.client, NULL); /* it will say something, and listen no more */
	ERR_clear_error();
	cr_assert_eq(SSL_write(p.client, text, (int)n), (int)n);
	cr_assert_eq(ERR_peek_error(), 0, "%s", ERR_reason_error_string(ERR_peek_error()));
	hear(&server, p.server, n);
	cr_assert_eq(ERR_peek_error(), 0);
	cr_assert_eq(SSL_read(p.server, server.bytes, 10), -1);
	cr_assert_eq(SSL_get_error(p.server, -1), SSL_ERROR_WANT_READ);
	pair_close(&p);
	free(text);
}

/* Nothing but the kernel's TLS sends a file; without it the call fails before anything is sent. */
Test(tls_cases, a_file_that_cannot_be_sent_changes_nothing)
{
	struct pair p;
	size_t n;
	char *text = request(10, &n);
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	cr_assert_geq(file, 0);
	begin(1000);
	pair_open(&p, 20000);
	cr_assert_lt(SSL_sendfile(p.client, file, 0, 100, 0), 0);
	cr_assert_eq(SSL_write(p.client, text, (int)n), (int)n);
	hear(&server, p.server, n);
	cr_assert_lt(SSL_sendfile(p.server, file, 0, 100, 0), 0);
	cr_assert_eq(counted(exchanges_server), 1);
	ERR_clear_error();
	answers(&p);
	expect_spans(1);
	pair_close(&p);
	close(file);
	free(text);
}
