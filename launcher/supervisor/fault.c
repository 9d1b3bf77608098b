/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/supervisor/fault.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

static _Thread_local sigjmp_buf *fault_return;

static void on_fault(int number)
{
	if (fault_return)
		siglongjmp(*fault_return, 1);
	/* A fault of our own: as if we had not been here. */
	signal(number, SIG_DFL);
	raise(number);
}

void fault_init(void)
{
	/* Not blocked while it runs: it is left by a jump that keeps the mask as it is. */
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

int fault_guard(int (*fn)(void *arg), void *arg)
{
	sigjmp_buf here;
	int result;

	fault_return = &here;
	if (sigsetjmp(here, 0) == 0)
		result = fn(arg);
	else
		result = -EFAULT;
	fault_return = NULL;
	return result;
}
