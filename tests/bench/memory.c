/* SPDX-License-Identifier: Apache-2.0 */
/* What a server holds in memory: memory CONNECTIONS REQUESTS. It answers REQUESTS requests on each
 * of its connections, reads one more and does not answer it. Prints the KiB that are resident then,
 * and those of them that are its own alone. The other side is this program too. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/bench/bench.h"

#define CONNECTIONS_MAX 20000

static char room[65536];
static int connection[CONNECTIONS_MAX];

static void raise_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int start_listening(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 128) < 0)
		die("listen");
	return listener;
}

/* Connects and asks on every connection; then an answer each time before the next request. */
static int ask(int listener, unsigned connections, unsigned requests)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	getsockname(listener, (struct sockaddr *)&address, &len);
	for (unsigned i = 0; i < connections; i++) {
		connection[i] = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(connection[i], (struct sockaddr *)&address, len) < 0)
			die("connect");
	}
	for (unsigned turn = 0; turn <= requests; turn++)
		for (unsigned i = 0; i < connections; i++) {
			if (turn && read(connection[i], room, sizeof(room)) <= 0)
				return 1;
			if (write(connection[i], REQUEST_TRACED, LENGTH(REQUEST_TRACED)) < 0)
				return 1;
		}
	return read(connection[0], room, sizeof(room)) < 0;
}

static pid_t start_asking(int listener, char **numbers)
{
	char number[12];
	char *argv[] = { (char *)"memory", numbers[0], numbers[1], number, NULL };
	char *envp[] = { NULL };
	pid_t pid;

	snprintf(number, sizeof(number), "%d", listener);
	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, envp) != 0)
		die("spawn");
	return pid;
}

static void serve(int listener, unsigned connections, unsigned requests)
{
	for (unsigned i = 0; i < connections; i++) {
		connection[i] = accept(listener, NULL, NULL);
		if (connection[i] < 0)
			die("accept");
	}
	for (unsigned turn = 0; turn <= requests; turn++)
		for (unsigned i = 0; i < connections; i++) {
			if (read(connection[i], room, sizeof(room)) <= 0)
				die("read");
			if (turn < requests && write(connection[i], RESPONSE, LENGTH(RESPONSE)) < 0)
				die("write");
		}
}

static unsigned long resident(const char *what)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	unsigned long n = 0, sum = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, what, strlen(what)) == 0 &&
		    sscanf(strchr(line, ':') + 1, "%lu", &n) == 1)
			sum += n;
	if (f)
		fclose(f);
	return sum;
}

int main(int argc, char **argv)
{
	unsigned connections = argc > 1 ? (unsigned)atoi(argv[1]) : 1000;
	unsigned requests = argc > 2 ? (unsigned)atoi(argv[2]) : 3;
	int listener;
	pid_t other;

	if (argc < 3 || connections == 0 || connections > CONNECTIONS_MAX)
		return 2;
	raise_limit();
	if (argc > 3)
		return ask(atoi(argv[3]), connections, requests);
	listener = start_listening();
	other = start_asking(listener, argv + 1);
	serve(listener, connections, requests);
	printf("%lu %lu\n", resident("Rss:"), resident("Private_"));
	kill(other, SIGTERM);
	waitpid(other, NULL, 0);
	return 0;
}
