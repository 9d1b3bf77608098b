/* SPDX-License-Identifier: Apache-2.0 */
/* An alarm's handler leaves by siglongjmp() whatever it finds under way: storm_jump HOW ROUNDS.
 *	recv	nothing comes: it is recv() in the kernel, always
 *	anywhere requests are being made: it is any instruction of the program's or the library's
 * The connection that was left is closed; the next one must work. */
#include "storm.h"
#include <setjmp.h>

static sigjmp_buf back;
static _Atomic bool armed;

static void on_alarm(int signal)
{
	(void)signal;
	if (atomic_exchange(&armed, false))
		siglongjmp(back, 1);
}

/* libc's own locks must not be left: between here and the jump there is no stdio and no malloc. */
static void leave(bool anywhere, long after_us)
{
	struct itimerval soon = { .it_value.tv_usec = after_us };
	static const char request[] = "GET /left HTTP/1.1\r\nHost: victim\r\n\r\n";
	static struct pair p;
	char text[HEAD];

	p = tcp_pair();
	round_trip(p, "first", 0);
	if (sigsetjmp(back, 1) == 0) {
		armed = true;
		CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
		while (anywhere) {
			if (send(p.client, request, strlen(request), MSG_NOSIGNAL) < 0 ||
			    recv(p.server, text, sizeof(text), 0) < 0 ||
			    write(p.server, ANSWER, strlen(ANSWER)) < 0 ||
			    read(p.client, text, sizeof(text)) < 0)
				CHECK(!"moved");
		}
		recv(p.client, text, sizeof(text), 0);
		CHECK(!"left");
	}
	if (!anywhere)
		round_trip(p, "second", 1);
	close_pair(p);
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 5;
	struct sigaction action = { .sa_handler = on_alarm };

	CHECK(argc > 1 && sigaction(SIGALRM, &action, NULL) == 0);
	for (int i = 0; i < rounds; i++) {
		struct pair p;

		leave(is(argv[1], "anywhere"), 100 + 37 * (getpid() % 64));
		p = tcp_pair();
		round_trip(p, "fresh", (unsigned)i);
		close_pair(p);
	}
	say("end\n");
	return 0;
}
