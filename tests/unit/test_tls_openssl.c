/* SPDX-License-Identifier: Apache-2.0 */
/* What passes above OpenSSL's encryption, however the library and the program take turns. */
#include "tls_fixture.h"

#include <sys/mman.h>

Test(tls_openssl, sends_requests_whole_however_little_the_socket_takes, .init = start)
{
	static const long modes[] = { 0, SSL_MODE_ENABLE_PARTIAL_WRITE,
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER,
				      SSL_MODE_ENABLE_PARTIAL_WRITE |
					      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER };
	static const size_t holds[] = { 37, 600, 3000, 17000, 50000 };
	static const size_t bodies[] = { 0, 1, 2000, 16384, 40000 };
	static const size_t cuts[] = { 0, 5, 60, 66, 3000 };
	size_t sent = 0;

	for (size_t m = 0; m < 4; m++) {
		for (size_t h = 0; h < 5; h++) {
			struct pair p;

			pair_open(&p, holds[h]);
			SSL_clear_mode(p.client, -1);
			SSL_set_mode(p.client, modes[m]);
			if (h == 2)
				SSL_set_max_send_fragment(p.client, 512);
			for (size_t i = 0; i < 25; i++, sent++)
				exchange(&p, bodies[i / 5], cuts[i % 5], i % 3 ? 16384 : 100);
			pair_close(&p);
		}
	}
	cr_assert_eq(counted(headers_injected), sent);
	cr_assert_eq(counted(exchanges_server), sent);
	cr_assert_eq(counted(exchanges_client), sent);
	cr_assert_eq(counted(connections_tls), 40);
	cr_assert_eq(conn_in_use(), inherited);
	cr_assert_eq(block_in_use(), 0);
}

Test(tls_openssl, keeps_nothing_of_a_write_that_is_never_repeated, .init = start)
{
	struct pair p;
	size_t n;
	char *text = request(3000, &n);

	for (unsigned i = 0; i < 50; i++) {
		pair_open(&p, 64);
		cr_assert_lt(SSL_write(p.client, text, (int)n), 0);
		pair_close(&p);
	}
	free(text);
	cr_assert_eq(conn_in_use(), inherited);
	cr_assert_eq(block_in_use(), 0);
}

/* The library is found while it holds a record of a request that nobody has looked at. */
static void found_late(long mode, bool read_before, bool read_between)
{
	static struct heard h;
	struct pair p;
	size_t n;
	char *text = request(3000, &n), byte;

	h = (struct heard){ .at_once = 1000 };
	pair_open(&p, 64);
	SSL_clear_mode(p.client, -1);
	SSL_set_mode(p.client, mode);
	cr_assert_lt(SSL_write(p.client, text, (int)n), 0);
	if (read_before) /* and now it waits for something else */
		cr_assert_lt(SSL_read(p.client, &byte, 1), 0);
	hook_tls_look();
	if (read_between)
		cr_assert_lt(SSL_read(p.client, &byte, 1), 0);
	say(p.client, text, n, &h, p.server);
	for (unsigned i = 0; h.n < n && i < TRIES_MAX; i++)
		listen_to(&h, p.server);
	listen_to(&h, p.server); /* nothing more */
	take_out_traceparent(&h);
	cr_assert(h.n == n && memcmp(h.bytes, text, n) == 0);
	/* SSL_get_error() would take what stands there for the next call's. */
	cr_assert_eq(ERR_peek_error(), 0);
	pair_close(&p);
	free(text);
}

static void start_bare(void)
{
	fixture_start(NULL);
	make_contexts();
}

Test(tls_openssl, goes_on_with_a_write_that_was_begun_before, .init = start_bare)
{
	found_late(0, false, false);
}

Test(tls_openssl, goes_on_with_it_after_a_read_too, .init = start_bare)
{
	found_late(0, false, true);
}

Test(tls_openssl, goes_on_with_it_when_it_was_read_from_before, .init = start_bare)
{
	found_late(0, true, false);
}

Test(tls_openssl, goes_on_with_it_from_elsewhere_when_it_was_read_from_before, .init = start_bare)
{
	found_late(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER, true, false);
}

Test(tls_openssl, leaves_other_protocols_alone, .init = start)
{
	static struct heard h = { .at_once = 1000 };
	struct pair p;

	pair_open(&p, 100);
	for (unsigned i = 0; i < 20; i++)
		say(p.client, "*1\r\n$4\r\nPING\r\n", 14, &h, p.server);
	for (unsigned i = 0; h.n < 280 && i < TRIES_MAX; i++)
		listen_to(&h, p.server);
	cr_assert_eq(h.n, 280);
	for (unsigned i = 0; i < 20; i++)
		cr_assert_arr_eq(h.bytes + 14 * i, "*1\r\n$4\r\nPING\r\n", 14);
	pair_close(&p);
	cr_assert_eq(conn_in_use(), inherited);
}

