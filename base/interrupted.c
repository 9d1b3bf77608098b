/* SPDX-License-Identifier: Apache-2.0 */
#include "base/interrupted.h"

#include "base/raw.h"

#define SIGNALS 64

static bool has_handler(int signal)
{
	uint64_t handler = raw_signal_handler(signal);

	return handler != (uintptr_t)SIG_DFL && handler != (uintptr_t)SIG_IGN;
}

bool may_have_interrupted(void)
{
	uint64_t blocked = 0;

	raw_rt_sigprocmask(SIG_BLOCK, NULL, &blocked);
	for (int signal = 1; signal <= SIGNALS; signal++)
		if ((blocked >> (signal - 1) & 1) && has_handler(signal))
			return true;
	return false;
}
