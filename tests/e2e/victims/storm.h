/* SPDX-License-Identifier: Apache-2.0 */
/* What the storm victims share. Each is one program that does one thing to itself, a few times, and
 * says what came of it: its output and its status must be the same with the library as without.
 * Both ends of every connection are its own, and both are checked byte for byte, but for the
 * header line that the library puts in. */
#ifndef STORM_H
#define STORM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))
#define FAILED 99 /* the exit status of a victim that saw something wrong */
#define HEAD   1024
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"

/* Without stdio, which wants memory and locks: signal handlers and filtered processes say things
 * too. */
static inline void say(const char *text)
{
	size_t n = strlen(text);

	if (write(1, text, n) != (ssize_t)n)
		_exit(FAILED);
}

static inline void wrong(const char *file, int line, const char *what)
{
	char text[400];
	int error = errno, n;

	n = snprintf(text, sizeof(text), "%s:%d: %s (%s)\n", file, line, what, strerror(error));
	if (write(2, text, (size_t)n) < 0)
		_exit(FAILED);
	_exit(FAILED);
}

#define CHECK(what)                                       \
	do {                                              \
		if (!(what))                              \
			wrong(__FILE__, __LINE__, #what); \
	} while (0)

static inline bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* ---- connections ---- */

struct pair {
	int client, server;
};

static inline int loopback_listener(struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*at = (struct sockaddr_in){ .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)at, sizeof(*at)) == 0);
	CHECK(listen(fd, 64) == 0 && getsockname(fd, (struct sockaddr *)at, &len) == 0);
	return fd;
}

static inline struct pair tcp_pair(void)
{
	struct sockaddr_in at;
	int listener = loopback_listener(&at), one = 1;
	struct pair p = { socket(AF_INET, SOCK_STREAM, 0), -1 };

	CHECK(p.client >= 0 && connect(p.client, (struct sockaddr *)&at, sizeof(at)) == 0);
	p.server = accept(listener, NULL, NULL);
	CHECK(p.server >= 0 && close(listener) == 0);
	setsockopt(p.client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(p.server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return p;
}

static inline struct pair unix_pair(void)
{
	int fd[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	return (struct pair){ fd[0], fd[1] };
}

static inline void close_pair(struct pair p)
{
	CHECK(close(p.client) == 0 && close(p.server) == 0);
}

/* ---- messages ---- */

/* By each way of writing in turn, whole. */
static inline void put(int fd, const char *text, unsigned way)
{
	size_t n = strlen(text);
	struct iovec parts[2] = { { (void *)text, n / 2 }, { (void *)(text + n / 2), n - n / 2 } };
	struct msghdr m = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t done;

	switch (way % 4) {
	case 0:
		done = send(fd, text, n, MSG_NOSIGNAL);
		break;
	case 1:
		done = write(fd, text, n);
		break;
	case 2:
		done = writev(fd, parts, 2);
		break;
	default:
		done = sendmsg(fd, &m, MSG_NOSIGNAL);
	}
	CHECK(done == (ssize_t)n);
}

static inline ssize_t get(int fd, char *p, size_t n, unsigned way)
{
	struct iovec part = { p, n };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

	switch (way % 4) {
	case 0:
		return recv(fd, p, n, 0);
	case 1:
		return read(fd, p, n);
	case 2:
		return readv(fd, &part, 1);
	default:
		return recvmsg(fd, &m, 0);
	}
}

/* Up to `end`; false: closed before the first byte. EINTR goes on: alarms are about. */
static inline bool get_until(int fd, char *text, const char *end, unsigned way)
{
	size_t n = 0;

	do {
		ssize_t got = get(fd, text + n, HEAD - 1 - n, way);

		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0 && n == 0)
			return false;
		CHECK(got > 0);
		n += (size_t)got;
		CHECK(n < HEAD - 1);
		text[n] = 0;
	} while (n < strlen(end) || !is(text + n - strlen(end), end));
	return true;
}

static inline void without_our_header(char *text)
{
	char *at = strstr(text, "\r\ntraceparent: "), *end = at ? strstr(at + 2, "\r\n") : NULL;

	if (end)
		memmove(at, end, strlen(end) + 1);
}

static inline void request_text(char text[HEAD], const char *path)
{
	snprintf(text, HEAD, "GET /%s HTTP/1.1\r\nHost: victim\r\n\r\n", path);
}

/* One request on a connection that is served elsewhere. */
static inline void ask(int fd, const char *path, unsigned way)
{
	char text[HEAD];

	request_text(text, path);
	put(fd, text, way);
	CHECK(get_until(fd, text, "ok\n", way) && is(text, ANSWER));
}

/* Takes one request for `path` (NULL: any) and answers; false when the client has gone. */
static inline bool serve(int fd, const char *path, unsigned way)
{
	char text[HEAD], want[HEAD];

	if (!get_until(fd, text, "\r\n\r\n", way))
		return false;
	without_our_header(text);
	if (path) {
		request_text(want, path);
		CHECK(is(text, want));
	}
	CHECK(strncmp(text, "GET /", 5) == 0);
	put(fd, ANSWER, way);
	return true;
}

/* Request and answer in one thread. */
static inline void round_trip(struct pair p, const char *path, unsigned way)
{
	char text[HEAD];

	request_text(text, path);
	put(p.client, text, way);
	CHECK(serve(p.server, path, way));
	CHECK(get_until(p.client, text, "ok\n", way) && is(text, ANSWER));
}

/* ---- threads ---- */

static inline pthread_t thread(void *(*run)(void *), void *arg)
{
	pthread_t t;

	CHECK(pthread_create(&t, NULL, run, arg) == 0);
	return t;
}

/* Serves one connection until its client goes. */
static UNUSED void *serve_all(void *arg)
{
	int fd = (int)(long)arg;

	for (unsigned i = 0; serve(fd, NULL, i); i++)
		;
	close(fd);
	return NULL;
}

/* A connection whose server is a thread; closing the client ends it. */
static inline int served_connection(void)
{
	struct pair p = tcp_pair();

	CHECK(pthread_detach(thread(serve_all, (void *)(long)p.server)) == 0);
	return p.client;
}

#endif
