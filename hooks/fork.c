/* SPDX-License-Identifier: Apache-2.0 */
/* New processes. A child with memory of its own starts empty; one that borrows ours (vfork,
 * CLONE_VM) must touch nothing. Children that no hook sees (direct system calls) find out from the
 * page that the kernel wipes. */
#include <sched.h>
#include "hooks/hook.h"
#include "hooks/vfork.h"

_Static_assert(offsetof(struct thread_state, vfork_child) == THREAD_STATE_VFORK_CHILD,
	       "the assembler looks there");

typedef pid_t (*fork_fn)(void);
typedef int (*clone_fn)(int (*fn)(void *), void *stack, int flags, void *arg, ...);

static void new_child(void)
{
	/* The memory is a copy now, even if the parent was a vfork child itself. */
	thread_state.vfork_child = 0;
	shim_fork_child();
}

static inline pid_t fork_by(fork_fn call)
{
	pid_t pid = call();

	if (pid == 0)
		new_child();
	else if (pid > 0 && !in_vfork_child())
		shim_fork_parent();
	return pid;
}

pid_t hook_fork(void)
{
	return fork_by(real.fork);
}

pid_t hook___fork(void)
{
	return fork_by(real.__fork);
}

pid_t hook__Fork(void)
{
	return fork_by(real._Fork);
}

/* What a cloned process runs first: on its own stack, with this still in its parent's frame
 * (copied, or borrowed while the parent waits). */
struct cloned {
	int (*fn)(void *);
	void *arg;
	bool borrows;
};

static int run_cloned(void *p)
{
	const struct cloned c = *(const struct cloned *)p;

	if (c.borrows)
		thread_state.vfork_child = 1;
	else
		new_child();
	return c.fn(c.arg);
}

static inline int clone_by(clone_fn call, int (*fn)(void *), void *stack, int flags, void *arg,
			   void *a, void *b, void *c)
{
	struct cloned start = { fn, arg, flags & CLONE_VM };
	int before, pid;

	if ((flags & CLONE_THREAD) || !fn)
		return call(fn, stack, flags, arg, a, b, c);
	/* Runs beside us, with our thread-locals and perhaps after this frame is gone. Or with a
	 * block of thread-locals that the program made, and that need not have room for ours. */
	if (((flags & CLONE_VM) && !(flags & CLONE_VFORK)) || (flags & CLONE_SETTLS)) {
		if (flags & CLONE_VM)
			shim_on_vm_child();
		return call(fn, stack, flags, arg, a, b, c);
	}
	before = thread_state.vfork_child;
	pid = call(run_cloned, stack, flags, &start, a, b, c);
	thread_state.vfork_child = before;
	if (pid > 0 && !(flags & CLONE_VM) && !before)
		shim_fork_parent();
	return pid;
}

int hook_clone(int (*fn)(void *), void *stack, int flags, void *arg, void *a, void *b, void *c)
{
	return clone_by(real.clone, fn, stack, flags, arg, a, b, c);
}

int hook___clone(int (*fn)(void *), void *stack, int flags, void *arg, void *a, void *b, void *c)
{
	return clone_by(real.__clone, fn, stack, flags, arg, a, b, c);
}

/* vfork_<processor>.S comes here when the kernel refused. */
pid_t hook_vfork_failed(int error);
pid_t hook_vfork_failed(int error)
{
	host_errno_set(error);
	return -1;
}

pid_t hook_setsid(void)
{
	pid_t sid = real.setsid();

	if (sid >= 0 && !in_vfork_child())
		shim_on_setsid();
	return sid;
}

/* libc forks, ends the parent, makes the session and puts /dev/null on 0 to 2 without calling any
 * of ours. */
int hook_daemon(int nochdir, int noclose)
{
	int result;

	if (in_vfork_child())
		return real.daemon(nochdir, noclose);
	shim_before_exec();
	result = real.daemon(nochdir, noclose);
	if (result == 0) {
		new_child();
		shim_on_setsid();
		for (int fd = 0; fd <= 2 && !noclose; fd++)
			forget(fd);
	}
	return result;
}
