/* SPDX-License-Identifier: Apache-2.0 */
/* Asks without opening a file: even for a moment a descriptor would take the number that the
 * program's next one is to get. */
#include "exporter/last_thread.h"

#include "base/raw.h"

/* A process whose main thread has ended keeps its place but not its memory, and so has no program
 * to point at: proc(5), /proc/pid/exe. */
static bool main_thread_is_gone(void)
{
	char first;

	return raw_readlinkat(AT_FDCWD, "/proc/self/exe", &first, sizeof(first)) == -ENOENT;
}

/* The folder of threads is linked once from each, beside its own two names. The main thread counts
 * until its process is gone. */
static unsigned long count_threads(void)
{
	struct stat st;

	if (raw_syscall6(SYS_newfstatat, AT_FDCWD, (long)"/proc/self/task", (long)&st, 0, 0, 0) < 0)
		return 0;
	return st.st_nlink - 2;
}

bool last_thread_is_this(void)
{
	return main_thread_is_gone() && count_threads() == 2;
}
