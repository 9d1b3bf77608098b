/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include <sys/mman.h>
#include "base/raw.h"

#define PAGE 4096

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

/* Until process_init() (hooks may run before our constructor) and when it fails. */
static struct process_page first_page = { .live = PROCESS_LIVE };

struct process_page *process_page = &first_page;
_Atomic bool process_filtered;

int process_init(bool *wiped)
{
	struct process_page *page =
		raw_mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*wiped = false;
	if (raw_is_error(page))
		return -ENOMEM;
	*wiped = raw_madvise(page, PAGE, MADV_WIPEONFORK) == 0;
	page->pid = (uint32_t)raw_getpid();
	atomic_store_explicit(&page->live, PROCESS_LIVE, memory_order_release);
	process_page = page;
	return 0;
}

void process_mark_child(void)
{
	process_page->pid = 0;
	atomic_store_explicit(&process_page->live, 0, memory_order_release);
}

bool process_claim_child(void)
{
	uint32_t new_child = 0;

	if (!atomic_compare_exchange_strong(&process_page->live, &new_child, PROCESS_LIVE))
		return false;
	process_page->pid = (uint32_t)raw_getpid();
	return true;
}

/* The folder of threads is linked once from each, beside its own two names: proc(5). */
unsigned process_threads(void)
{
	struct stat st;

	if (raw_syscall6(SYS_newfstatat, AT_FDCWD, (long)"/proc/self/task", (long)&st, 0, 0, 0) < 0)
		return 0;
	return (unsigned)st.st_nlink - 2;
}
