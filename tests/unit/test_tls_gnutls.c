/* SPDX-License-Identifier: Apache-2.0 */
/* What passes above GnuTLS's encryption, however the library and the program take turns. */
#include <pthread.h>
#include "gnutls_fixture.h"

TestSuite(tls_gnutls, .init = start_gnutls, .timeout = 120);
TestSuite(tls_gnutls_late, .init = start_bare_gnutls, .timeout = 60);

static struct ends p;
static struct heard server, client;

static void begin(size_t at_once)
{
	server = (struct heard){ .at_once = at_once };
	client = (struct heard){ .at_once = 100 };
}

static void expect_request(const char *text, size_t n)
{
	cr_assert_eq(take_out_traceparent(&server), 1);
	cr_assert(server.n == n && memcmp(server.bytes, text, n) == 0, "%zu of %zu", server.n, n);
}

static void answer(enum repeating how)
{
	say_by(&p.server, ANSWER, sizeof(ANSWER) - 1, how, &client, &p.client);
	hear_all(&client, &p.client, sizeof(ANSWER) - 1);
	cr_assert_arr_eq(client.bytes, ANSWER, sizeof(ANSWER) - 1);
}

static void converse(size_t body, size_t cut, size_t at_once, enum repeating how)
{
	size_t n, first;
	char *text = request(body, &n);

	begin(at_once);
	first = cut < n ? cut : n;
	if (first)
		say_by(&p.client, text, first, how, &server, &p.server);
	if (first < n)
		say_by(&p.client, text + first, n - first, how, &server, &p.server);
	hear_all(&server, &p.server, n + 70);
	expect_request(text, n);
	answer(how);
	free(text);
}

static void expect_spans(uint64_t n)
{
	cr_assert_eq(counted(exchanges_server), n);
	cr_assert_eq(counted(exchanges_client), n);
	cr_assert_eq(counted(headers_injected), n);
}

static void expect_nothing_left(void)
{
	cr_assert_eq(conn_in_use(), inherited);
	cr_assert_eq(block_in_use(), 0);
}

static const size_t holds[] = { 37, 600, 3000, 17000, 50000 };

static void every_size(const char *version, size_t record)
{
	static const size_t bodies[] = { 0, 1, 2000, 16384, 40000 };
	static const size_t cuts[] = { 0, 5, 60, 66, 3000 };
	uint64_t sent = 0;

	record_size = record;
	for (size_t h = 0; h < 5; h++) {
		for (enum repeating how = 0; how < REPEATINGS; how++) {
			ends_open(&p, holds[h], version);
			if (record)
				cr_assert_eq(gnutls_record_set_max_size(p.client.session, record),
					     0);
			for (size_t i = 0; i < 25; i++, sent++)
				converse(bodies[i / 5], cuts[i % 5], i % 3 ? 16384 : 100, how);
			ends_close(&p);
		}
	}
	expect_spans(sent);
	cr_assert_eq(counted(connections_tls), 30);
	expect_nothing_left();
}

Test(tls_gnutls, sends_requests_whole_however_little_the_socket_takes)
{
	every_size("1.3", 0);
}

Test(tls_gnutls, sends_them_by_older_versions_as_well)
{
	every_size("1.2", 0);
}

Test(tls_gnutls, sends_them_in_small_records)
{
	every_size("1.2", 512);
}

Test(tls_gnutls, keeps_nothing_of_a_write_that_is_never_repeated)
{
	size_t n;
	char *text = request(3000, &n);

	for (unsigned i = 0; i < 50; i++) {
		ends_open(&p, 64, "1.3");
		cr_assert_eq(gnutls_record_send(p.client.session, text, n), GNUTLS_E_AGAIN);
		ends_close(&p);
	}
	free(text);
	expect_nothing_left();
}

