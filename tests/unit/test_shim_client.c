/* SPDX-License-Identifier: Apache-2.0 */
/* The same for a connection on which the program asks. */
#include "base/counters.h"
#include "shim_spans.h"

#include <netinet/in.h>

static int peer;

static int start_client(void)
{
	spans_start(NULL);
	return fixture_socket(&peer, false, false);
}

Test(client, writes_a_client_span_when_the_response_is_read, .fini = spans_stop)
{
	int fd = start_client();

	program_writes(fd, REQUEST);
	program_reads(fd, peer, RESPONSE);
	program_writes(fd, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
	program_reads(fd, peer,
		      "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 404 N\r\nContent-Length: 9\r\n\r\n");
	cr_assert_eq(spans_read(), 2);
	expect_span(0, KIND_CLIENT, "200", "");
	expect_span(1, KIND_CLIENT, "404", "404");
}

Test(client, ends_a_client_span_at_the_end_of_the_stream, .fini = spans_stop)
{
	int fd = start_client();

	program_writes(fd, REQUEST);
	program_reads(fd, peer, "HTTP/1.1 200 OK\r\n\r\nsome");
	program_reads_end(fd, peer);
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_CLIENT, "200", "");
}

Test(client, calls_a_response_that_ends_early_an_error, .fini = spans_stop)
{
	int fd = start_client();

	program_writes(fd, REQUEST);
	program_reads(fd, peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nsome");
	program_reads_end(fd, peer);
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_CLIENT, "200", "connection_closed");
}

Test(client, names_the_errors_of_reads, .fini = spans_stop)
{
	static const struct {
		int error;
		const char *type;
	} errors[] = { { ECONNRESET, "connection_reset" },
		       { EPIPE, "connection_reset" },
		       { ETIMEDOUT, "timeout" },
		       { EHOSTUNREACH, "_OTHER" } };

	spans_start(NULL);
	for (size_t i = 0; i < 4; i++) {
		int fd = fixture_socket(&peer, false, false);

		program_writes(fd, REQUEST);
		program_read_fails(fd, EAGAIN);
		program_read_fails(fd, EINTR);
		cr_assert_eq(spans_read(), i);
		program_read_fails(fd, errors[i].error);
		fixture_close(fd, peer);
		cr_assert_eq(spans_read(), i + 1);
		expect_span(i, KIND_CLIENT, "", errors[i].type);
	}
}

Test(client, calls_a_client_that_gives_up_aborted, .fini = spans_stop)
{
	int fd = start_client();

	program_writes(fd, REQUEST);
	program_closes(fd);
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_CLIENT, "", "aborted");
}

Test(client, does_not_mind_a_client_that_has_had_enough, .fini = spans_stop)
{
	int fd = start_client();

	program_writes(fd, REQUEST);
	program_reads(fd, peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nsome");
	program_closes(fd);
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_CLIENT, "200", "");
}

/* A server that refuses a body answers and closes: the client's write fails, then it reads why. */
Test(client, reads_the_answer_after_a_write_has_failed, .fini = spans_stop)
{
	int fd = start_client();

	program_writes(fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n12345");
	program_write_fails(fd, "67890", EPIPE);
	program_reads(fd, peer, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
	program_closes(fd);
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_CLIENT, "413", "413");
}

Test(client, remembers_why_a_write_failed_when_no_answer_comes, .fini = spans_stop)
{
	int fd = start_client();

	program_writes(fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n12345");
	program_write_fails(fd, "67890", EPIPE);
	program_closes(fd);
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_CLIENT, "", "connection_reset");
}

/* The kernel may deliver the answer before the thread that wrote has come back. */
Test(client, takes_an_answer_that_comes_before_the_write_returns, .fini = spans_stop)
{
	struct iovec part = { (char *)(uintptr_t)REQUEST, strlen(REQUEST) };
	struct shim_write w;
	int fd = start_client();
	ssize_t n;

	shim_write_begin(&w, fd, &part, 1, 0, SHIM_CALL_SEND);
	program_reads(fd, peer, RESPONSE);
	n = wire_take(&program_wire, w.iov, w.iovcnt);
	cr_assert_not(shim_write_again(&w, &n));
	cr_assert_eq(n, (ssize_t)strlen(REQUEST));
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_CLIENT, "200", "");
	program_writes(fd, REQUEST);
	program_reads(fd, peer, RESPONSE);
	cr_assert_eq(spans_read(), 2);
}

Test(client, pipelines_as_a_client, .fini = spans_stop)
{
	int fd = start_client();

	program_writes(fd, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
	program_reads(fd, peer, RESPONSE RESPONSE);
	cr_assert_eq(spans_read(), 2);
	cr_assert_str_eq(span_attribute(span_at(0), "url.full"), "http://a/1");
	cr_assert_str_eq(span_attribute(span_at(1), "url.full"), "http://a/2");
}

Test(client, leaves_a_tunnel_it_asked_for_alone, .fini = spans_stop)
{
	int fd = start_client();

	program_writes(fd, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n");
	program_reads(fd, peer, "HTTP/1.1 200 Established\r\n\r\n");
	cr_assert_not(shim_tracked(fd));
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_CLIENT, "200", "");
}

Test(client, gives_up_past_the_longest_pipeline_of_a_client)
{
	int fd = start_client();

	for (int i = 0; i < 300; i++)
		program_writes(fd, "GET / HTTP/1.1\r\n\r\n");
	cr_assert_eq(counted(opaque_limit), 1);
	cr_assert_not(shim_tracked(fd));
	spans_stop();
}

/* ---- who it is that is asked ---- */

static void connects(int fd, uint32_t address, int result, int error)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(8080),
				  .sin_addr.s_addr = htonl(address) };

	shim_on_connect(fd, (struct sockaddr *)&to, sizeof(to), result, error);
}

