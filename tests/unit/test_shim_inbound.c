/* SPDX-License-Identifier: Apache-2.0 */
#include "shim_spans.h"

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

Test(inbound, leaves_a_head_alone_that_has_no_room, .init = start, .fini = spans_stop)
{
	static const char sent[] = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

	cr_assert_str_eq(read_whole(sent, sizeof(sent) - 1), sent);
	cr_assert_str_eq(read_whole(sent, sizeof(sent) + 60), sent);
}
