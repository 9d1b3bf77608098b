/* SPDX-License-Identifier: Apache-2.0 */
/* What a process is given by who starts it and would pass on to what it becomes by exec, but not to
 * a child. */
#ifndef LAUNCHER_GIVEN_H
#define LAUNCHER_GIVEN_H

#include <signal.h>
#include <stdint.h>
#include <sys/time.h>

struct given {
	uint64_t mask;                 /* of signals */
	struct sigaction child_signal; /* what was to happen at SIGCHLD */
	struct itimerval timers[3];    /* alarm() and its like */
	int death_signal;              /* which we get at our parent's end */
	int subreaper;
};

/* Takes it from this process, which from then on has all signals blocked, can wait for children,
 * and has its tree's orphans as such. */
void given_take(struct given *g);

/* Gives it to this process: in the child, or again here. The signal mask comes last. */
void given_give(const struct given *g);

/* Closes what the program has open too, and leaves the working directory. */
void given_let_go(void);

#endif
