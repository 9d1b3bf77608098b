/* SPDX-License-Identifier: Apache-2.0 */
/* A collector that accepts everything: prints its port, serves each connection by a child, and
 * ends with its standard input. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tests/bench/bench.h"

#define ANSWER \
	"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"

static char room[1 << 20];

/* Reads on until `end` stands in what was read; returns the bytes at hand, 0 when it is over. */
static size_t read_head(int fd, size_t have, char **end)
{
	ssize_t n;

	for (;;) {
		room[have] = '\0';
		*end = strstr(room, "\r\n\r\n");
		if (*end)
			return have;
		n = have < sizeof(room) - 1 ? read(fd, room + have, sizeof(room) - 1 - have) : 0;
		if (n <= 0)
			return 0;
		have += (size_t)n;
	}
}

/* One export; returns the bytes at hand of the next one, -1 when it is over. */
static ssize_t serve_one(int fd, size_t have)
{
	char *end, *length;
	size_t whole;
	ssize_t n;

	have = read_head(fd, have, &end);
	if (!have)
		return -1;
	length = strcasestr(room, "content-length:");
	whole = (size_t)(end + 4 - room);
	if (length && length < end)
		whole += strtoul(length + 15, NULL, 10);
	while (have < whole) {
		/* The body is dropped as it comes. */
		n = read(fd, room, whole - have < sizeof(room) ? whole - have : sizeof(room));
		if (n <= 0)
			return -1;
		have += (size_t)n;
	}
	if (write(fd, ANSWER, LENGTH(ANSWER)) != (ssize_t)LENGTH(ANSWER))
		return -1;
	memmove(room, room + whole, have - whole);
	return (ssize_t)(have - whole);
}

static _Noreturn void serve(int fd)
{
	ssize_t have = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (have >= 0)
		have = serve_one(fd, (size_t)have);
	_exit(0);
}

int main(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct pollfd waits[2] = { { .fd = 0, .events = POLLIN } };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd;

	signal(SIGCHLD, SIG_IGN);
	if (bind(listener, (struct sockaddr *)&address, len) < 0 || listen(listener, 64) < 0)
		die("listen");
	getsockname(listener, (struct sockaddr *)&address, &len);
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	waits[1] = (struct pollfd){ .fd = listener, .events = POLLIN };
	while (poll(waits, 2, -1) > 0 && !waits[0].revents) {
		fd = accept(listener, NULL, NULL);
		if (fd >= 0 && fork() == 0)
			serve(fd);
		close(fd);
	}
	return 0;
}
