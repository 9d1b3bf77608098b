/* SPDX-License-Identifier: Apache-2.0 */
/* A C server and a C client over loopback with keep-alive, one of them measured: pair ROLE COUNT.
 * Prints nanoseconds of CPU time per operation: of this thread, and of the process (which has the
 * exporter's thread as well).
 *
 *	server      answers COUNT requests
 *	client      makes COUNT requests
 *	body-SIZE   sends COUNT pieces of SIZE bytes of one body
 *
 * The other side is in this thread too, by bare system calls, which no library sees: nobody waits,
 * nobody is woken, and what it costs is the same in every variant. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/raw.h"
#include "tests/bench/bench.h"

#define CONNECTIONS 16
#define WARM_UP     2000
/* The exporter gets the time to take what is there: spans are dropped by a full ring for less. */
#define BURST    500
#define PAUSE_US 2000

static char room[65536];
static int measured[CONNECTIONS], other[CONNECTIONS];
static size_t piece;

static void check(bool fine, const char *what)
{
	if (!fine)
		die(what);
}

static void send_all(int fd, const char *p, size_t n)
{
	check(write(fd, p, n) == (ssize_t)n, "write");
}

static void receive(int fd)
{
	check(read(fd, room, sizeof(room)) > 0, "read");
}

static void other_sends(int fd, const char *p, size_t n)
{
	check(raw_write(fd, p, n) == (ssize_t)n, "the other side's write");
}

static void other_receives(int fd)
{
	check(raw_read(fd, room, sizeof(room)) > 0, "the other side's read");
}

static void answer(unsigned turn)
{
	unsigned i = turn % CONNECTIONS;

	other_sends(other[i], REQUEST_TRACED, LENGTH(REQUEST_TRACED));
	receive(measured[i]);
	send_all(measured[i], RESPONSE, LENGTH(RESPONSE));
	other_receives(other[i]);
}

static void ask(unsigned turn)
{
	unsigned i = turn % CONNECTIONS;

	send_all(measured[i], REQUEST_PLAIN, LENGTH(REQUEST_PLAIN));
	other_receives(other[i]);
	other_sends(other[i], RESPONSE, LENGTH(RESPONSE));
	receive(measured[i]);
}

static void send_piece(unsigned turn)
{
	(void)turn;
	send_all(measured[0], room, piece);
	for (size_t left = piece; left;) {
		/* TCP throws away what MSG_TRUNC asks for. */
		ssize_t n = raw_recv(other[0], NULL, left, MSG_TRUNC);

		check(n > 0, "the other side's recv");
		left -= (size_t)n;
	}
}

static void begin_body(void)
{
	other_sends(other[0], REQUEST_TRACED, LENGTH(REQUEST_TRACED));
	receive(measured[0]);
	send_all(measured[0], RESPONSE_ENDLESS, LENGTH(RESPONSE_ENDLESS));
	other_receives(other[0]);
}

/* Returns the CPU time of this thread. */
static uint64_t run(void (*operation)(unsigned turn), unsigned count)
{
	uint64_t thread = 0, start;

	for (unsigned done = 0; done < count; done += BURST) {
		start = thread_cpu_ns();
		for (unsigned i = 0; i < BURST; i++)
			operation(i);
		thread += thread_cpu_ns() - start;
		if (!piece)
			usleep(PAUSE_US);
	}
	return thread;
}

static int set_up(long fd)
{
	int one = 1;

	check(fd >= 0, "connection");
	setsockopt((int)fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return (int)fd;
}

/* The measured side is the one that accepts, or the one that connects. */
static void connect_all(bool accepts)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *to = (struct sockaddr *)&address;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(address);

	check(bind(listener, to, len) == 0 && listen(listener, CONNECTIONS) == 0, "listen");
	getsockname(listener, to, &len);
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		if (accepts) {
			other[i] = set_up(raw_socket(AF_INET, SOCK_STREAM, 0));
			check(raw_connect(other[i], to, len) == 0, "the other side's connect");
			measured[i] = set_up(accept(listener, NULL, NULL));
		} else {
			measured[i] = set_up(socket(AF_INET, SOCK_STREAM, 0));
			check(connect(measured[i], to, len) == 0, "connect");
			other[i] = set_up(raw_accept(listener, NULL, NULL));
		}
	}
	close(listener);
}

int main(int argc, char **argv)
{
	const char *role = argc > 1 ? argv[1] : "server";
	unsigned count = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 50000;
	void (*operation)(unsigned turn) = answer;
	uint64_t thread, process;

	connect_all(strcmp(role, "client") != 0);
	if (strncmp(role, "body-", 5) == 0) {
		piece = strtoul(role + 5, NULL, 10);
		if (piece == 0 || piece > sizeof(room))
			return 2;
		begin_body();
		operation = send_piece;
	} else if (strcmp(role, "client") == 0) {
		operation = ask;
	}
	run(operation, WARM_UP);
	process = process_cpu_ns();
	thread = run(operation, count);
	process = process_cpu_ns() - process;
	printf("%.1f %.1f\n", (double)thread / count, (double)process / count);
	return 0;
}
