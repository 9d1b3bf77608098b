/* SPDX-License-Identifier: Apache-2.0 */
/* The same for a connection on which the program asks. */
#include "base/counters.h"
#include "shim_spans.h"

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
