/* SPDX-License-Identifier: Apache-2.0 */
/* The transaction: whatever way a head is cut by the program and by the kernel, the wire carries it
 * with exactly one traceparent in front of its blank line, and the program is told what it would
 * have been told without us. */
#include <criterion/criterion.h>
#include "base/counters.h"
#include "shim_fixture.h"

static const char *const heads[] = {
	"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.0\r\n\r\n",
	"POST /x HTTP/1.1\r\nHost: b.example:8080\r\nContent-Length: 5\r\n\r\nhello",
	"POST /x HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc",
	"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
};

static struct wire wire;

/* Bytes of our header line that stand at p, or 0. */
static size_t own_line(const char *p)
{
	static const char name[] = "traceparent: 00-";
	size_t n;

	if (strncmp(p, name, strlen(name)) != 0)
		return 0;
	n = strcspn(p, "\r\n");
	cr_assert_eq(n, 13 + 55);
	return n + (p[n] == '\r' ? 2 : 1);
}

static void check_wire(const char *program, const char *what, size_t a, size_t b)
{
	char *blank;
	size_t before, own;

	wire.bytes[wire.n] = 0;
	blank = strstr(program, "\r\n\r\n");
	before = blank ? (size_t)(blank - program) + 2
		       : (size_t)(strstr(program, "\n\n") - program) + 1;
	cr_assert(strncmp(wire.bytes, program, before) == 0, "%s %zu/%zu: head changed", what, a,
		  b);
	own = own_line(wire.bytes + before);
	cr_assert(own > 0, "%s %zu/%zu: no header: %s", what, a, b, wire.bytes);
	cr_assert_str_eq(wire.bytes + before + own, program + before, "%s %zu/%zu", what, a, b);
	cr_assert_null(strstr(wire.bytes + before + own, "traceparent"));
}

/* Writes program[from, to), in `parts` parts, until all is taken. */
static void write_all(int fd, const char *program, size_t from, size_t to, unsigned parts,
		      enum shim_call call)
{
	unsigned tries = 0;

	while (from < to) {
		struct iovec iov[4];
		size_t left = to - from, at = from, step = left / parts;
		size_t calls = wire.calls, before = wire.n;
		ssize_t n;

		for (unsigned i = 0; i < parts; i++) {
			size_t part = i + 1 == parts ? to - at : step;

			iov[i] = (struct iovec){ (char *)(uintptr_t)program + at, part };
			at += part;
		}
		n = wire_write(&wire, fd, iov, (int)parts, call);
		cr_assert(++tries < 1000, "stuck");
		if (n < 0) {
			cr_assert_eq(errno, EAGAIN);
			continue;
		}
		cr_assert(n > 0);
		/* Short only if the kernel was: it took less than it was offered. */
		if ((size_t)n < left)
			cr_assert(wire.limit &&
				  wire.n - before <= (wire.calls - calls) * wire.limit);
		from += (size_t)n;
	}
}

static void run(const char *program, size_t cut, size_t limit, unsigned parts, enum shim_call call,
		bool blocking)
{
	int peer, fd = fixture_socket(&peer, false, blocking);

	memset(&wire, 0, offsetof(struct wire, bytes));
	wire = (struct wire){ .limit = limit };
	write_all(fd, program, 0, cut, parts, call);
	write_all(fd, program, cut, strlen(program), parts, call);
	fixture_close(fd, peer);
}

static void run_all(enum shim_call call, unsigned parts, const char *what)
{
	fixture_start(NULL);
	for (unsigned h = 0; h < sizeof(heads) / sizeof(heads[0]); h++) {
		for (size_t cut = 0; cut <= strlen(heads[h]); cut++)
			for (size_t limit = 0; limit < strlen(heads[h]) + 80; limit++)
				for (int blocking = 0; blocking < 2; blocking++) {
					run(heads[h], cut, limit, parts, call, blocking);
					check_wire(heads[h], what, cut, limit);
				}
	}
}

Test(inject, adds_one_header_to_write, .timeout = 120)
{
	run_all(SHIM_CALL_WRITE, 1, "write");
}

Test(inject, adds_one_header_to_writev_of_three_parts, .timeout = 120)
{
	run_all(SHIM_CALL_WRITEV, 3, "writev");
}

Test(inject, adds_one_header_to_sendmsg_of_two_parts, .timeout = 120)
{
	run_all(SHIM_CALL_SENDMSG, 2, "sendmsg");
}

Test(inject, adds_one_header_to_a_head_written_byte_by_byte)
{
	fixture_start(NULL);
	for (unsigned h = 0; h < sizeof(heads) / sizeof(heads[0]); h++) {
		int peer, fd = fixture_socket(&peer, false, false);

		wire = (struct wire){ .limit = sizeof(wire.bytes) };
		for (size_t i = 0; i < strlen(heads[h]); i++)
			write_all(fd, heads[h], i, i + 1, 1, SHIM_CALL_SEND);
		check_wire(heads[h], "bytes", h, 1);
		fixture_close(fd, peer);
	}
}

