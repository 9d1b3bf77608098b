/* SPDX-License-Identifier: Apache-2.0 */
/* A C server and a C client over loopback with keep-alive, one of them measured: pair ROLE COUNT.
 * Prints nanoseconds of CPU time per operation: of the measured thread, and of its process (which
 * has the exporter's thread as well).
 *
 *	server      answers COUNT requests
 *	client      makes COUNT requests
 *	body-SIZE   sends COUNT pieces of SIZE bytes of one body
 *
 * The other side is this program too, without LD_PRELOAD. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/bench/bench.h"

#define WARM_UP 2000
/* The exporter gets the time to take what is there: spans are dropped by a full ring for less. */
#define BURST    500
#define PAUSE_US 2000

static char room[65536];

static void send_all(int fd, const char *p, size_t n)
{
	if (write(fd, p, n) != (ssize_t)n)
		die("write");
}

/* One message of `length` bytes, or more of a body. */
static void receive(int fd, size_t length)
{
	size_t have = 0;

	while (have < length) {
		ssize_t n = read(fd, room, sizeof(room));

		if (n <= 0)
			die("read");
		have += (size_t)n;
	}
}

/* ---- the measured side ---- */

static size_t piece;

static void answer(int fd)
{
	receive(fd, LENGTH(REQUEST_TRACED));
	send_all(fd, RESPONSE, LENGTH(RESPONSE));
}

static void ask(int fd)
{
	send_all(fd, REQUEST_PLAIN, LENGTH(REQUEST_PLAIN));
	receive(fd, LENGTH(RESPONSE));
}

static void send_piece(int fd)
{
	send_all(fd, room, piece);
}

static void measure(void (*operation)(int fd), int fd, unsigned count)
{
	uint64_t thread = 0, start, process = process_cpu_ns();

	for (unsigned done = 0; done < count; done += BURST) {
		start = thread_cpu_ns();
		for (unsigned i = 0; i < BURST; i++)
			operation(fd);
		thread += thread_cpu_ns() - start;
		if (!piece)
			usleep(PAUSE_US);
	}
	process = process_cpu_ns() - process;
	printf("%.1f %.1f\n", (double)thread / count, (double)process / count);
}

static void begin_body(int fd)
{
	receive(fd, LENGTH(REQUEST_TRACED));
	send_all(fd, RESPONSE_ENDLESS, LENGTH(RESPONSE_ENDLESS));
}

/* ---- the other side ---- */

static int set_up(int fd)
{
	int one = 1;

	if (fd < 0)
		die("connection");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static int connect_to(int listener)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	getsockname(listener, (struct sockaddr *)&address, &len);
	if (connect(fd, (struct sockaddr *)&address, len) < 0)
		die("connect");
	return set_up(fd);
}

/* Ends when the measured side does. */
static int other_side(const char *role, int listener)
{
	bool serves = strcmp(role, "client") == 0;
	int fd = serves ? set_up(accept(listener, NULL, NULL)) : connect_to(listener);

	/* Requests come in one piece, with or without a header of ours. */
	while (serves && read(fd, room, sizeof(room)) > 0)
		if (write(fd, RESPONSE, LENGTH(RESPONSE)) < 0)
			return 0;
	do
		if (write(fd, REQUEST_TRACED, LENGTH(REQUEST_TRACED)) < 0)
			return 0;
	while (read(fd, room, sizeof(room)) > 0 && strcmp(role, "server") == 0);
	while (read(fd, room, sizeof(room)) > 0)
		;
	return 0;
}

static pid_t start_other_side(const char *role, int listener)
{
	char number[12];
	char *argv[] = { (char *)"pair", (char *)"other", (char *)role, number, NULL };
	char *envp[] = { NULL };
	pid_t pid;

	snprintf(number, sizeof(number), "%d", listener);
	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, envp) != 0)
		die("spawn");
	return pid;
}

/* A connection between the two, made by the one that is the client on it. */
static int meet(const char *role, pid_t *other)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd;

	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 1) < 0)
		die("listen");
	*other = start_other_side(role, listener);
	if (strcmp(role, "client") == 0)
		fd = connect_to(listener);
	else
		fd = set_up(accept(listener, NULL, NULL));
	close(listener);
	return fd;
}

int main(int argc, char **argv)
{
	const char *role = argc > 1 ? argv[1] : "server";
	unsigned count = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 50000;
	void (*operation)(int fd) = answer;
	pid_t other;
	int fd;

	if (strcmp(role, "other") == 0 && argc > 3)
		return other_side(argv[2], atoi(argv[3]));
	fd = meet(role, &other);
	if (strncmp(role, "body-", 5) == 0) {
		piece = strtoul(role + 5, NULL, 10);
		if (piece == 0 || piece > sizeof(room))
			return 2;
		begin_body(fd);
		operation = send_piece;
	} else if (strcmp(role, "client") == 0) {
		operation = ask;
	}
	for (unsigned i = 0; i < WARM_UP; i++)
		operation(fd);
	measure(operation, fd, count);
	close(fd);
	waitpid(other, NULL, 0);
	return 0;
}
