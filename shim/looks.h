/* SPDX-License-Identifier: Apache-2.0 */
/* Looking through the loaded objects for what to stand in front of (hooks/). One thread at a time
 * does, whatever it looks for: what is found may lie on pages of which the protection is changed
 * meanwhile, and two that do that to one page would be each other's end. */
#ifndef SHIM_LOOKS_H
#define SHIM_LOOKS_H

enum look { LOOK_TLS, LOOK_PYTHON, LOOK_CARRIERS, LOOKS };

/* How it is looked for; at start. */
void looks_set(enum look what, void (*fn)(void));

/* Looks now, with our code entered. Where another thread is at it, that one does so before it
 * ends, and nobody waits. Behind a seccomp filter nothing is looked for. */
void looks_begin(enum look what);

/* Whoever looked when the process forked is not in the child. */
void looks_fork_child(void);

#endif
