/* SPDX-License-Identifier: Apache-2.0 */
/* A handler returns to a few instructions that call rt_sigreturn(2); where they are the program's
 * libc has told the kernel, and the kernel has put that on the stack above the handler. Some
 * programs keep the signals that they handle blocked in all their threads: there it is not found.
 */
#include "base/interrupted.h"

#include "base/raw.h"
#include "base/readable.h"

#define SIGNALS    64
#define LOOK_BYTES 65536 /* of the stack: handlers that come to us are not deep */
#define PAGE       4096ul

/* Where the handler of this signal returns to; 0: it has none. */
static uint64_t return_of(int signal)
{
	struct raw_sigaction action = { .handler = 0 };

	raw_rt_sigaction(signal, &action);
	if (action.handler == (uintptr_t)SIG_DFL || action.handler == (uintptr_t)SIG_IGN)
		return 0;
	return action.restorer;
}

/* Whether the word stands on the stack above here. A page at a time, as far as there is a stack. */
__attribute__((no_sanitize("address"))) static bool is_on_stack(uint64_t word)
{
	uintptr_t at = (uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)7;
	uintptr_t end = at + LOOK_BYTES;

	while (at < end) {
		uintptr_t page_end = (at & ~(PAGE - 1)) + PAGE;

		if (!memory_readable((const void *)at, sizeof(word)))
			return false;
		for (; at < page_end; at += sizeof(word))
			if (*(const volatile uint64_t *)at == word)
				return true;
	}
	return false;
}

static bool is_on_signal_stack(void)
{
	stack_t stack = { .ss_flags = 0 };

	return raw_sigaltstack(NULL, &stack) == 0 && stack.ss_flags & SS_ONSTACK;
}

bool may_have_interrupted(void)
{
	uint64_t blocked = 0, known = 0;

	raw_rt_sigprocmask(SIG_BLOCK, NULL, &blocked);
	for (int signal = 1; signal <= SIGNALS; signal++) {
		uint64_t to = blocked >> (signal - 1) & 1 ? return_of(signal) : 0;

		if (!to || to == known)
			continue;
		known = to;
		if (is_on_signal_stack() || is_on_stack(to))
			return true;
	}
	return false;
}