/* The connection is followed no more, but the request arrives; the program may be told less. */
Test(tls_gnutls, sends_requests_whole_without_memory_for_a_copy)
{
	static void *blocks[BLOCK_LARGE_COUNT];
	size_t size, n;
	char *text = request(30000, &n);

	for (unsigned i = 0; i < BLOCK_LARGE_COUNT; i++)
		blocks[i] = block_get(BLOCK_LARGE, &size);
	for (size_t h = 0; h < 5; h++) {
		for (enum repeating how = 0; how < REPEATINGS; how++) {
			begin(1000);
			ends_open(&p, holds[h], "1.3");
			for (size_t done = 0; done < n;)
				done += say_once(&p.client, text + done, n - done, how, &server,
						 &p.server);
			hear_all(&server, &p.server, n);
			hear_from(&server, &p.server);
			cr_assert_leq(take_out_traceparent(&server), 1);
			cr_assert(server.n == n && memcmp(server.bytes, text, n) == 0);
			ends_close(&p);
		}
	}
	for (unsigned i = 0; i < BLOCK_LARGE_COUNT; i++)
		block_put(blocks[i]);
	free(text);
	expect_nothing_left();
}

/* The library is found while it holds a record of a request that nobody has looked at, of sessions
 * whose making nobody has seen. */
static void found_late(enum repeating how)
{
	size_t n, taken;
	char *text = request(3000, &n);
	const char *pass = how == REPEAT_NOTHING ? NULL : text;
	ssize_t r;

	begin(1000);
	ends_open(&p, 64, "1.3");
	cr_assert_eq(gnutls_record_send(p.client.session, text, n), GNUTLS_E_AGAIN);
	hook_gnutls_look();
	do {
		hear_from(&server, &p.server);
		r = gnutls_record_send(p.client.session, pass, pass ? n : 0);
	} while (is_waiting(r));
	cr_assert_eq(r, (ssize_t)n);
	hear_all(&server, &p.server, n);
	cr_assert(server.n == n && memcmp(server.bytes, text, n) == 0);
	answer(how);
	cr_assert_eq(counted(exchanges_server), 1);
	cr_assert_eq(counted(headers_injected), 0);
	/* And then as ever. */
	server.n = taken = 0;
	while (taken < n)
		taken += say_once(&p.client, text + taken, n - taken, how, &server, &p.server);
	hear_all(&server, &p.server, n + (pass ? 70 : 0));
	cr_assert_eq(take_out_traceparent(&server), pass ? 1 : 0);
	cr_assert(server.n == n && memcmp(server.bytes, text, n) == 0);
	ends_close(&p);
	free(text);
	expect_nothing_left();
}

Test(tls_gnutls_late, goes_on_with_a_write_that_was_begun_before)
{
	found_late(REPEAT_SAME);
}

Test(tls_gnutls_late, goes_on_with_it_without_its_bytes)
{
	found_late(REPEAT_NOTHING);
}

Test(tls_gnutls, says_what_the_library_says)
{
	char byte;

	ends_open(&p, 3000, "1.3");
	cr_assert_eq(gnutls_record_send(p.client.session, NULL, 0), GNUTLS_E_INVALID_REQUEST);
	cr_assert_eq(gnutls_record_recv(p.client.session, &byte, 1), GNUTLS_E_AGAIN);
	cr_assert_eq(gnutls_bye(p.client.session, GNUTLS_SHUT_WR), 0);
	cr_assert_eq(gnutls_record_recv(p.server.session, &byte, 1), 0);
	cr_assert_eq(gnutls_record_send(p.client.session, "x", 1), GNUTLS_E_INVALID_SESSION);
	ends_close(&p);
	cr_assert_eq(gnutls_init(&p.client.session, GNUTLS_CLIENT), 0);
	cr_assert_eq(gnutls_record_send(p.client.session, "x", 1),
		     GNUTLS_E_UNAVAILABLE_DURING_HANDSHAKE);
	gnutls_deinit(p.client.session);
	gnutls_deinit(NULL);
	expect_nothing_left();
}

/* What a program has begun to write leaves before the end is said. */
Test(tls_gnutls, finishes_what_was_begun_when_the_program_says_goodbye)
{
	for (size_t h = 0; h < 5; h++) {
		size_t n;
		char *text = request(10000, &n);
		ssize_t taken;
		int said;

		begin(1000);
		ends_open(&p, holds[h], "1.3");
		taken = gnutls_record_send(p.client.session, text, n);
		cr_assert(taken == (ssize_t)n || is_waiting(taken));
		do {
			said = gnutls_bye(p.client.session, GNUTLS_SHUT_WR);
			hear_from(&server, &p.server);
		} while (is_waiting(said));
		cr_assert_eq(said, 0);
		hear_all(&server, &p.server, n + 70);
		expect_request(text, n);
		answer(REPEAT_SAME);
		ends_close(&p);
		free(text);
	}
	expect_spans(5);
	expect_nothing_left();
}

