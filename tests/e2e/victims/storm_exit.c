/* SPDX-License-Identifier: Apache-2.0 */
/* The program ends at once: storm_exit HOW. Status 7 where there is one. */
#include "storm.h"

static struct pair late;

static void *end_it(void *arg)
{
	(void)arg;
	exit(7);
}

static void on_alarm(int signal)
{
	(void)signal;
	_exit(7);
}

static void handler_with_traffic(void)
{
	round_trip(late, "atexit", 0);
	say("atexit\n");
}

/* main() is in recv() when another thread ends the process. */
static void in_recv(void *(*other)(void *))
{
	struct pair p = tcp_pair();
	char byte;

	thread(other, NULL);
	recv(p.client, &byte, 1, 0);
	CHECK(!"recv returned");
}

static void *kill_it(void *arg)
{
	(void)arg;
	raise(SIGKILL);
	return NULL;
}

static void *quick(void *arg)
{
	(void)arg;
	quick_exit(7);
}

static void *ask_for_ever(void *arg)
{
	struct pair p = unix_pair();

	(void)arg;
	for (unsigned i = 0;; i++)
		round_trip(p, "busy", i);
	return NULL;
}

static void end_by(const char *how)
{
	if (is(how, "_exit"))
		_exit(7);
	if (is(how, "_Exit"))
		_Exit(7);
	if (is(how, "exit"))
		exit(7);
	if (is(how, "quick_exit"))
		quick_exit(7);
	if (is(how, "syscall"))
		syscall(SYS_exit_group, 7);
	if (is(how, "abort"))
		abort();
	if (is(how, "kill"))
		raise(SIGKILL);
	if (is(how, "pthread_exit"))
		pthread_exit(NULL);
	if (is(how, "thread"))
		in_recv(end_it);
	if (is(how, "thread_quick"))
		in_recv(quick);
	if (is(how, "thread_kill"))
		in_recv(kill_it);
	if (is(how, "alarm")) {
		signal(SIGALRM, on_alarm);
		ualarm(300, 0);
		ask_for_ever(NULL);
	}
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "return";

	if (is(how, "nothing"))
		return 7;
	if (is(how, "busy")) /* others go on while the process ends */
		for (int i = 0; i < 4; i++)
			thread(ask_for_ever, NULL);
	if (is(how, "atexit")) {
		late = tcp_pair();
		atexit(handler_with_traffic);
	}
	say("begin\n");
	round_trip(tcp_pair(), "last", 0);
	end_by(how);
	return 7;
}
