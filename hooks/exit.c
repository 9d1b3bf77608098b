/* SPDX-License-Identifier: Apache-2.0 */
/* The ends that run no destructor; exit() and a return from main() come to ours (start.c). */
#include "hooks/hook.h"

static inline void will_exit(void)
{
	if (!in_vfork_child())
		shim_at_exit();
}

void hook__exit(int status)
{
	will_exit();
	real._exit(status);
}

void hook__Exit(int status)
{
	will_exit();
	real._Exit(status);
}

/* The handlers of at_quick_exit() run after this; what they send is not waited for. */
void hook_quick_exit(int status)
{
	will_exit();
	real.quick_exit(status);
}

/* When the main thread ends so, the process ends with its last thread: that must not be ours. */
void hook_pthread_exit(void *value)
{
	will_leave();
	real.pthread_exit(value);
}

void hook_thrd_exit(int value)
{
	will_leave();
	real.thrd_exit(value);
}
