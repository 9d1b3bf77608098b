/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor of `tagalong run`: a process beside the program, in a session of its own, which
 * the terminal's signals do not reach. It outlives its parent as long as processes of the tree
 * (daemons) do. */
#ifndef LAUNCHER_SUPERVISOR_COMPANION_H
#define LAUNCHER_SUPERVISOR_COMPANION_H

#include <stdbool.h>
#include <sys/types.h>

struct companion {
	pid_t pid; /* 0: there is none */
	int life;  /* its other end is closed when we end, however that happens */
	int word; /* from it: one byte when it is ready, and one (or the end) when it has flushed */
};

/* Starts it by `config`, and puts the name of its directory into our environment. 0; -ENOENT: spans
 * have nowhere to go, none is needed; other negative errno: processes are to export by themselves.
 */
int companion_start(struct companion *c);

/* The program has ended: returns when what the tree has committed is sent, or after
 * TAGALONG_SHUTDOWN_TIMEOUT. */
void companion_end(struct companion *c);

#endif
