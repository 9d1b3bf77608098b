/* SPDX-License-Identifier: Apache-2.0 */
/* The two state machines of a connection that serves: which spans a course of bytes gives. */
#include "base/counters.h"
#include "shim_spans.h"
#include "shim/wire/http1.h"

static int peer;

static int start_server(void)
{
	spans_start(NULL);
	return fixture_socket(&peer, true, false);
}

Test(stream, writes_a_server_span_when_the_response_is_whole, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer, REQUEST);
	program_writes(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
	cr_assert_eq(spans_read(), 0);
	program_writes(fd, "o");
	cr_assert_eq(spans_read(), 0);
	program_writes(fd, "k");
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_SERVER, "200", "");
}

Test(stream, follows_keep_alive_with_bodies_of_all_kinds, .fini = spans_stop)
{
	static const char *const course[][3] = {
		{ "GET /1 HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
		  "200" },
		{ "HEAD /2 HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
		  "200" },
		{ "GET /3 HTTP/1.1\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n", "204" },
		{ "GET /4 HTTP/1.1\r\n\r\n", "HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n",
		  "304" },
		{ "POST /5 HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345",
		  "HTTP/1.1 201 C\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nA: "
		  "b\r\n\r\n",
		  "201" },
		{ "POST /6 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n",
		  "HTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n",
		  "404" },
		{ "\r\nGET /7 HTTP/1.1\nHost: a\n\n", "HTTP/1.1 200 OK\nContent-Length: 1\n\nx",
		  "200" },
	};
	const size_t n = sizeof(course) / sizeof(course[0]);
	int fd = start_server();

	for (size_t i = 0; i < n; i++) {
		program_reads(fd, peer, course[i][0]);
		program_writes(fd, course[i][1]);
	}
	cr_assert_eq(spans_read(), n);
	for (size_t i = 0; i < n; i++)
		expect_span(i, KIND_SERVER, course[i][2], "");
}

/* The whole course cut into reads and writes of one size. */
static void run_cut(int fd, size_t size)
{
	static const char request[] =
		"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		"5\r\n12345\r\n0\r\nX: y\r\n\r\n";
	static const char response[] = "HTTP/1.1 100 Continue\r\n\r\n"
				       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				       "3\r\nabc\r\n0\r\n\r\n";
	char part[256];

	for (size_t i = 0; i < strlen(request); i += size) {
		snprintf(part, size + 1, "%s", request + i);
		cr_assert_str_eq(program_reads(fd, peer, part), part);
	}
	for (size_t i = 0; i < strlen(response); i += size) {
		snprintf(part, size + 1, "%s", response + i);
		cr_assert_str_eq(program_writes(fd, part), part);
	}
}

Test(stream, sees_the_same_however_bytes_are_cut, .fini = spans_stop)
{
	int fd = start_server();
	size_t n = 0;

	for (size_t size = 1; size < 100; size++) {
		run_cut(fd, size);
		n++;
	}
	cr_assert_eq(spans_read(), n);
	for (size_t i = 0; i < n; i++)
		expect_span(i, KIND_SERVER, "200", "");
	cr_assert_eq(counted(opaque_framing), 0);
}

Test(stream, matches_pipelined_requests_with_their_responses, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer,
		      "GET /1 HTTP/1.1\r\n\r\nHEAD /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n");
	program_writes(fd, "HTTP/1.1 201 OK\r\nContent-Length: 2\r\n\r\nok"
			   "HTTP/1.1 202 OK\r\nContent-Length: 2\r\n\r\n"
			   "HTTP/1.1 203 OK\r\nContent-Length: 2\r\n\r\nok");
	cr_assert_eq(spans_read(), 3);
	for (size_t i = 0; i < 3; i++) {
		char code[4] = { '2', '0', (char)('1' + i), 0 }, path[3] = { '/', code[2], 0 };

		expect_span(i, KIND_SERVER, code, "");
		cr_assert_str_eq(span_attribute(span_at(i), "url.path"), path);
	}
}

Test(stream, gives_up_past_the_longest_pipeline)
{
	int fd = start_server();

	for (int i = 0; i < 300; i++)
		program_reads(fd, peer, "GET / HTTP/1.1\r\n\r\n");
	cr_assert_eq(counted(opaque_limit), 1);
	cr_assert_not(shim_tracked(fd));
	spans_stop();
}

Test(stream, takes_a_request_body_that_still_comes_after_the_response, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer, "POST /1 HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345");
	program_writes(fd, "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");
	program_reads(fd, peer, "67890GET /2 HTTP/1.1\r\n\r\n");
	program_writes(fd, RESPONSE);
	cr_assert_eq(spans_read(), 2);
	expect_span(0, KIND_SERVER, "413", "");
	expect_span(1, KIND_SERVER, "200", "");
	cr_assert_str_eq(span_attribute(span_at(1), "url.path"), "/2");
}

Test(stream, ends_an_until_close_response_at_the_close, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer, "GET / HTTP/1.0\r\n\r\n");
	program_writes(fd, "HTTP/1.0 200 OK\r\n\r\nhello");
	cr_assert_eq(spans_read(), 0);
	program_closes(fd);
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_SERVER, "200", "");
}

