/* SPDX-License-Identifier: Apache-2.0 */
#include "base/counters.h"
#include "shim_spans.h"

#include <arpa/inet.h>
#include <sys/ioctl.h>

static void start(void)
{
	spans_start_with("TAGALONG_INBOUND_HEADER=on");
}

static ssize_t receives(int fd, char *p, size_t n)
{
	struct iovec v = { p, n };
	struct shim_read r;
	ssize_t got;

	shim_read_begin(&r, fd, &v, 1, 0, SHIM_CALL_RECV);
	got = recv(fd, r.iov->iov_base, r.iov->iov_len, 0);
	return shim_read_end(&r, got, 0);
}

static int unread(int fd)
{
	int n = 0;

	ioctl(fd, FIONREAD, &n);
	shim_on_counted(fd, n);
	return n;
}

/* An edge-triggered program that asks FIONREAD after a read that filled its buffer, and counts down
 * from there to know when the socket is empty, as nginx does. */
struct counting {
	int fd;
	int available; /* -1: not known */
	bool ready;
	size_t total;
};

static void read_once(struct counting *c, size_t room)
{
	static char buffer[65536];
	ssize_t n = receives(c->fd, buffer, room);

	if (n <= 0) {
		c->ready = false;
		return;
	}
	c->total += (size_t)n;
	if (c->available >= 0) {
		c->available -= (int)n;
		if (c->available < 0) {
			c->available = 0;
			c->ready = false;
		}
	} else if ((size_t)n == room) {
		c->available = unread(c->fd);
	}
	if ((size_t)n < room) {
		c->ready = false;
		c->available = 0;
	}
}

