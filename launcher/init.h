/* SPDX-License-Identifier: Apache-2.0 */
/* What `tagalong run` does as the parent of the program: it starts the program so that it finds
 * what it would have found without us, passes signals on to it, stops and goes on with it, reaps
 * whatever of its tree is orphaned, and ends as it ended. */
#ifndef LAUNCHER_INIT_H
#define LAUNCHER_INIT_H

#include <sys/types.h>

struct init {
	char **command;
	pid_t companion; /* a child of ours that is not the program; 0: none, or it has ended */
	/* It ended, as waitpid() says. NULL: nobody wants to know. */
	void (*on_companion_end)(void *arg, int status);
	/* In the child before the program is looked for, or NULL. The child shares our memory as
	 * after vfork(): system calls, and nothing that changes memory. */
	void (*in_child)(void *arg);
	void *arg;
};

/* Starts the command and looks after it until it ends. Returns how it ended as waitpid() says. Or
 * -errno when it did not start: *exec_error is then why the program could not be executed, or 0
 * when there could be no child for it; nothing of ours is changed then, and the companion lives.
 *
 * The program has what we were given: the mask and what is ignored of signals, timers, the signal
 * at a parent's death, descriptors. Once it runs we keep no descriptor that it has (another
 * process waits for their end in vain otherwise): those that are not close-on-exec are closed here,
 * 0 to 2 become /dev/null, and our working directory is the root.
 *
 * When it returns a status, all signals stay blocked: what is left is the way out. */
int init_run(struct init *i, int *exec_error);

/* Ends this process the way the status says: with the exit status, or by the signal, without a core
 * file of our own. Process 1 of a namespace cannot end by a signal: it exits with 128 + number. */
_Noreturn void init_leave(int status);

#endif