Test(stream, ends_an_until_close_response_at_shutdown, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer, "GET / HTTP/1.0\r\n\r\n");
	program_writes(fd, "HTTP/1.0 200 OK\r\n\r\nhello");
	shutdown(fd, SHUT_WR);
	shim_on_shutdown(fd, SHUT_WR);
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_SERVER, "200", "");
	program_closes(fd);
	cr_assert_eq(spans_read(), 1);
}

Test(stream, calls_a_request_closed_without_answer_an_error, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer, REQUEST);
	program_closes(fd);
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_SERVER, "", "aborted");
}

Test(stream, calls_a_request_whose_client_went_away_an_error, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer, REQUEST);
	program_reads_end(fd, peer);
	/* It may have closed its sending side only, and wait for the answer. */
	cr_assert_eq(spans_read(), 0);
	program_closes(fd);
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_SERVER, "", "connection_closed");
}

Test(stream, sees_at_the_close_that_the_client_went_away_before, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer, REQUEST);
	/* The program learns it from poll(), say, and reads no end of the stream. */
	close(peer);
	program_closes(fd);
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_SERVER, "", "connection_closed");
}

Test(stream, calls_an_answer_it_cannot_read_an_error, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer, REQUEST);
	program_writes(fd, "this is no HTTP\r\n\r\n");
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_SERVER, "", "_OTHER");
}

Test(stream, knows_the_status_of_a_head_that_is_too_long, .fini = spans_stop)
{
	static char head[HTTP1_HEAD_MAX + 100] = "HTTP/1.1 503 No\r\nX: ";
	int fd = start_server();
	size_t n = strlen(head);

	memset(head + n, 'x', sizeof(head) - n - 1);
	program_reads(fd, peer, REQUEST);
	program_writes(fd, head);
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_SERVER, "503", "503");
}

Test(stream, knows_the_status_of_an_answer_with_doubtful_framing, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer, REQUEST);
	program_writes(fd,
		       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello");
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_SERVER, "200", "");
}

Test(stream, answers_a_client_that_has_closed_its_half, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer, REQUEST);
	program_reads_end(fd, peer);
	program_writes(fd, RESPONSE);
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_SERVER, "200", "");
}

Test(stream, calls_a_response_cut_short_an_error, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer, REQUEST);
	program_writes(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
	program_write_fails(fd, "67890", ECONNRESET);
	program_closes(fd);
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_SERVER, "200", "connection_reset");
}

Test(stream, writes_the_span_of_an_event_stream_when_it_opens, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer, REQUEST);
	program_writes(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n");
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_SERVER, "200", "");
	program_writes(fd, "data: y\n\n");
	program_closes(fd);
	cr_assert_eq(spans_read(), 1);
}

Test(stream, goes_on_after_an_event_stream_that_ends, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer, REQUEST);
	program_writes(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
			   "Transfer-Encoding: chunked\r\n\r\n9\r\ndata: x\n\n\r\n");
	program_writes(fd, "0\r\n\r\n");
	program_reads(fd, peer, REQUEST);
	program_writes(fd, RESPONSE);
	cr_assert_eq(spans_read(), 2);
}

Test(stream, leaves_an_upgraded_connection_alone, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer,
		      "GET /ws HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
	program_writes(
		fd, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\n\r\nGET / HTTP/1.1\r\n\r\n");
	cr_assert_not(shim_tracked(fd));
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_SERVER, "101", "");
	cr_assert_eq(counted(opaque_switched), 1);
}

Test(stream, goes_on_when_an_upgrade_is_not_taken, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer, "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n");
	program_writes(fd, RESPONSE);
	program_reads(fd, peer, REQUEST);
	program_writes(fd, RESPONSE);
	cr_assert_eq(spans_read(), 2);
}

Test(stream, leaves_a_tunnel_alone, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n");
	program_writes(fd, "HTTP/1.1 200 Established\r\n\r\n");
	cr_assert_not(shim_tracked(fd));
	cr_assert_eq(spans_read(), 1);
}

Test(stream, goes_on_when_a_tunnel_is_refused, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n");
	program_writes(fd, "HTTP/1.1 407 Auth\r\nContent-Length: 0\r\n\r\n");
	program_reads(fd, peer, REQUEST);
	program_writes(fd, RESPONSE);
	cr_assert_eq(spans_read(), 2);
	expect_span(0, KIND_SERVER, "407", "");
	expect_span(1, KIND_SERVER, "200", "");
}

Test(stream, gives_up_when_bytes_followed_a_refused_tunnel, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer,
		      "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nGET / HTTP/1.1\r\n\r\n");
	program_writes(fd, "HTTP/1.1 407 Auth\r\nContent-Length: 0\r\n\r\n");
	cr_assert_not(shim_tracked(fd));
	cr_assert_eq(spans_read(), 1);
	expect_span(0, KIND_SERVER, "407", "");
}

