/* SPDX-License-Identifier: Apache-2.0 */
/* Tells a signal that was sent to our whole process group, which the program then has received too,
 * from one that was sent to us alone: the kernel's siginfo does not. Two processes that do nothing
 * but count the signals they get (they share our memory, and cost a stack each): one in our group,
 * one outside. What the first got and the second did not was sent to the group. The second is for
 * those who look for processes by name or by control group, and signal one after the other. */
#ifndef LAUNCHER_WITNESS_H
#define LAUNCHER_WITNESS_H

#include <stdint.h>
#include <sys/types.h>

/* Starts them; they end with us, however we end. All signals have to be blocked. 0 or -errno. */
int witness_start(void);
void witness_end(void);

/* Who got the signal that was just taken: we, our whole group, or nobody can say. To be asked once
 * for each. */
enum reach { REACH_US, REACH_GROUP, REACH_UNKNOWN };
enum reach witness_ask(int signo);

/* Of these the kernel may have dropped some that we had not taken (SIGCONT and the stops drop each
 * other): those that do not wait for us are forgotten. set: bits as the kernel has them. */
void witness_forget(uint64_t set);

/* While we are stopped: sends us SIGCONT, within a second, when this process goes on or ends, which
 * only its parent is told, and a stopped one is told nothing. 0: no longer. */
void witness_mind(pid_t child);

/* Is it one of the two? */
int witness_is(pid_t pid);

#endif
