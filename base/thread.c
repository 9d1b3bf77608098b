/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include "base/process.h"
#include "base/raw.h"

_Static_assert(sizeof(struct thread_state) <= 512, "comes out of the static TLS reserve");

_Thread_local struct thread_state thread_state
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* The cached number is good for the process it was asked in: the page's pid is 0 in a new child and
 * another one afterwards, whoever made that child. (A vfork child borrows its parent's memory and
 * is told its parent's number.) */
uint32_t thread_id(void)
{
	struct thread_state *t = &thread_state;
	uint32_t pid = process_page->pid;

	if (t->tid == 0 || t->tid_pid != pid || pid == 0) {
		t->tid = (uint32_t)raw_gettid();
		t->tid_pid = pid;
	}
	return t->tid;
}
