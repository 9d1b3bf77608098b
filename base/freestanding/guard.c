/* SPDX-License-Identifier: Apache-2.0 */
/* What the static archives call when they find themselves broken. They must not go on, and we must
 * not end the program. If the calling thread said where it can be picked up again (see guard.h), it
 * goes on there; a thread that did not never returns from here, without a signal, a message or a
 * lock held: in practice it is our worker. */
#include "base/guard.h"

#include "base/counters.h"
#include "base/raw.h"

#define HIDDEN __attribute__((visibility("hidden"), noreturn))

void __stack_chk_fail(void) HIDDEN;
void __stack_chk_fail_local(void) HIDDEN;
void __assert_fail(const char *what, const char *file, unsigned line, const char *function) HIDDEN;

static _Noreturn void give_up(void)
{
	struct guard *g = thread_state.guard;

	thread_state.guard = NULL;
	if (g)
		__builtin_longjmp(g->state, 1);
	for (;;)
		raw_nanosleep(&(struct timespec){ 3600, 0 }, NULL);
}

void __stack_chk_fail(void)
{
	give_up();
}

void __stack_chk_fail_local(void)
{
	give_up();
}

void __assert_fail(const char *what, const char *file, unsigned line, const char *function)
{
	(void)what, (void)file, (void)line, (void)function;
	give_up();
}