Test(stream, gives_up_an_answer_to_nothing)
{
	int fd = start_server();

	program_reads(fd, peer, REQUEST);
	program_writes(fd, RESPONSE);
	program_writes(fd, "HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n");
	cr_assert_not(shim_tracked(fd));
	cr_assert_eq(spans_read(), 1);
	spans_stop();
}

Test(stream, gives_up_framing_that_two_receivers_could_read_differently)
{
	static const char *const requests[] = {
		"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
		"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
	};

	spans_start(NULL);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		int fd = fixture_socket(&peer, true, false);

		cr_assert_str_eq(program_reads(fd, peer, requests[i]), requests[i]);
		cr_assert_not(shim_tracked(fd), "%zu", i);
		close(fd);
		fd = fixture_socket(&peer, false, false);
		cr_assert_str_eq(program_writes(fd, requests[i]), requests[i]);
		cr_assert_not(shim_tracked(fd), "%zu", i);
		close(fd);
	}
	cr_assert_eq(counted(opaque_framing), 10);
	spans_stop();
}

Test(stream, leaves_other_protocols_alone)
{
	int fd = start_server();

	program_reads(fd, peer, "\x16\x03\x01\x02");
	cr_assert_not(shim_tracked(fd));
	fd = fixture_socket(&peer, true, false);
	program_writes(fd, "220 mail ESMTP\r\n");
	cr_assert_not(shim_tracked(fd));
	fd = fixture_socket(&peer, false, false);
	program_reads(fd, peer, "HTTP/1.1 200 OK\r\n\r\n");
	cr_assert_not(shim_tracked(fd));
	cr_assert_eq(counted(connections_other), 3);
	cr_assert_eq(counted(opaque_framing), 0);
	spans_stop();
}

Test(stream, counts_file_bytes_into_the_body, .fini = spans_stop)
{
	int fd = start_server();

	program_reads(fd, peer, REQUEST);
	program_writes(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
	shim_on_sent_unseen(fd, 60000);
	cr_assert_eq(spans_read(), 0);
	shim_on_sent_unseen(fd, 40000);
	cr_assert_eq(spans_read(), 1);
	program_reads(fd, peer, "POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\n");
	shim_on_received_unseen(fd, 7);
	program_writes(fd, RESPONSE);
	cr_assert_eq(spans_read(), 2);
}

Test(stream, gives_up_when_file_bytes_are_no_body)
{
	int fd = start_server();

	program_reads(fd, peer, REQUEST);
	shim_on_sent_unseen(fd, 100);
	cr_assert_not(shim_tracked(fd));
	spans_stop();
}

/* The first half of a send: the kernel has everything, the thread has not come back yet. */
static ssize_t send_begins(struct shim_write *w, struct iovec *iov, int fd, const char *text)
{
	*iov = (struct iovec){ (char *)(uintptr_t)text, strlen(text) };
	shim_write_begin(w, fd, iov, 1, 0, SHIM_CALL_SEND);
	return (ssize_t)strlen(text);
}

Test(stream, lets_the_next_answer_overtake_a_sender_on_its_way_back, .fini = spans_stop)
{
	static const char first[] = "HTTP/1.1 201 OK\r\nContent-Length: 2\r\n\r\nok";
	static const char second[] = "HTTP/1.1 202 OK\r\nContent-Length: 2\r\n\r\nok";
	int fd = start_server();
	struct shim_write w[2];
	struct iovec iov[2];
	ssize_t n[2];

	program_reads(fd, peer, "GET /1 HTTP/1.1\r\n\r\n");
	n[0] = send_begins(&w[0], &iov[0], fd, first);
	/* The client has its answer and asks again; another thread answers that at once. */
	program_reads(fd, peer, "GET /2 HTTP/1.1\r\n\r\n");
	n[1] = send_begins(&w[1], &iov[1], fd, second);
	cr_assert_not(shim_write_again(&w[1], &n[1]));
	cr_assert_not(shim_write_again(&w[0], &n[0]));
	cr_assert_eq(n[0], (ssize_t)strlen(first));
	cr_assert_eq(n[1], (ssize_t)strlen(second));
	program_reads(fd, peer, "GET /3 HTTP/1.1\r\n\r\n");
	program_writes(fd, "HTTP/1.1 203 OK\r\nContent-Length: 2\r\n\r\nok");
	cr_assert(shim_tracked(fd));
	cr_assert_eq(spans_read(), 3);
	expect_span(0, KIND_SERVER, "201", "");
	expect_span(1, KIND_SERVER, "202", "");
	expect_span(2, KIND_SERVER, "203", "");
}

Test(stream, gives_up_when_two_write_at_once, .fini = spans_stop)
{
	int fd = start_server();
	struct shim_write w[2];
	struct iovec iov[2];
	ssize_t n[2];

	program_reads(fd, peer, "GET /1 HTTP/1.1\r\n\r\n");
	n[0] = send_begins(&w[0], &iov[0], fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
	n[1] = send_begins(&w[1], &iov[1], fd, "ok");
	cr_assert_not(shim_write_again(&w[0], &n[0]));
	cr_assert_not(shim_write_again(&w[1], &n[1]));
	cr_assert_eq(counted(opaque_concurrent), 1);
	cr_assert_not(shim_tracked(fd));
}
