/* SPDX-License-Identifier: Apache-2.0 */
/* Everything above standard error is closed between requests: storm_close_range HOW ROUNDS, by
 * close_range, closefrom, a loop of close, close_range at the front and back, or through /proc. */
#include "storm.h"
#include <dirent.h>
#include <linux/close_range.h>

static void close_listed(void)
{
	int found[256], n = 0;
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;

	CHECK(d);
	while ((e = readdir(d)) && n < 256)
		if (atoi(e->d_name) > 2 && atoi(e->d_name) != dirfd(d))
			found[n++] = atoi(e->d_name);
	closedir(d);
	for (int i = 0; i < n; i++)
		close(found[i]); /* what is not the program's says EBADF */
}

static void close_all(const char *how)
{
	if (is(how, "close_range"))
		CHECK(close_range(3, ~0u, 0) == 0);
	else if (is(how, "unshare"))
		CHECK(close_range(3, ~0u, CLOSE_RANGE_UNSHARE) == 0);
	else if (is(how, "syscall"))
		CHECK(syscall(SYS_close_range, 3, ~0u, 0) == 0);
	else if (is(how, "closefrom"))
		closefrom(3);
	else if (is(how, "listed"))
		close_listed();
	else
		for (int fd = 3; fd < 4096; fd++)
			close(fd);
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 10;
	char text[64];

	CHECK(argc > 1);
	for (int i = 0; i < rounds; i++) {
		struct pair p = tcp_pair(), q = unix_pair();

		round_trip(p, "tcp", (unsigned)i);
		round_trip(q, "unix", (unsigned)i);
		close_all(argv[1]);
		CHECK(fcntl(p.client, F_GETFD) == -1 && errno == EBADF);
		CHECK(write(q.server, "x", 1) == -1 && errno == EBADF);
		/* The lowest numbers are free again. */
		CHECK(dup(1) == 3 && close(3) == 0);
		snprintf(text, sizeof(text), "%d %d %d %d\n", p.client, p.server, q.client,
			 q.server);
		say(text);
	}
	return 0;
}
