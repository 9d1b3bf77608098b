/* SPDX-License-Identifier: Apache-2.0 */
/* What the relay victims share: a listening socket, a blocking GET, reading one request head. */
#ifndef RELAY_H
#define RELAY_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void end(int sig)
{
	(void)sig;
	exit(0);
}

/* From here on SIGTERM ends the program as exit() does. */
static int listen_on(int port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	signal(SIGTERM, end);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 512)) {
		perror("listen");
		exit(1);
	}
	return fd;
}

static inline int connect_to(int port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	if (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* Reads up to the blank line. Bytes of a body are not expected. 0: closed. */
static inline size_t read_head(int fd, char *buf, size_t size)
{
	size_t n = 0;

	while (n < size - 1) {
		ssize_t got = recv(fd, buf + n, size - 1 - n, 0);

		if (got <= 0)
			return 0;
		n += got;
		buf[n] = 0;
		if (strstr(buf, "\r\n\r\n"))
			return n;
	}
	return 0;
}

/* The number in "GET /r/123 HTTP/1.1". */
static inline int id_of(const char *head)
{
	const char *p = strstr(head, "/r/");

	return p ? atoi(p + 3) : -1;
}

/* GET /out/<id> on a connection of its own; the answer's body goes nowhere. */
static inline bool ask_upstream(int port, int id)
{
	char buf[4096];
	int fd = connect_to(port);
	int n = snprintf(buf, sizeof(buf),
			 "GET /out/%d HTTP/1.1\r\nHost: up\r\nConnection: close\r\n\r\n", id);
	bool ok = fd >= 0 && send(fd, buf, n, MSG_NOSIGNAL) == n && read_head(fd, buf, sizeof(buf));

	while (ok && recv(fd, buf, sizeof(buf), 0) > 0)
		;
	if (fd >= 0)
		close(fd);
	return ok;
}

static inline void answer(int fd, bool ok)
{
	const char *text = ok ? "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"
			      : "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";

	send(fd, text, strlen(text), MSG_NOSIGNAL);
}

#endif
