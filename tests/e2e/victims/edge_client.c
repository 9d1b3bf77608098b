/* SPDX-License-Identifier: Apache-2.0 */
/* An edge-triggered client: sends the file REQUEST (head and body as they are) to PORT and writes
 * what comes back to ANSWER, until the peer closes.
 *	edge_client PORT REQUEST ANSWER drain|short PIECE SNDBUF RCVBUF
 * drain: reads and writes until EAGAIN. short: takes a short count as "nothing more", as epoll(7)
 * allows for streams, and waits for the next edge. PIECE: bytes of one call. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static bool stop_on_short;
static size_t piece;

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* False: an error. */
static bool write_some(int fd, const char *data, size_t size, size_t *done)
{
	while (*done < size) {
		size_t want = min(size - *done, piece);
		ssize_t n = send(fd, data + *done, want, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (n == 0 || (size_t)n > want) {
			fprintf(stderr, "send of %zu gave %zd\n", want, n);
			return false;
		}
		*done += n;
		if (stop_on_short && (size_t)n < want)
			return true;
	}
	return true;
}

/* 1: more may come, 0: closed, -1: an error. hangup: the end was announced and is read now. */
static int read_some(int fd, int out, char *buf, bool hangup)
{
	for (;;) {
		ssize_t n = recv(fd, buf, piece, 0);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 1 : -1;
		if (n == 0)
			return 0;
		if (write(out, buf, n) != n)
			return -1;
		if (stop_on_short && !hangup && (size_t)n < piece)
			return 1;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
	int fd, ep, in, out, sndbuf, rcvbuf, more = 1;
	size_t done = 0, size;
	struct stat st;
	char *data, *buf;

	if (argc < 8)
		return 2;
	a.sin_port = htons(atoi(argv[1]));
	in = open(argv[2], O_RDONLY);
	out = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC, 0644);
	stop_on_short = !strcmp(argv[4], "short");
	piece = atol(argv[5]);
	sndbuf = atoi(argv[6]);
	rcvbuf = atoi(argv[7]);
	fstat(in, &st);
	size = st.st_size;
	data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, in, 0);
	buf = malloc(piece);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (sndbuf)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
	if (rcvbuf)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) && errno != EINPROGRESS)
		return 3;
	ep = epoll_create1(0);
	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
	while (more > 0) {
		int n = epoll_wait(ep, &e, 1, 20000);

		if (n == 0) {
			fprintf(stderr, "stuck: %zu of %zu sent\n", done, size);
			return 4;
		}
		if ((e.events & EPOLLOUT) && !write_some(fd, data, size, &done))
			return 5;
		if (e.events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
			more = read_some(fd, out, buf, e.events & (EPOLLRDHUP | EPOLLHUP));
	}
	return more < 0 ? 6 : 0;
}