static void expect_peer(size_t i, const char *address)
{
	cr_assert_str_eq(span_attribute(span_at(i), "network.peer.address"), address);
	cr_assert_str_eq(span_attribute(span_at(i), "network.peer.port"), *address ? "8080" : "");
}

/* MSG_FASTOPEN, and TCP_FASTOPEN_CONNECT: the request leaves with the first packet. */
Test(client, knows_whom_it_asks_before_the_connection_stands, .fini = spans_stop)
{
	int fd = start_client();

	connects(fd, 0xc0000207, -1, EINPROGRESS);
	program_writes(fd, REQUEST);
	connects(fd, 0xc0000208, 0, 0);
	program_reads(fd, peer, RESPONSE);
	cr_assert_eq(spans_read(), 1);
	expect_peer(0, "192.0.2.7");
}

Test(client, knows_whom_it_asks_after_another_did_not_answer, .fini = spans_stop)
{
	int fd = start_client();

	connects(fd, 0xc0000207, -1, EINPROGRESS);
	connects(fd, 0xc0000208, -1, ECONNREFUSED);
	connects(fd, 0xc0000209, 0, 0);
	program_writes(fd, REQUEST);
	program_reads(fd, peer, RESPONSE);
	cr_assert_eq(spans_read(), 1);
	expect_peer(0, "192.0.2.9");
}

Test(client, asks_the_kernel_who_any_is, .fini = spans_stop)
{
	int fd = start_client();

	connects(fd, 0, 0, 0);
	program_writes(fd, REQUEST);
	program_reads(fd, peer, RESPONSE);
	cr_assert_eq(spans_read(), 1);
	cr_assert_str_neq(span_attribute(span_at(0), "network.peer.address"), "0.0.0.0");
}

/* connect() to AF_UNSPEC in the middle of an answer, then to somebody else. */
Test(client, starts_over_when_its_socket_does, .fini = spans_stop)
{
	static const struct sockaddr none = { .sa_family = AF_UNSPEC };
	int fd = start_client();

	connects(fd, 0xc0000207, 0, 0);
	program_writes(fd, REQUEST);
	program_writes(fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
	program_reads(fd, peer, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
	shim_on_connect(fd, &none, sizeof(none), -1, EAFNOSUPPORT);
	cr_assert_eq(spans_read(), 0);
	shim_on_connect(fd, &none, sizeof(none), 0, 0);
	cr_assert_eq(spans_read(), 2);
	expect_span(0, KIND_CLIENT, "200", "");
	expect_span(1, KIND_CLIENT, "", "aborted");
	expect_peer(1, "192.0.2.7");
	connects(fd, 0xc0000208, 0, 0);
	cr_assert_str_neq(traceparent_in(program_writes(fd, REQUEST)), "");
	program_reads(fd, peer, RESPONSE);
	cr_assert_eq(spans_read(), 3);
	expect_span(2, KIND_CLIENT, "200", "");
	expect_peer(2, "192.0.2.8");
}

/* ---- Expect: 100-continue, and an answer that does not wait for the body ---- */

#define EXPECT "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\nExpect: 100-continue\r\n\r\n"

/* RFC 9110 section 10.1.1 lets the server go on reading: the body is still due. */
Test(client, follows_a_body_that_comes_after_its_answer, .fini = spans_stop)
{
	int fd = start_client();

	program_writes(fd, EXPECT);
	program_reads(fd, peer, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
	program_writes(fd, "GET /y HTTP/1.1\r\nHost: a.example\r\n\r\n....");
	cr_assert_str_neq(traceparent_in(program_writes(fd, REQUEST)), "");
	program_reads(fd, peer, RESPONSE);
	cr_assert_eq(spans_read(), 2);
	expect_span(0, KIND_CLIENT, "417", "417");
	expect_span(1, KIND_CLIENT, "200", "");
}

/* Some clients leave the body out. Nobody can tell it from one that looks like a request: nothing
 * is put in, and the connection is given up when it shows. */
Test(client, touches_nothing_where_a_body_is_left_out, .fini = spans_stop)
{
	int fd = start_client();

	program_writes(fd, EXPECT);
	program_reads(fd, peer, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
	for (int i = 0; i < 3; i++) {
		cr_assert_str_eq(program_writes(fd, REQUEST), REQUEST);
		cr_assert_str_eq(program_reads(fd, peer, RESPONSE), RESPONSE);
	}
	cr_assert_eq(counted(opaque_framing), 1);
	cr_assert_eq(spans_read(), 1);
}
