/* SPDX-License-Identifier: Apache-2.0 */
/* The variables we know, copied once at start: programs wipe their own (nginx writes its title over
 * them). */
#ifndef BASE_ENVIRONMENT_H
#define BASE_ENVIRONMENT_H

/* Where the environment stands before libc is set up: the constructor's third argument if it looks
 * like one (glibc passes it, musl does not), else libc's __environ, else /proc/self/environ.
 * Never NULL; the strings are the process's own. */
char **environment_find(int argc, char **argv, char **envp);

/* "value" of NAME=value in envp, or NULL. */
const char *environment_get(char **envp, const char *name);

#endif
