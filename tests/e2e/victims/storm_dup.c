/* SPDX-License-Identifier: Apache-2.0 */
/* Connections are moved over low and high numbers by every kind of dup, and onto each other:
 * storm_dup HOW ROUNDS. The high ones are where a library would keep descriptors of its own. */
#include "storm.h"
#include <sys/resource.h>

static unsigned long state = 88172645463325252ul;

static unsigned any(unsigned below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state % below);
}

static int target(void)
{
	static const int high[] = { 62,  63,  254, 255,  256,  510,  511, 968,
				    991, 992, 993, 1000, 1021, 1022, 1023 };

	return any(2) ? (int)(20 + any(20)) : high[any(sizeof(high) / sizeof(*high))];
}

static int moved(const char *how, int fd, int to)
{
	int result;

	if (is(how, "dup2"))
		result = dup2(fd, to);
	else if (is(how, "dup3"))
		result = dup3(fd, to, O_CLOEXEC);
	else if (is(how, "syscall"))
		result = (int)syscall(SYS_dup3, fd, to, 0);
	else
		result = fcntl(fd, F_DUPFD, to);
	CHECK(result >= 0 && (is(how, "fcntl") || result == to));
	return result;
}

/* Every number in the table, onto which a connection is put and asked. */
static void sweep(void)
{
	struct pair p = tcp_pair();

	for (int to = 10; to < 1024; to++) {
		struct pair q = { dup2(p.client, to), p.server };

		CHECK(q.client == to);
		if (to % 16 == 0)
			round_trip(q, "sweep", (unsigned)to);
	}
	for (int to = 10; to < 1024; to++)
		CHECK(close(to) == 0);
	round_trip(p, "swept", 0);
	close_pair(p);
}

/* Two names of a connection; either may go first. */
static void one_move(const char *how, unsigned i)
{
	struct pair p = i % 2 ? tcp_pair() : unix_pair(), q;
	int to;

	round_trip(p, "before", i);
	to = target();
	q = (struct pair){ moved(how, p.client, to), p.server };
	if (any(2))
		CHECK(close(p.client) == 0);
	round_trip(q, "moved", i);
	if (fcntl(p.client, F_GETFD) >= 0) {
		CHECK(close(q.client) == 0);
		round_trip(p, "back", i);
		CHECK(close(p.client) == 0);
	} else if (any(2)) {
		CHECK(close(q.client) == 0); /* otherwise it stays until something is put there */
	}
	CHECK(close(p.server) == 0);
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 50;
	struct rlimit limit = { 1024, 1024 };

	CHECK(argc > 1 && setrlimit(RLIMIT_NOFILE, &limit) == 0);
	if (is(argv[1], "sweep"))
		for (int i = 0; i < rounds; i++)
			sweep();
	else
		for (int i = 0; i < rounds; i++)
			one_move(argv[1], (unsigned)i);
	say("end\n");
	return 0;
}