Test(inject, does_not_make_1024_parts_1025)
{
	static struct iovec iov[1024];
	static char head[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1023\r\n\r\n";
	int peer, fd;
	ssize_t n;

	fixture_start(NULL);
	fd = fixture_socket(&peer, false, false);
	wire = (struct wire){ .limit = sizeof(wire.bytes) };
	iov[0] = (struct iovec){ head, strlen(head) };
	for (int i = 1; i < 1024; i++)
		iov[i] = (struct iovec){ (char *)"x", 1 };
	n = wire_write(&wire, fd, iov, 1024, SHIM_CALL_WRITEV);
	cr_assert_eq(n, (ssize_t)strlen(head) + 1023);
	cr_assert_eq(wire.n, (size_t)n + 70);
	fixture_close(fd, peer);
}

Test(inject, sends_a_large_body_in_the_same_write)
{
	static char program[200000];
	static const char head[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 199900\r\n\r\n";
	size_t n = strlen(head) + 199900;
	struct iovec iov = { program, n };
	int peer, fd;

	fixture_start(NULL);
	memset(program, 'b', sizeof(program));
	memcpy(program, head, strlen(head));
	fd = fixture_socket(&peer, false, true);
	wire = (struct wire){ .limit = sizeof(wire.bytes) };
	cr_assert_eq(wire_write(&wire, fd, &iov, 1, SHIM_CALL_WRITE), (ssize_t)n);
	cr_assert_eq(wire.n, n + 70);
	cr_assert_eq(memcmp(wire.bytes + strlen(head) + 70, program + strlen(head), 199900), 0);
	fixture_close(fd, peer);
}

/* Another thread closes the connection while a call is under way, and the number is given to the
 * next one: what the first part of a call did not take is not sent to that. */
static void another_takes(int fd)
{
	shim_before_close(fd);
	shim_on_socket(fd, AF_UNIX, SOCK_STREAM);
}

Test(inject, sends_nothing_to_who_has_the_number_now)
{
	static char program[20000] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n";
	struct iovec iov = { program, sizeof(program) };
	struct shim_write w;
	int peer, fd;
	ssize_t n;

	fixture_start(NULL);
	fd = fixture_socket(&peer, false, true);
	shim_write_begin(&w, fd, &iov, 1, 0, SHIM_CALL_WRITE);
	n = (ssize_t)w.iov->iov_len;
	cr_assert_lt((size_t)n, sizeof(program), "more than one call");
	another_takes(fd);
	cr_assert_not(shim_write_again(&w, &n));
	cr_assert_eq(n, (ssize_t)w.iov->iov_len - 70, "as if the kernel had taken no more");
	fixture_close(fd, peer);
}

Test(inject, says_that_the_number_is_gone_when_only_ours_has_left)
{
	static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	struct iovec iov = { (char *)(uintptr_t)head, strlen(head) }, rest;
	struct shim_write w;
	int peer, fd;
	ssize_t n;

	fixture_start(NULL);
	fd = fixture_socket(&peer, false, true);
	wire = (struct wire){ .limit = strlen(head) - 2 };
	cr_assert_eq(wire_write(&wire, fd, &iov, 1, SHIM_CALL_WRITE), (ssize_t)wire.limit);
	rest = (struct iovec){ (char *)(uintptr_t)head + wire.limit, 2 };
	shim_write_begin(&w, fd, &rest, 1, 0, SHIM_CALL_WRITE);
	n = 10;
	another_takes(fd);
	cr_assert_not(shim_write_again(&w, &n));
	cr_assert_eq(n, -1);
	cr_assert_eq(errno, EBADF);
	fixture_close(fd, peer);
}

Test(inject, adds_a_header_to_the_request_after_a_body_from_a_file)
{
	static const char head[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
	int peer, fd;

	fixture_start(NULL);
	fd = fixture_socket(&peer, false, false);
	for (unsigned i = 0; i < 3; i++) {
		wire = (struct wire){ .limit = sizeof(wire.bytes) };
		write_all(fd, head, 0, strlen(head), 1, SHIM_CALL_WRITE);
		check_wire(head, "before a file", i, 0);
		shim_on_sent_unseen(fd, 400);
		shim_on_sent_unseen(fd, 600);
	}
	fixture_close(fd, peer);
}

static size_t wire_of(const char *program)
{
	int peer, fd = fixture_socket(&peer, false, false);

	wire = (struct wire){ .limit = sizeof(wire.bytes) };
	write_all(fd, program, 0, strlen(program), 1, SHIM_CALL_SEND);
	fixture_close(fd, peer);
	return wire.n - strlen(program);
}

Test(inject, leaves_connect_and_the_programs_own_header_alone)
{
	fixture_start(NULL);
	cr_assert_eq(wire_of("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), 0);
	cr_assert_eq(wire_of("GET / HTTP/1.1\r\nHost: a\r\ntraceparent: "
			     "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n"),
		     0);
	cr_assert_eq(wire_of("GET / HTTP/1.1\r\nHost: a\r\nTraceParent: nonsense\r\n\r\n"), 0);
	cr_assert_eq(counted(exchanges_left_to_program), 2);
}

Test(inject, crosses_no_usual_limit)
{
	static char program[70000];
	static const size_t limits[] = { 4096, 8192, 16384, 32768 };

	fixture_start(NULL);
	for (unsigned i = 0; i < 4; i++) {
		int n = sprintf(program, "GET / HTTP/1.1\r\nHost: a\r\nX: ");

		memset(program + n, 'x', limits[i] - 30 - (size_t)n);
		strcpy(program + limits[i] - 30, "\r\n\r\n");
		cr_assert_eq(wire_of(program), 0, "%zu", limits[i]);
		strcpy(program + limits[i] - 100, "\r\n\r\n");
		cr_assert_eq(wire_of(program), 70, "%zu", limits[i]);
	}
	cr_assert_eq(counted(inject_skipped_limit), 4);
}

Test(inject, skips_metadata_services_and_hosts_outside_propagate_to)
{
	fixture_start("TAGALONG_PROPAGATE_TO=*.example");
	cr_assert_eq(wire_of("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"), 70);
	cr_assert_eq(wire_of("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"), 0);
	cr_assert_eq(wire_of("GET http://169.254.169.254/ HTTP/1.1\r\nHost: a.example\r\n\r\n"), 0);
}
