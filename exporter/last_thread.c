/* SPDX-License-Identifier: Apache-2.0 */
/* Asks without opening a file: even for a moment a descriptor would take the number that the
 * program's next one is to get. */
#include "exporter/last_thread.h"

#include "base/process.h"
#include "base/raw.h"

/* A process whose main thread has ended keeps its place but not its memory, and so has no program
 * to point at: proc(5), /proc/pid/exe. */
static bool main_thread_is_gone(void)
{
	char first;

	return raw_readlinkat(AT_FDCWD, "/proc/self/exe", &first, sizeof(first)) == -ENOENT;
}

bool last_thread_is_this(void)
{
	return main_thread_is_gone() && process_threads() == 2;
}
