/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/supervisor/fault.h"

#include <signal.h>
#include <stddef.h>

_Thread_local sigjmp_buf *fault_return;

static void on_fault(int number)
{
	sigjmp_buf *to = fault_return;

	fault_return = NULL;
	if (to)
		siglongjmp(*to, 1);
	/* A fault of our own: as if we had not been here. */
	signal(number, SIG_DFL);
	raise(number);
}

void fault_init(void)
{
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}