Test(tls_gnutls, a_corked_request_is_counted_without_our_header)
{
	static const unsigned flags[] = { 0, GNUTLS_RECORD_WAIT };

	for (unsigned f = 0; f < 2; f++) {
		for (size_t body = 0; body < 50000; body += 9999) {
			size_t n, cut = 30, whole = 0;
			char *text = request(body, &n);

			begin(1000);
			ends_open(&p, 65000, "1.3");
			gnutls_record_cork(p.client.session);
			cr_assert_eq(gnutls_record_send(p.client.session, text, cut), (ssize_t)cut);
			cr_assert_eq(gnutls_record_check_corked(p.client.session), cut);
			cr_assert_eq(gnutls_record_send(p.client.session, text + cut, n - cut),
				     (ssize_t)(n - cut));
			cr_assert_eq(gnutls_record_check_corked(p.client.session), n);
			hear_from(&server, &p.server);
			cr_assert_eq(server.n, 0);
			whole = (size_t)gnutls_record_uncork(p.client.session, flags[f]);
			cr_assert_eq(whole, n);
			cr_assert_eq(gnutls_record_check_corked(p.client.session), 0);
			hear_all(&server, &p.server, n + 70);
			expect_request(text, n);
			answer(REPEAT_SAME);
			converse(body, 10, 1000, REPEAT_SAME);
			ends_close(&p);
			free(text);
		}
	}
	expect_spans(24);
	expect_nothing_left();
}

Test(tls_gnutls, a_cork_that_is_pulled_bit_by_bit)
{
	size_t n;
	char *text = request(20000, &n);
	int left;

	begin(1000);
	ends_open(&p, 300, "1.3");
	gnutls_record_cork(p.client.session);
	cr_assert_eq(gnutls_record_send(p.client.session, text, n), (ssize_t)n);
	while (is_waiting(left = gnutls_record_uncork(p.client.session, 0)))
		hear_from(&server, &p.server);
	cr_assert(left >= 0 && (size_t)left <= n);
	hear_all(&server, &p.server, n + 70);
	expect_request(text, n);
	answer(REPEAT_NOTHING);
	ends_close(&p);
	free(text);
	expect_spans(1);
	expect_nothing_left();
}

/* A new handshake in the middle of a request, by the client. */
Test(tls_gnutls, a_new_handshake_between_the_bytes_of_a_request)
{
	ends_open(&p, 50000, "1.2");
	for (size_t i = 0; i < 12; i++) {
		size_t n, cut = i * 40;
		char *text = request(5000, &n), byte;

		begin(1000);
		if (cut)
			say_by(&p.client, text, cut, REPEAT_SAME, &server, &p.server);
		hear_from(&server, &p.server);
		hear_from(&server, &p.server);
		cr_assert_eq(gnutls_handshake(p.client.session), GNUTLS_E_AGAIN);
		cr_assert_eq(gnutls_record_recv(p.server.session, &byte, 1), GNUTLS_E_REHANDSHAKE);
		shake_hands(&p);
		say_by(&p.client, text + cut, n - cut, REPEAT_SAME, &server, &p.server);
		hear_all(&server, &p.server, n + 70);
		expect_request(text, n);
		answer(REPEAT_SAME);
		free(text);
	}
	ends_close(&p);
	expect_spans(12);
	expect_nothing_left();
}

Test(tls_gnutls, new_keys_between_requests)
{
	ends_open(&p, 50000, "1.3");
	for (unsigned i = 0; i < 5; i++) {
		cr_assert_eq(gnutls_session_key_update(p.client.session, GNUTLS_KU_PEER), 0);
		converse(i * 3000, i * 10, 1000, i % REPEATINGS);
	}
	ends_close(&p);
	expect_spans(5);
}

Test(tls_gnutls, leaves_other_protocols_alone)
{
	begin(1000);
	ends_open(&p, 100, "1.3");
	for (unsigned i = 0; i < 20; i++)
		say_by(&p.client, "*1\r\n$4\r\nPING\r\n", 14, i % REPEATINGS, &server, &p.server);
	hear_all(&server, &p.server, 280);
	cr_assert_eq(server.n, 280);
	for (unsigned i = 0; i < 20; i++)
		cr_assert_arr_eq(server.bytes + 14 * i, "*1\r\n$4\r\nPING\r\n", 14);
	ends_close(&p);
	expect_spans(0);
	expect_nothing_left();
}

