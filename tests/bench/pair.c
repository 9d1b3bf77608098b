/* SPDX-License-Identifier: Apache-2.0 */
/* A C server and a C client over loopback with keep-alive, one of them measured: pair ROLE COUNT.
 * Prints nanoseconds of CPU time per operation: of the measured thread, and of its process (which
 * has the exporter's thread as well).
 *
 *	server      answers COUNT requests
 *	client      makes COUNT requests
 *	body-SIZE   sends COUNT pieces of SIZE bytes of one body
 *
 * The other side is this program too, without LD_PRELOAD. They talk over several connections in
 * turn, so that the measured side finds its next message there: going to sleep and being woken
 * costs more than what is looked for, and not always the same. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/bench/bench.h"

#define CONNECTIONS 16
#define WARM_UP     2000
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

static int connection[CONNECTIONS];
static size_t piece;

static void answer(unsigned turn)
{
	int fd = connection[turn % CONNECTIONS];

	receive(fd, LENGTH(REQUEST_TRACED));
	send_all(fd, RESPONSE, LENGTH(RESPONSE));
}

static void ask(unsigned turn)
{
	send_all(connection[turn % CONNECTIONS], REQUEST_PLAIN, LENGTH(REQUEST_PLAIN));
	/* The answer to the request that was sent longest ago. */
	if (turn >= CONNECTIONS - 1)
		receive(connection[(turn + 1) % CONNECTIONS], LENGTH(RESPONSE));
}

static void send_piece(unsigned turn)
{
	(void)turn;
	send_all(connection[0], room, piece);
}

static void measure(void (*operation)(unsigned turn), unsigned count)
{
	uint64_t thread = 0, start, process = process_cpu_ns();
	unsigned turn = WARM_UP;

	for (unsigned done = 0; done < count; done += BURST) {
		start = thread_cpu_ns();
		for (unsigned i = 0; i < BURST; i++)
			operation(turn++);
		thread += thread_cpu_ns() - start;
		if (!piece)
			usleep(PAUSE_US);
	}
	process = process_cpu_ns() - process;
	printf("%.1f %.1f\n", (double)thread / count, (double)process / count);
}

static void begin_body(void)
{
	receive(connection[0], LENGTH(REQUEST_TRACED));
	send_all(connection[0], RESPONSE_ENDLESS, LENGTH(RESPONSE_ENDLESS));
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

static void serve_until_closed(void)
{
	/* Requests come in one piece, with or without a header of ours. */
	for (unsigned turn = 0;; turn++) {
		int fd = connection[turn % CONNECTIONS];

		if (read(fd, room, sizeof(room)) <= 0 || write(fd, RESPONSE, LENGTH(RESPONSE)) < 0)
			return;
	}
}

static void ask_until_closed(void)
{
	for (unsigned turn = 0;; turn++) {
		int fd = connection[turn % CONNECTIONS];

		if ((turn >= CONNECTIONS && read(fd, room, sizeof(room)) <= 0) ||
		    write(fd, REQUEST_TRACED, LENGTH(REQUEST_TRACED)) < 0)
			return;
	}
}

static void read_until_closed(void)
{
	if (write(connection[0], REQUEST_TRACED, LENGTH(REQUEST_TRACED)) < 0)
		return;
	while (read(connection[0], room, sizeof(room)) > 0)
		;
}

/* Whoever is the client connects. */
static void meet(bool connects, int listener)
{
	for (unsigned i = 0; i < CONNECTIONS; i++)
		connection[i] =
			connects ? connect_to(listener) : set_up(accept(listener, NULL, NULL));
}

static int other_side(const char *role, int listener)
{
	bool serves = strcmp(role, "client") == 0;

	signal(SIGPIPE, SIG_IGN);
	meet(!serves, listener);
	if (serves)
		serve_until_closed();
	else if (strcmp(role, "server") == 0)
		ask_until_closed();
	else
		read_until_closed();
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

static int start_listening(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, CONNECTIONS) < 0)
		die("listen");
	return listener;
}

int main(int argc, char **argv)
{
	const char *role = argc > 1 ? argv[1] : "server";
	unsigned count = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 50000;
	void (*operation)(unsigned turn) = answer;
	pid_t other;
	int listener;

	if (strcmp(role, "other") == 0 && argc > 3)
		return other_side(argv[2], atoi(argv[3]));
	listener = start_listening();
	other = start_other_side(role, listener);
	meet(strcmp(role, "client") == 0, listener);
	if (strncmp(role, "body-", 5) == 0) {
		piece = strtoul(role + 5, NULL, 10);
		if (piece == 0 || piece > sizeof(room))
			return 2;
		begin_body();
		operation = send_piece;
	} else if (strcmp(role, "client") == 0) {
		operation = ask;
	}
	for (unsigned turn = 0; turn < WARM_UP; turn++)
		operation(turn);
	measure(operation, count);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		close(connection[i]);
	waitpid(other, NULL, 0);
	return 0;
}
