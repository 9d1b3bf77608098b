/* SPDX-License-Identifier: Apache-2.0 */
/* prctl() and syscall(): two doors to everything. Only what would make our tables wrong is looked
 * at: a filter that may be our end, descriptors that close or change (libuv and others close by
 * system call), bytes that pass where we are not, the end of the process. Nothing is altered. */
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include "hooks/close.h"

/* In strict mode a thread can end only by itself: a process of one thread must not have ours. */
static void before_filter(bool strict, bool every_thread)
{
	if (in_vfork_child())
		return;
	if (strict)
		will_leave();
	shim_before_filter(every_thread);
}

/* Strict mode leaves a thread read(), write() and its own end; not even the clock, whose processor
 * instruction is switched off. Like a vfork child, it touches nothing. */
static inline void now_strict(void)
{
	thread_state.vfork_child = 1;
}

int hook_prctl(int option, long a, long b, long c, long d)
{
	int result;

	if (option == PR_SET_SECCOMP)
		before_filter(a == SECCOMP_MODE_STRICT, false);
	result = real.prctl(option, a, b, c, d);
	if (option == PR_SET_SECCOMP && a == SECCOMP_MODE_STRICT && result == 0)
		now_strict();
	return result;
}

static int close_range_by_number(unsigned first, unsigned last, int flags)
{
	return (int)real.syscall(SYS_close_range, (long)first, (long)last, (long)flags);
}

/* The stream cannot be followed past bytes that we did not see. */
static void unseen(int fd)
{
	if (looked_at(fd))
		shim_make_opaque(fd);
}

static bool may_leave_unseen(int fd)
{
	if (looked_at(fd) && !shim_before_unseen(fd, 0))
		return false;
	unseen(fd);
	return true;
}

static bool receives(long nr)
{
	switch (nr) {
	case SYS_read:
	case SYS_readv:
	case SYS_preadv2:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
		return true;
	}
	return false;
}

static bool sends(long nr)
{
	switch (nr) {
	case SYS_write:
	case SYS_writev:
	case SYS_pwritev2:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_sendmmsg:
		return true;
	}
	return false;
}

/* False: the call fails, errno is set. */
static bool before_syscall(long nr, long a, long b, long c)
{
	switch (nr) {
	case SYS_close:
		forget((int)a);
		break;
#ifdef SYS_dup2
	case SYS_dup2:
#endif
	case SYS_dup3:
		if (own_fd_contains((int)b))
			own_fd_evade((int)b);
		if (a != b)
			forget((int)b);
		break;
	case SYS_seccomp:
		if (a == SECCOMP_SET_MODE_STRICT || a == SECCOMP_SET_MODE_FILTER)
			before_filter(a == SECCOMP_SET_MODE_STRICT, b & SECCOMP_FILTER_FLAG_TSYNC);
		break;
	case SYS_prctl:
		if (a == PR_SET_SECCOMP)
			before_filter(b == SECCOMP_MODE_STRICT, false);
		break;
	case SYS_execve:
	case SYS_execveat:
		shim_before_exec();
		break;
	case SYS_exit:
		will_leave();
		break;
	case SYS_exit_group:
		shim_at_exit();
		break;
	case SYS_sendfile:
		unseen((int)b);
		return may_leave_unseen((int)a);
	case SYS_splice:
		unseen((int)a);
		return may_leave_unseen((int)c);
	default:
		if (receives(nr))
			unseen((int)a);
		else if (sends(nr))
			return may_leave_unseen((int)a);
	}
	return true;
}

static bool is_strict(long nr, long a, long b)
{
	return (nr == SYS_seccomp && a == SECCOMP_SET_MODE_STRICT) ||
	       (nr == SYS_prctl && a == PR_SET_SECCOMP && b == SECCOMP_MODE_STRICT);
}

long hook_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	long result;

	if (nr == SYS_close && own_fd_contains((int)a)) {
		host_errno_set(EBADF);
		return -1;
	}
	if (nr == SYS_close_range)
		return close_range_around(close_range_by_number, (unsigned)a, (unsigned)b, (int)c);
	if (!in_vfork_child() && !before_syscall(nr, a, b, c))
		return -1;
	result = real.syscall(nr, a, b, c, d, e, f);
	if (__builtin_expect(is_strict(nr, a, b), 0) && result == 0)
		now_strict();
	return result;
}
