/* SPDX-License-Identifier: Apache-2.0 */
/* What the families share.
 *
 * The rules of every hook: the first thing is the question whether the descriptor is looked at, and
 * if not, the real call and nothing else. Call first, look after, return what the kernel returned;
 * errno is the caller's (shim_* keep it). Nothing but a struct on the stack is kept across the real
 * call: a signal handler may leave it by siglongjmp, a cancellation may unwind it. */
#ifndef HOOKS_HOOK_H
#define HOOKS_HOOK_H

#include "base/own_fd.h"
#include "base/process.h"
#include "base/thread.h"
#include "hooks/bare.h"
#include "hooks/real.h"
#include "shim/shim.h"

#define IOV_MAX_PARTS 1024 /* UIO_MAXIOV: more is EINVAL, and the kernel may say so itself */

/* A vfork child runs in its parent's memory but has descriptors of its own: it touches nothing. */
static inline bool in_vfork_child(void)
{
	return __builtin_expect(thread_state.vfork_child, 0);
}

/* Before a thread ends by itself: the main one may leave its process to the others. */
static inline void will_leave(void)
{
	if (!in_vfork_child() && process_may_call() && raw_gettid() == raw_getpid())
		shim_before_main_exit();
}

/* Bytes on fd are to be looked at. One load and a compare where they are not. */
static inline bool looked_at(int fd)
{
	return __builtin_expect(shim_tracked(fd), 0) && !in_vfork_child();
}

/* The tables hold something for fd that has to go when it is closed. */
static inline bool known(int fd)
{
	return (unsigned)fd < fd_table.size &&
	       (atomic_load_explicit(&fd_table.conn[fd], memory_order_acquire) ||
		atomic_load_explicit(&fd_table.flags[fd], memory_order_relaxed));
}

static inline void forget(int fd)
{
	if (__builtin_expect(known(fd), 0) && !in_vfork_child())
		shim_before_close(fd);
}

#endif
