/* SPDX-License-Identifier: Apache-2.0 */
/* An edge-triggered server that answers each request with its own bytes (head and body) as body:
 *	edge_server PORT drain|short PIECE SNDBUF RCVBUF
 * Requests carry a Content-Length or no body; connections are kept. For the rest: edge_client.c. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct client {
	int fd;
	char *in;
	size_t have, room;
	char *out;
	size_t sent, out_size;
	bool closed, writable;
};

static bool stop_on_short;
static size_t piece;

/* The bytes of the first whole request in the buffer, or 0. */
static size_t whole(struct client *c)
{
	char *end = memmem(c->in, c->have, "\r\n\r\n", 4), *length;
	size_t head, body;

	if (!end)
		return 0;
	head = end + 4 - c->in;
	*end = 0;
	length = strcasestr(c->in, "\r\ncontent-length:");
	body = length ? strtoul(length + 17, NULL, 10) : 0;
	*end = '\r';
	return c->have >= head + body ? head + body : 0;
}

static void answer(struct client *c)
{
	size_t n = whole(c);
	char head[128];
	int k;

	if (c->out || !n)
		return;
	k = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
	c->out_size = k + n;
	c->out = malloc(c->out_size);
	c->sent = 0;
	memcpy(c->out, head, k);
	memcpy(c->out + k, c->in, n);
	memmove(c->in, c->in + n, c->have - n);
	c->have -= n;
}

static void read_some(struct client *c, bool hangup)
{
	for (;;) {
		ssize_t n;

		if (c->room - c->have < piece) {
			c->room = (c->room + piece) * 2;
			c->in = realloc(c->in, c->room);
		}
		n = recv(c->fd, c->in + c->have, piece, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			c->closed = true;
		if (n <= 0)
			return;
		c->have += n;
		if (stop_on_short && !hangup && (size_t)n < piece)
			return;
	}
}

static void write_some(struct client *c)
{
	while (c->out && c->writable) {
		size_t want = c->out_size - c->sent < piece ? c->out_size - c->sent : piece;
		ssize_t n = send(c->fd, c->out + c->sent, want, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR) {
			c->closed = c->closed || errno != EAGAIN;
			c->writable = false;
			return;
		}
		if (n > 0)
			c->sent += n;
		if (stop_on_short && n > 0 && (size_t)n < want)
			c->writable = false;
		if (c->sent == c->out_size) {
			free(c->out);
			c->out = NULL;
			answer(c);
		}
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, ep = epoll_create1(0);
	int sndbuf = atoi(argc > 4 ? argv[4] : "0"), rcvbuf = atoi(argc > 5 ? argv[5] : "0");
	struct epoll_event e[64] = { { .events = EPOLLIN, .data.ptr = NULL } };

	if (argc < 6)
		return 2;
	a.sin_port = htons(atoi(argv[1]));
	stop_on_short = !strcmp(argv[2], "short");
	piece = atol(argv[3]);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (sndbuf)
		setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
	if (rcvbuf)
		setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	if (bind(listener, (struct sockaddr *)&a, sizeof(a)) || listen(listener, 128))
		return 3;
	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e[0]);
	for (;;) {
		int n = epoll_wait(ep, e, 64, -1);

		for (int i = 0; i < n; i++) {
			struct client *c = e[i].data.ptr;

			if (!c) {
				struct epoll_event add = { .events = EPOLLIN | EPOLLOUT |
								     EPOLLRDHUP | EPOLLET };

				c = calloc(1, sizeof(*c));
				c->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
				add.data.ptr = c;
				epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &add);
				continue;
			}
			if (e[i].events & EPOLLOUT)
				c->writable = true;
			if (e[i].events & ~EPOLLOUT)
				read_some(c, e[i].events & (EPOLLRDHUP | EPOLLHUP));
			answer(c);
			write_some(c);
			if (c->closed) {
				close(c->fd);
				free(c->in);
				free(c->out);
				free(c);
			}
		}
	}
}