Test(tls_gnutls, ways_of_writing_that_show_too_little_are_left_alone)
{
	size_t n;
	char *text = request(10, &n);

	begin(1000);
	ends_open(&p, 50000, "1.3");
	cr_assert_eq(gnutls_record_send2(p.client.session, text, n, 100, 0), (ssize_t)n);
	hear_all(&server, &p.server, n);
	cr_assert(server.n == n && memcmp(server.bytes, text, n) == 0);
	answer(REPEAT_SAME);
	ends_close(&p);
	cr_assert_eq(counted(exchanges_client), 0);
	cr_assert_eq(counted(exchanges_server), 1);
	free(text);
	expect_nothing_left();
}

Test(tls_gnutls, files_are_sent_as_bodies)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n";
	char name[] = "/tmp/tagalong-gnutls-XXXXXX";
	int file = mkstemp(name);
	size_t n;
	char *body = request(40000, &n), *text = request(0, &n);

	unlink(name);
	cr_assert_eq(write(file, body, 40000), 40000);
	for (unsigned i = 0; i < 3; i++) {
		ssize_t got;

		begin(1000);
		if (i == 0)
			ends_open(&p, 60000, "1.3");
		say_by(&p.client, text, n, REPEAT_SAME, &server, &p.server);
		hear_all(&server, &p.server, n + 70);
		cr_assert_eq(lseek(file, 0, SEEK_SET), 0);
		say_by(&p.server, head, sizeof(head) - 1, REPEAT_SAME, &client, &p.client);
		got = gnutls_record_send_file(p.server.session, file, NULL, 40000);
		cr_assert_eq(got, 40000, "%zd", got);
		hear_all(&client, &p.client, sizeof(head) - 1 + 40000);
		cr_assert_arr_eq(client.bytes + sizeof(head) - 1, body, 40000);
	}
	ends_close(&p);
	close(file);
	expect_spans(3);
	free(text);
	free(body);
	expect_nothing_left();
}

static void *read_in_a_thread(void *arg)
{
	const struct ends *e = arg;

	while (client.n < 200 * (sizeof(ANSWER) - 1)) {
		ssize_t n = gnutls_record_recv(e->client.session, client.bytes + client.n, 100);

		if (n > 0)
			client.n += (size_t)n;
		else if (!is_waiting(n))
			return (void *)(intptr_t)n;
	}
	return NULL;
}

static ssize_t push_socket(gnutls_transport_ptr_t ptr, const void *data, size_t n)
{
	return send((int)(intptr_t)ptr, data, n, 0);
}

static ssize_t pull_socket(gnutls_transport_ptr_t ptr, void *data, size_t n)
{
	return recv((int)(intptr_t)ptr, data, n, 0);
}

static void end_on_socket(struct end *e, unsigned flags, int fd)
{
	end_open(e, flags, "1.3");
	gnutls_transport_set_int(e->session, fd);
	gnutls_transport_set_push_function(e->session, push_socket);
	gnutls_transport_set_pull_function(e->session, pull_socket);
}

Test(tls_gnutls, one_thread_reads_while_another_writes)
{
	size_t n;
	char *text = request(0, &n);
	pthread_t reader;
	void *failed;
	int ends[2];

	begin(1000);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	end_on_socket(&p.client, GNUTLS_CLIENT, ends[0]);
	end_on_socket(&p.server, GNUTLS_SERVER, ends[1]);
	shake_hands(&p);
	cr_assert_eq(pthread_create(&reader, NULL, read_in_a_thread, &p), 0);
	for (unsigned i = 0; i < 200; i++) {
		server.n = 0;
		say_by(&p.client, text, n, REPEAT_SAME, &server, &p.server);
		hear_all(&server, &p.server, n + 70);
		expect_request(text, n);
		say_by(&p.server, ANSWER, sizeof(ANSWER) - 1, REPEAT_SAME, &server, &p.server);
	}
	pthread_join(reader, &failed);
	cr_assert_null(failed);
	ends_close(&p);
	close(ends[0]);
	close(ends[1]);
	free(text);
	expect_spans(200);
	expect_nothing_left();
}
