/* SPDX-License-Identifier: Apache-2.0 */
#include "base/interrupted.h"

#include "base/raw.h"

#define SIGNALS   64
#define SCAN_MAX  65536 /* bytes of stack from here to the frame of the handler */
#define SCAN_STEP 1024

/* On top of a handler's frame the kernel puts the address that it returns to, the one that libc
 * gave with it. Stacks end: the kernel reads for us. Where it must not, nothing stands there. */
static bool stands_above(uintptr_t frame, uint64_t address)
{
	uintptr_t at = frame & ~(uintptr_t)(SCAN_STEP - 1);
	uint64_t words[SCAN_STEP / sizeof(uint64_t)];
	struct iovec to = { words, sizeof(words) }, from = { NULL, sizeof(words) };

	for (uintptr_t end = at + SCAN_MAX; at < end; at += SCAN_STEP) {
		from.iov_base = (void *)at;
		if (raw_syscall6(SYS_process_vm_readv, raw_getpid(), (long)&to, 1, (long)&from, 1,
				 0) != SCAN_STEP)
			return false;
		for (size_t i = 0; i < SCAN_STEP / sizeof(*words); i++)
			if (words[i] == address && at + i * sizeof(*words) > frame)
				return true;
	}
	return false;
}

/* With a frame of its own: what it notes of handlers stands below that. */
__attribute__((noinline)) bool may_have_interrupted(void)
{
	const uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	struct raw_signal_action action;
	uint64_t blocked = 0, looked_for = 0; /* libc gives all of them the same */

	raw_rt_sigprocmask(SIG_BLOCK, NULL, &blocked);
	for (int signal = 1; signal <= SIGNALS; signal++) {
		if (!(blocked >> (signal - 1) & 1))
			continue;
		raw_signal_action(signal, &action);
		if (action.handler == (uintptr_t)SIG_DFL || action.handler == (uintptr_t)SIG_IGN ||
		    !action.restorer || action.restorer == looked_for)
			continue;
		looked_for = action.restorer;
		if (stands_above(frame, looked_for))
			return true;
	}
	return false;
}