Test(tls_openssl, looks_at_a_library_once, .init = start)
{
	struct pair p;

	hook_tls_look();
	hook_tls_look();
	pair_open(&p, 20000);
	exchange(&p, 10, 0, 1000);
	pair_close(&p);
	cr_assert_eq(counted(headers_injected), 1);
}

static void start_inserting(void)
{
	fixture_start("TAGALONG_INBOUND_HEADER=on");
	inherited = conn_in_use();
	make_contexts();
	hook_tls_look();
}

/* One request of one record, read with `room`; returns how many headers were put in. A read that is
 * not full has drained what the library holds. */
static size_t reads_with(struct pair *p, const char *text, size_t n, size_t room)
{
	static struct heard h;

	h = (struct heard){ .at_once = room };
	cr_assert_eq(SSL_write(p->client, text, (int)n), (int)n);
	for (unsigned i = 0; i < TRIES_MAX; i++) {
		size_t before = h.n, got;

		listen_to(&h, p->server);
		got = h.n - before;
		if (!got)
			break;
		cr_assert(got == room || !SSL_pending(p->server), "%zu of %zu", got, room);
	}
	room = take_out_traceparent(&h);
	cr_assert(h.n == n && memcmp(h.bytes, text, n) == 0, "%zu of %zu", h.n, n);
	return room;
}

Test(tls_openssl, keeps_room_for_a_header_and_drains_the_record, .init = start_inserting)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	static struct heard client;
	static const size_t bodies[] = { 0, 900, 3000 };
	struct pair p;

	pair_open(&p, 50000);
	SSL_set_options(p.client, SSL_OP_ENABLE_KTLS); /* left alone: it sends no header */
	for (size_t b = 0; b < 3; b++) {
		size_t n;
		char *text = request(bodies[b], &n);

		for (size_t room = 288; room < 4000; room += 13) {
			client = (struct heard){ .at_once = 100 };
			cr_assert_eq(reads_with(&p, text, n, room), 1, "%zu, %zu", n, room);
			say(p.server, answer, sizeof(answer) - 1, &client, p.client);
			while (client.n < sizeof(answer) - 1)
				listen_to(&client, p.client);
		}
		free(text);
	}
	pair_close(&p);
	cr_assert_eq(conn_in_use(), inherited);
}

static bool is_writable(uintptr_t page)
{
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char may[5] = "";

	while (fgets(line, sizeof(line), maps) && sscanf(line, "%lx-%lx %4s", &from, &to, may) == 3)
		if (page >= from && page < to)
			break;
	fclose(maps);
	return may[1] == 'w';
}

/* Loaders say that an object is there before they have relocated it. */
Test(tls_openssl, leaves_a_library_alone_that_is_still_being_relocated, .init = start_bare)
{
	uintptr_t page = (uintptr_t)TLS_method() & ~(uintptr_t)4095;
	struct pair p;

	cr_assert_eq(mprotect((void *)page, 4096, PROT_READ | PROT_WRITE), 0);
	hook_tls_look();
	cr_assert(is_writable(page));
	pair_open(&p, 20000);
	cr_assert_eq(counted(connections_tls), 0);
	pair_close(&p);
	cr_assert_eq(mprotect((void *)page, 4096, PROT_READ), 0);
	hook_tls_look();
	cr_assert_not(is_writable(page));
	pair_open(&p, 20000);
	exchange(&p, 10, 0, 1000);
	pair_close(&p);
	cr_assert_eq(counted(headers_injected), 1);
}

static const SSL_METHOD *one_version(void)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	return TLSv1_2_client_method();
#pragma GCC diagnostic pop
}

/* Without SSL_clear(): the handshake does that, inside of the first write. */
Test(tls_openssl, forgets_what_an_object_had_to_send_when_it_begins_anew, .init = start)
{
	static struct heard h = { .at_once = 16384 };
	struct pair p;
	SSL *first;
	BIO *here, *there;
	size_t n, m;
	char *old = request(3000, &n), *text = request(4000, &m);
	int taken = -1;

	/* Of one version, so that its table stays. */
	SSL_CTX_free(client_context);
	client_context = SSL_CTX_new(one_version());
	pair_open(&p, 64);
	cr_assert_lt(SSL_write(p.client, old, (int)n), 0);
	first = p.server;
	p.server = SSL_new(server_context);
	cr_assert_eq(BIO_new_bio_pair(&here, 50000, &there, 50000), 1);
	SSL_set_bio(p.client, here, here);
	SSL_set_bio(p.server, there, there);
	SSL_set_connect_state(p.client);
	SSL_set_accept_state(p.server);
	for (unsigned i = 0; taken < 0 && i < 10; i++) {
		taken = SSL_write(p.client, text, (int)m);
		SSL_do_handshake(p.server);
	}
	cr_assert_eq(taken, (int)m);
	for (unsigned i = 0; i < 10; i++)
		listen_to(&h, p.server);
	cr_assert_eq(take_out_traceparent(&h), 1);
	cr_assert(h.n == m && memcmp(h.bytes, text, m) == 0, "%zu of %zu", h.n, m);
	SSL_free(first);
	pair_close(&p);
	free(old);
	free(text);
}
