// SPDX-License-Identifier: Apache-2.0
/* Takes every signal (libc's own two as well) and says what came: number, sender, value. The line
 * "ready" comes first, with its ids. SIGUSR2 ends it; stop signals stop it, unless an argument is
 * given. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	uint64_t all = ~0ULL,
		 stops = 1ULL << (SIGTSTP - 1) | 1ULL << (SIGTTIN - 1) | 1ULL << (SIGTTOU - 1);
	siginfo_t info;
	long signo;

	(void)argv;
	if (argc == 1)
		all &= ~stops;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("ready %d %d %d\n", (int)getpid(), (int)getppid(), (int)getpgrp());
	while ((signo = syscall(SYS_rt_sigtimedwait, &all, &info, NULL, 8)) != SIGUSR2)
		if (signo > 0)
			printf("signal %ld value %d\n", signo,
			       info.si_code == SI_QUEUE ? info.si_value.sival_int : 0);
	return 0;
}
