/* SPDX-License-Identifier: Apache-2.0 */
/* Alarms whose handler makes a request on a connection of its own, while the program does the same:
 * storm_signal HOW ROUNDS. The next one is a millisecond after the last, or on a busy machine
 * nothing else would ever run.
 *	own	the handler has its own connection
 *	stack	and a stack of its own
 *	new	the handler makes the connection too
 *	threads	four threads are interrupted
 *	fork	the handler makes a child, which makes the request */
#include "storm.h"
#include <time.h>

static const char *how;
static struct pair handlers;
static _Atomic int handled;

static void set_alarm(void)
{
	const struct itimerval t = { { 0, 0 }, { 0, 1000 } };

	CHECK(setitimer(ITIMER_REAL, &t, NULL) == 0);
}

/* memcpy(), snprintf() and the like are not what breaks here: both are reentrant in glibc. */
static void on_alarm(int signal)
{
	int saved = errno;

	(void)signal;
	if (is(how, "fork")) {
		pid_t pid = _Fork(), got;

		if (pid == 0) {
			round_trip(handlers, "handler", 1);
			_exit(5);
		}
		while ((got = waitpid(pid, NULL, 0)) < 0 && errno == EINTR)
			;
		CHECK(got == pid);
	} else if (is(how, "new")) {
		struct pair p = unix_pair();

		round_trip(p, "handler", 1);
		close_pair(p);
	} else {
		round_trip(handlers, "handler", 1);
	}
	handled++;
	set_alarm();
	errno = saved;
}

static void *work(void *arg)
{
	int rounds = (int)(long)arg;

	for (int i = 0; handled < rounds; i++) {
		struct pair p = i % 2 ? tcp_pair() : unix_pair();

		for (unsigned k = 0; k < 4; k++)
			round_trip(p, "main", k);
		close_pair(p);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static char stack[65536];
	stack_t other = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	int rounds = argc > 2 ? atoi(argv[2]) : 10;
	pthread_t t[4];

	CHECK(argc > 1);
	how = argv[1];
	handlers = unix_pair();
	if (is(how, "stack")) {
		action.sa_flags |= SA_ONSTACK;
		CHECK(sigaltstack(&other, NULL) == 0);
	}
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	set_alarm();
	if (is(how, "threads"))
		for (int i = 0; i < 4; i++)
			t[i] = thread(work, (void *)(long)rounds);
	else
		work((void *)(long)rounds);
	if (is(how, "threads"))
		for (int i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
	signal(SIGALRM, SIG_IGN);
	say("end\n");
	return 0;
}
