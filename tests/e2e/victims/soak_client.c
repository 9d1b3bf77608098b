/* SPDX-License-Identifier: Apache-2.0 */
/* soak_client PORT REQUESTS CONNECTIONS: opens all connections, then sends the requests over them
 * in turn, a few at a time, each connection as often as the next. Every answer is checked. A line
 * for each tenth: "requests milliseconds"; then it waits for a line on its standard input, so that
 * somebody can look at the server while all connections are open. */
#include "storm.h"
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

#define IN_FLIGHT 128
#define PARTS     10

struct connection {
	int fd;
	unsigned got;
	char text[HEAD];
};

static struct connection *all;
static long connections, requests, sent, answered;

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Every second one comes from a caller that is traced itself. */
static void send_next(void)
{
	struct connection *c = &all[sent % connections];
	char text[HEAD];
	int n = snprintf(text, sizeof(text), "GET /soak/%ld HTTP/1.1\r\nHost: soak\r\n", sent);

	if (sent % 2)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "traceparent: 00-0af7651916cd43dd8448eb211c80319c-%016lx-01\r\n",
			      sent);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
	CHECK(send(c->fd, text, (size_t)n, MSG_NOSIGNAL) == n);
	c->got = 0;
	sent++;
}

/* Whether the answer is whole. */
static bool take(struct connection *c)
{
	const char *length, *blank;
	ssize_t n = recv(c->fd, c->text + c->got, HEAD - 1 - c->got, 0);

	CHECK(n > 0);
	c->got += (unsigned)n;
	c->text[c->got] = 0;
	blank = strstr(c->text, "\r\n\r\n");
	if (!blank)
		return false;
	length = strcasestr(c->text, "\r\nContent-Length: ");
	CHECK(strncmp(c->text, "HTTP/1.1 200 ", 13) == 0 && length);
	n = (blank + 4 - c->text) + atol(length + 18);
	CHECK(c->got <= n);
	return c->got == n;
}

static void open_all(int epoll, int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	for (long i = 0; i < connections; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &all[i] };

		all[i].fd = socket(AF_INET, SOCK_STREAM, 0);
		CHECK(all[i].fd >= 0);
		CHECK(connect(all[i].fd, (struct sockaddr *)&at, sizeof(at)) == 0);
		CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event) == 0);
	}
}

/* Until all that was sent is answered, sending up to `limit` in all. */
static void send_until(int epoll, long limit)
{
	struct epoll_event events[IN_FLIGHT];

	while (sent < limit && sent < answered + IN_FLIGHT && sent < answered + connections)
		send_next();
	while (answered < sent) {
		int n = epoll_wait(epoll, events, IN_FLIGHT, 30000);

		CHECK(n > 0);
		for (int i = 0; i < n; i++) {
			if (!take(events[i].data.ptr))
				continue;
			answered++;
			if (sent < limit)
				send_next();
		}
	}
}

int main(int argc, char **argv)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	char line[16];
	long start;

	CHECK(argc == 4);
	requests = atol(argv[2]);
	connections = atol(argv[3]);
	all = calloc((size_t)connections, sizeof(*all));
	CHECK(all);
	open_all(epoll, atoi(argv[1]));
	start = now_ms();
	for (long part = 1; part <= PARTS; part++) {
		send_until(epoll, requests * part / PARTS);
		printf("%ld %ld\n", answered, now_ms() - start);
		fflush(stdout);
		CHECK(fgets(line, sizeof(line), stdin));
	}
	return 0;
}
