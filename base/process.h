/* SPDX-License-Identifier: Apache-2.0 */
/* One page that the kernel wipes in a forked child (MADV_WIPEONFORK): how a child that no fork
 * hook saw (raw clone, _Fork) finds out that it is one. */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct process_page {
	_Atomic uint32_t live; /* PROCESS_LIVE, or 0: a child that has not started yet */
	uint32_t pid;
};

#define PROCESS_LIVE 0x7461676cu

extern struct process_page *process_page;

/* A seccomp filter was installed: a system call that the program does not make itself may be its
 * death. Never falls again. */
extern _Atomic bool process_filtered;

/* True: our own system calls are as good as any. */
static inline bool process_may_call(void)
{
	return !atomic_load_explicit(&process_filtered, memory_order_relaxed);
}

/* Maps the page. wiped: the kernel wipes it; otherwise only the fork hooks reset it. */
int process_init(bool *wiped);

/* True in a child of fork or clone whose state is still its parent's copy. One load. */
static inline bool process_is_new_child(void)
{
	return atomic_load_explicit(&process_page->live, memory_order_relaxed) != PROCESS_LIVE;
}

/* Threads of this process, ours among them, and a main thread that has ended as long as others go
 * on; 0: not known (no /proc). A system call. */
unsigned process_threads(void);

/* Called by the fork hooks in the child where the kernel does not wipe. */
void process_mark_child(void);

/* Marks the child as started; true for the one caller that has to do the work. */
bool process_claim_child(void);

#endif