static size_t put_request(char *to, size_t body)
{
	int n = sprintf(to, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", body);

	memset(to + n, 'b', body);
	return (size_t)n + body;
}

static void pipelined(size_t body, size_t room)
{
	static char wire[131072];
	size_t n = 0;
	int peer, fd = fixture_socket(&peer, true, false);
	struct counting c = { .fd = fd, .available = -1, .ready = true };

	while (n < 20000)
		n += put_request(wire + n, body);
	cr_assert_eq(write(peer, wire, n), (ssize_t)n);
	while (c.ready)
		read_once(&c, room);
	cr_assert_eq(unread(fd), 0, "body %zu, room %zu: %d bytes are left behind", body, room,
		     unread(fd));
	cr_assert_geq(c.total, n);
	fixture_close(fd, peer);
}

Test(inbound, never_makes_a_program_that_counts_believe_the_socket_empty, .init = start,
     .fini = spans_stop, .timeout = 60)
{
	static const size_t rooms[] = { 288, 512, 1024, 1500, 4096, 16384 };

	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
		for (size_t body = 0; body < 4000; body += 37)
			pipelined(body, rooms[i]);
}

/* What the program finds in its buffer after one read. */
static const char *read_whole(const char *sent, size_t room)
{
	static char buffer[4096];
	int peer, fd = fixture_socket(&peer, true, false);
	ssize_t n;

	cr_assert_eq(write(peer, sent, strlen(sent)), (ssize_t)strlen(sent));
	n = receives(fd, buffer, room);
	cr_assert_gt(n, 0);
	buffer[n] = '\0';
	fixture_close(fd, peer);
	return buffer;
}

Test(inbound, puts_a_header_into_each_pipelined_request, .init = start, .fini = spans_stop)
{
	const char *got =
		read_whole("GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\n\r\n", 4000);
	const char *first = strstr(got, "traceparent: 00-");

	cr_assert_not_null(first);
	cr_assert_not_null(strstr(first + 1, "traceparent: 00-"));
	cr_assert_str_eq(got + strlen(got) - 4, "\r\n\r\n");
}

/* A proxy is asked for a tunnel: where it passes that on, no header may be in it. */
Test(inbound, adds_nothing_to_connect, .init = start, .fini = spans_stop)
{
	static const char sent[] = "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n";

	cr_assert_str_eq(read_whole(sent, 4000), sent);
}

Test(inbound, leaves_a_head_alone_that_has_no_room, .init = start, .fini = spans_stop)
{
	static const char sent[] = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

	cr_assert_str_eq(read_whole(sent, sizeof(sent) - 1), sent);
	cr_assert_str_eq(read_whole(sent, sizeof(sent) + 60), sent);
}

/* ---- whatever the buffer and the arrival ---- */

static const char conversation[] =
	"POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 90\r\n\r\n"
	"123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
	"GET /b HTTP/1.1\nHost: b\nX-Filler: ----------------------------------------\n\n"
	"\r\nPUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n"
	"GET /d HTTP/1.1\r\n\r\n";

/* Takes the header lines that are ours out of a text; how many there were. */
static unsigned without_ours(char *text, size_t *n)
{
	unsigned found = 0;
	char *p;

	text[*n] = 0;
	while ((p = strstr(text, "traceparent: 00-")) != NULL) {
		size_t line = strcspn(p, "\n") + 1;

		cr_assert(line == 13 + 55 + 1 || line == 13 + 55 + 2);
		/* In front of the blank line, with the head's own line end. */
		cr_assert_eq(p[-1], '\n');
		cr_assert_eq(p[line], line == 70 ? '\r' : '\n');
		memmove(p, p + line, *n - (size_t)(p - text) - line + 1);
		*n -= line;
		found++;
	}
	return found;
}

/* The peer sends so many bytes at a time; the program reads until a read is not full, as one does
 * that is told of arrivals only. Returns the number of headers it was given. */
static unsigned converse(size_t arrival, size_t room, enum shim_call call, int flags)
{
	static char got[8192];
	size_t total = 0, sent = 0;
	int peer, fd = fixture_socket(&peer, true, false);
	unsigned found;

	while (sent < strlen(conversation)) {
		size_t n = strlen(conversation) - sent;
		ssize_t r;

		n = n < arrival ? n : arrival;
		cr_assert_eq(write(peer, conversation + sent, n), (ssize_t)n);
		sent += n;
		do {
			r = program_receives(fd, got + total, room, flags, call);
			total += r > 0 ? (size_t)r : 0;
		} while (r == (ssize_t)room);
		cr_assert_eq(unread(fd), 0, "arrival %zu, room %zu", arrival, room);
	}
	found = without_ours(got, &total);
	cr_assert_eq(total, strlen(conversation), "arrival %zu, room %zu", arrival, room);
	cr_assert_eq(memcmp(got, conversation, total), 0, "arrival %zu, room %zu", arrival, room);
	fixture_close(fd, peer);
	return found;
}

static void converse_all(enum shim_call call)
{
	for (size_t arrival = 1; arrival < sizeof(conversation); arrival += 1 + arrival / 40)
		for (size_t room = 1; room < 700; room += 1 + room / 50)
			cr_assert_leq(converse(arrival, room, call, 0), 4);
}

Test(inbound, adds_nothing_but_one_header_to_recv, .init = start, .fini = spans_stop,
     .timeout = 120)
{
	converse_all(SHIM_CALL_RECV);
}

Test(inbound, adds_nothing_but_one_header_to_read, .init = start, .fini = spans_stop,
     .timeout = 120)
{
	converse_all(SHIM_CALL_READ);
}

Test(inbound, adds_nothing_but_one_header_to_readv, .init = start, .fini = spans_stop,
     .timeout = 120)
{
	converse_all(SHIM_CALL_READV);
}

Test(inbound, finds_room_by_reserving_it, .init = start, .fini = spans_stop)
{
	/* Even the read that all bytes would just fill has room for one. */
	cr_assert_geq(converse(1000, strlen(conversation), SHIM_CALL_RECV, 0), 1);
	cr_assert_eq(converse(1000, strlen(conversation) + 4 * 72, SHIM_CALL_RECV, 0), 4);
}

Test(inbound, adds_nothing_where_all_bytes_are_waited_for, .init = start, .fini = spans_stop)
{
	cr_assert_eq(converse(1000, 1000, SHIM_CALL_RECV, MSG_WAITALL), 0);
}

/* What was peeked at comes again; only then it is read. */
Test(inbound, adds_nothing_to_what_is_peeked_at, .init = start, .fini = spans_stop)
{
	static char got[4096];
	int peer, fd = fixture_socket(&peer, true, false);
	ssize_t n;

	cr_assert_eq(write(peer, REQUEST, strlen(REQUEST)), (ssize_t)strlen(REQUEST));
	for (int i = 0; i < 3; i++) {
		n = program_receives(fd, got, sizeof(got), MSG_PEEK, SHIM_CALL_RECV);
		cr_assert_eq(n, (ssize_t)strlen(REQUEST));
		cr_assert_eq(memcmp(got, REQUEST, strlen(REQUEST)), 0);
	}
	n = program_receives(fd, got, sizeof(got), 0, SHIM_CALL_RECV);
	cr_assert_eq(n, (ssize_t)strlen(REQUEST) + 70);
	fixture_close(fd, peer);
}

/* ---- limits of the program's own ---- */

static unsigned headers_in(unsigned lines, size_t filler)
{
	static char sent[70000], got[80000];
	int peer, fd = fixture_socket(&peer, true, false);
	size_t n = (size_t)sprintf(sent, "GET / HTTP/1.1\r\n");
	ssize_t r;

	for (unsigned i = 0; i + 1 < lines; i++)
		n += (size_t)sprintf(sent + n, "A: %u\r\n", i);
	n += (size_t)sprintf(sent + n, "B: ");
	memset(sent + n, 'b', filler);
	n += filler;
	n += (size_t)sprintf(sent + n, "\r\n\r\n");
	cr_assert_eq(write(peer, sent, n), (ssize_t)n);
	r = program_receives(fd, got, sizeof(got), 0, SHIM_CALL_RECV);
	fixture_close(fd, peer);
	return (size_t)r > n;
}

Test(inbound, pushes_no_head_across_a_usual_limit, .init = start, .fini = spans_stop)
{
	cr_assert_eq(headers_in(63, 1), 1);
	cr_assert_eq(headers_in(64, 1), 0);
	cr_assert_eq(headers_in(65, 1), 1);
	cr_assert_eq(headers_in(100, 1), 0);
	cr_assert_eq(headers_in(128, 1), 0);
	cr_assert_eq(headers_in(1, 4096 - 23 - 71), 1);
	cr_assert_eq(headers_in(1, 4096 - 23 - 60), 0);
	cr_assert_eq(headers_in(1, 8192 - 23 - 60), 0);
	cr_assert_eq(headers_in(1, 9000), 1);
}

/* ---- the header that came ---- */

#define REQUEST_WITH_PARENT "GET /x HTTP/1.1\r\ntraceparent: " PARENT "\r\nHost: a\r\n\r\n"

/* Reads the request in two parts; the value the program sees. */
static const char *value_read(size_t cut)
{
	static char got[4096];
	int peer, fd = fixture_socket(&peer, true, false);
	size_t n = 0, all = strlen(REQUEST_WITH_PARENT);

	for (size_t from = 0; from < all; from = cut, cut = all) {
		cr_assert_eq(write(peer, REQUEST_WITH_PARENT + from, cut - from),
			     (ssize_t)(cut - from));
		n += (size_t)program_receives(fd, got + n, 1000, 0, SHIM_CALL_RECV);
	}
	got[n] = 0;
	cr_assert_eq(n, all);
	program_writes(fd, RESPONSE);
	fixture_close(fd, peer);
	return traceparent_in(got);
}

Test(inbound, writes_our_id_over_the_callers, .init = start, .fini = spans_stop)
{
	char expected[64];
	const char *seen = value_read(strlen(REQUEST_WITH_PARENT));

	cr_assert_eq(spans_read(), 1);
	snprintf(expected, sizeof(expected), "00-" PARENT_TRACE "-%s-03",
		 span_field(span_at(0), "spanId"));
	cr_assert(strncmp(seen, expected, 53) == 0, "%s", seen);
	cr_assert_str_eq(span_field(span_at(0), "parentSpanId"), PARENT_SPAN);
	cr_assert_str_eq(span_field(span_at(0), "traceId"), PARENT_TRACE);
}

Test(inbound, leaves_a_value_alone_that_does_not_lie_whole_in_the_buffer, .init = start,
     .fini = spans_stop)
{
	const char *blank = strstr(REQUEST_WITH_PARENT, "00-");
	size_t value = (size_t)(blank - REQUEST_WITH_PARENT);

	for (size_t cut = 1; cut < strlen(REQUEST_WITH_PARENT); cut++) {
		bool ours = strncmp(value_read(cut), PARENT, 55) != 0;

		cr_assert_eq(ours, cut <= value, "cut %zu", cut);
	}
}

Test(inbound, leaves_the_callers_header_alone_when_not_sampled, .fini = spans_stop)
{
	spans_start_with("TAGALONG_INBOUND_HEADER=on", "OTEL_TRACES_SAMPLER=always_off");
	cr_assert_str_eq(value_read(1), PARENT);
	cr_assert_str_eq(value_read(strlen(REQUEST_WITH_PARENT)), PARENT);
	cr_assert_eq(spans_read(), 0);
}

/* Else the requests it causes would be new traces, and sampled by themselves. */
Test(inbound, says_in_the_header_it_adds_that_a_request_is_not_sampled, .fini = spans_stop)
{
	const char *seen;

	spans_start_with("TAGALONG_INBOUND_HEADER=on", "OTEL_TRACES_SAMPLER=always_off");
	seen = traceparent_in(read_whole(REQUEST, 4000));
	cr_assert_eq(strlen(seen), 55);
	cr_assert_str_eq(seen + 52, "-02");
}

Test(inbound, adds_no_header_to_an_excluded_request, .fini = spans_stop)
{
	spans_start_with("TAGALONG_INBOUND_HEADER=on", "TAGALONG_EXCLUDE_PATHS=/x");
	cr_assert_str_eq(read_whole(REQUEST, 4000), REQUEST);
}

/* The program may pass it on to any host. */
Test(inbound, adds_no_header_where_not_every_host_may_have_it, .fini = spans_stop)
{
	spans_start_with("TAGALONG_INBOUND_HEADER=on", "TAGALONG_PROPAGATE_TO=*.example");
	cr_assert_str_eq(read_whole(REQUEST, 4000), REQUEST);
}

Test(inbound, leaves_all_alone_when_off, .fini = spans_stop)
{
	spans_start_with("TAGALONG_INBOUND_HEADER=off");
	cr_assert_str_eq(value_read(strlen(REQUEST_WITH_PARENT)), PARENT);
	cr_assert_eq(converse(1000, 4000, SHIM_CALL_RECV, 0), 0);
}

Test(inbound, adds_no_header_for_a_program_that_passes_none_on, .fini = spans_stop)
{
	spans_start(NULL);
	cr_assert_eq(converse(1000, 4000, SHIM_CALL_RECV, 0), 0);
	/* A value that is there is written over all the same. */
	cr_assert_str_neq(value_read(strlen(REQUEST_WITH_PARENT)), PARENT);
}

Test(inbound, leaves_a_second_traceparent_and_an_invalid_one_alone, .init = start,
     .fini = spans_stop)
{
	static const char *const heads[] = {
		"GET / HTTP/1.1\r\ntraceparent: " PARENT "\r\ntraceparent: " PARENT "\r\n\r\n",
		"GET / HTTP/1.1\r\ntraceparent: 00-00000000000000000000000000000000-"
		"b7ad6b7169203331-01\r\n\r\n",
		"GET / HTTP/1.1\r\ntraceparent: \r\n\r\n",
	};

	for (size_t i = 0; i < 3; i++)
		cr_assert_str_eq(read_whole(heads[i], 4000), heads[i]);
}

/* An error that waits behind the bytes is told once, and by the program's own call. */
Test(inbound, leaves_an_error_to_the_program, .init = start, .fini = spans_stop)
{
	static char got[4096];
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	struct linger reset = { 1, 0 };
	socklen_t len = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM, 0), client, fd;
	size_t room = strlen(conversation);

	cr_assert_eq(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(connect(client, (struct sockaddr *)&a, sizeof(a)), 0);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	shim_on_accept(listener, fd, NULL, 0);
	cr_assert_eq(write(client, conversation, room - 72), (ssize_t)room - 72);
	setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(client);
	cr_assert_gt(program_receives(fd, got, room, 0, SHIM_CALL_RECV), 0);
	cr_assert_eq(program_receives(fd, got, room, 0, SHIM_CALL_RECV), -1);
	cr_assert_eq(errno, ECONNRESET);
	close(fd);
	close(listener);
}

/* The id in the program's buffer, of the request "/a" that came with PARENT; passed on to `host`.
 */
static const char *passed_on_to(const char *host)
{
	char request[512];
	int in, out, in_peer, out_peer;

	in = fixture_socket(&in_peer, true, true);
	out = fixture_socket(&out_peer, false, true);
	snprintf(request, sizeof(request), "GET /b HTTP/1.1\r\nHost: %s\r\ntraceparent: %s\r\n\r\n",
		 host,
		 traceparent_in(program_reads(in, in_peer,
					      "GET /a HTTP/1.1\r\nHost: a\r\ntraceparent: " PARENT
					      "\r\n\r\n")));
	cr_assert_null(strstr(request, PARENT_SPAN));
	return traceparent_in(program_writes(out, request));
}

Test(inbound, an_id_of_ours_is_replaced_for_a_host_that_may_have_one, .fini = spans_stop)
{
	spans_start_with("TAGALONG_PROPAGATE_TO=*.example");
	cr_assert_null(strstr(passed_on_to("a.example"), PARENT_SPAN));
}

Test(inbound, a_host_that_may_not_have_it_gets_what_came_in, .fini = spans_stop)
{
	spans_start_with("TAGALONG_PROPAGATE_TO=*.example");
	cr_assert_str_eq(passed_on_to("elsewhere"), PARENT);
}
