/* SPDX-License-Identifier: Apache-2.0 */
/* The question is put to the kernel by system calls that a filter set up before us surely allows:
 * futex() reads one word, sees that it is not what it should be, and comes back; rt_sigprocmask()
 * writes one. */
#include "base/readable.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#include "base/process.h"
#include "base/raw.h"

#define PAGE  4096ul /* the smallest there is: more questions on larger ones, no wrong answer */
#define PAGES 256    /* remembered, by the low bits of their number */
#define UNLIKE \
	0xfff7fbfdu /* no text of ours or theirs; and if it is there, the wait is over at once */

static _Atomic uintptr_t readable[PAGES];

static bool ask(uintptr_t at, size_t n)
{
	uintptr_t word = (at + 3) & ~(uintptr_t)3;
	struct timespec none = { 0, 0 };

	if (!process_may_call())
		return true;
	/* Inside the bytes if it can be: tools that watch memory mind what stands around them. */
	if (word + 4 > at + n || (word ^ at) >= PAGE)
		word = at & ~(uintptr_t)3;
	return raw_futex((void *)word, FUTEX_WAIT_PRIVATE, UNLIKE, &none) != -EFAULT;
}

bool memory_readable(const void *p, size_t n)
{
	uintptr_t at = (uintptr_t)p, last = at + n - 1;

	if (!n)
		return true;
	if (last < at)
		return false;
	for (;;) {
		uintptr_t page = at & ~(PAGE - 1);
		_Atomic uintptr_t *known = &readable[page / PAGE % PAGES];

		/* Page 0 is nobody's: an empty place never matches. */
		if (!page)
			return false;
		if (atomic_load_explicit(known, memory_order_relaxed) != page) {
			if (!ask(at, last - at + 1))
				return false;
			atomic_store_explicit(known, page, memory_order_relaxed);
		}
		if (last - page < PAGE)
			return true;
		at = page + PAGE;
	}
}

bool memory_writable(void *p, size_t n)
{
	uintptr_t at = (uintptr_t)p, end = at + n;

	if (((at - 1) ^ (end - 1)) < PAGE || !process_may_call())
		return true;
	return raw_rt_sigprocmask(0, NULL, (uint64_t *)(end - 8)) == 0;
}

/* FUTEX_WAKE_OP changes its second word in one step, here by an OR with nothing. */
bool memory_writable_now(void *word)
{
	return raw_syscall6(SYS_futex, (long)word, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 0, 0,
			    (long)word, FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_LT, 0)) != -EFAULT;
}
