/* SPDX-License-Identifier: Apache-2.0 */
/* What the trap victims share. Each prints a transcript that must be the same with the library and
 * without it, but for the header lines it adds (the drivers take those out, or count them). */
#ifndef TRAP_H
#define TRAP_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			dprintf(2, "%s:%d: %s: %s\n", __FILE__, __LINE__, #what, strerror(errno)); \
			_exit(99);                                                                 \
		}                                                                                  \
	} while (0)

/* A system call that no library sees. */
static inline long unseen(long nr, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

static inline void unseen_write(int fd, const char *text)
{
	long n = (long)strlen(text);

	CHECK(unseen(SYS_write, fd, (long)text, n) == n);
}

/* What is there: waits for the first byte, then until `end` has come (NULL: one read). */
static inline const char *unseen_read(int fd, const char *end)
{
	static __thread char text[65536];
	size_t n = 0;

	do {
		long got = unseen(SYS_read, fd, (long)(text + n), (long)(sizeof(text) - 1 - n));

		if (got <= 0)
			break;
		n += (size_t)got;
		text[n] = 0;
	} while (end && !strstr(text, end));
	text[n] = 0;
	return text;
}

static inline int listen_on_loopback(struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*at = (struct sockaddr_in){ .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)at, sizeof(*at)) == 0);
	CHECK(listen(fd, 64) == 0 && getsockname(fd, (struct sockaddr *)at, &len) == 0);
	return fd;
}

/* A connection within the process. The listener stays open in *listener when it is not NULL. */
static inline void connect_pair(int *client, int *server)
{
	struct sockaddr_in at;
	int listener = listen_on_loopback(&at), one = 1;

	*client = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(*client >= 0 && connect(*client, (struct sockaddr *)&at, sizeof(at)) == 0);
	*server = accept(listener, NULL, NULL);
	CHECK(*server >= 0);
	close(listener);
	setsockopt(*client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(*server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

#define RESPONSE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static inline const char *request_text(const char *path)
{
	static __thread char text[256];

	snprintf(text, sizeof(text), "GET /%s HTTP/1.1\r\nHost: victim\r\n\r\n", path);
	return text;
}

/* The far end of a connection, unseen: takes one request, says what it was, answers. */
static inline void answer_unseen(int fd)
{
	const char *request = unseen_read(fd, "\r\n\r\n");

	printf("%s", request);
	fflush(stdout);
	unseen_write(fd, RESPONSE);
}

static inline void read_response(int fd)
{
	char text[512];
	ssize_t n = read(fd, text, sizeof(text));

	CHECK(n == (ssize_t)strlen(RESPONSE));
}

/* A request over fd by write(); the other end of it is `far`. */
static inline void one_request(int fd, int far, const char *path)
{
	const char *text = request_text(path);

	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	answer_unseen(far);
	read_response(fd);
}

#endif
