/* SPDX-License-Identifier: Apache-2.0 */
/* A process that may hardly do anything: storm_limits HOW.
 *	files	8 descriptors		threads	no further thread
 *	memory	no further memory	closed	standard input, output and error are closed
 *	setuid	another user, with threads (libc makes each of them change, by signals)
 *	chroot	an empty root		daemon	a daemon, which then works */
#include "storm.h"
#include <sys/resource.h>
#include <grp.h>

static _Atomic bool over;

static void *ask_on(void *arg)
{
	struct pair p = unix_pair();

	(void)arg;
	for (unsigned i = 0; !over; i++)
		round_trip(p, "beside", i);
	close_pair(p);
	return NULL;
}

static void limit(int what, unsigned long to)
{
	struct rlimit l = { to, to };

	CHECK(setrlimit(what, &l) == 0);
}

static void with_limits(const char *how)
{
	if (is(how, "files"))
		limit(RLIMIT_NOFILE, 8);
	else if (is(how, "threads"))
		limit(RLIMIT_NPROC, 1);
	else if (is(how, "memory"))
		limit(RLIMIT_AS, 1 << 20);
	else
		CHECK(!"a limit");
	for (unsigned i = 0; i < 8; i++) {
		struct pair p = tcp_pair();

		round_trip(p, "limited", i);
		close_pair(p);
	}
}

static void closed(void)
{
	int out = dup(1);
	struct pair p;

	close(0);
	close(1);
	close(2);
	p = tcp_pair();
	for (unsigned i = 0; i < 4; i++)
		round_trip(p, "closed", i);
	CHECK(p.client < 3 && p.server < 3);
	close_pair(p);
	CHECK(dup2(out, 1) == 1);
}

static void other_user(void)
{
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		t[i] = thread(ask_on, NULL);
	round_trip(tcp_pair(), "before", 0);
	CHECK(setgroups(0, NULL) == 0 && setresgid(65534, 65534, 65534) == 0);
	CHECK(setresuid(65534, 65534, 65534) == 0);
	round_trip(tcp_pair(), "after", 0);
	over = true;
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

int main(int argc, char **argv)
{
	CHECK(argc > 1);
	if (is(argv[1], "closed")) {
		closed();
	} else if (is(argv[1], "setuid")) {
		other_user();
	} else if (is(argv[1], "chroot")) {
		round_trip(tcp_pair(), "before", 0);
		CHECK(chroot("/proc/self/fdinfo") == 0 && chdir("/") == 0);
		round_trip(tcp_pair(), "after", 0);
	} else if (is(argv[1], "daemon")) {
		round_trip(tcp_pair(), "before", 0);
		CHECK(daemon(0, 1) == 0);
		round_trip(tcp_pair(), "after", 0);
	} else {
		with_limits(argv[1]);
	}
	say("end\n");
	return 7;
}
