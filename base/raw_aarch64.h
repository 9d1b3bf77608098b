/* SPDX-License-Identifier: Apache-2.0 */
/* AArch64: the system call instruction, and the old calls it lacks made from their successors.
 * Included by base/raw.h only. */
#ifndef BASE_RAW_AARCH64_H
#define BASE_RAW_AARCH64_H

#ifndef RAW_SYSCALLS_DECLARED
static inline long raw_syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}

static inline long raw_syscall3(long nr, long a, long b, long c)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
}
#endif

/* dup3() refuses equal numbers, dup2() only asks whether the descriptor is open. */
static inline int raw_dup2(int from, int to)
{
	if (from == to) {
		long flags = raw_syscall3(SYS_fcntl, from, F_GETFD, 0);

		return flags < 0 ? (int)flags : to;
	}
	return (int)raw_syscall3(SYS_dup3, from, to, 0);
}

static inline int raw_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	struct timespec t = { timeout_ms / 1000, (long)(timeout_ms % 1000) * 1000000 };

	return (int)raw_syscall6(SYS_ppoll, (long)fds, (long)n, timeout_ms < 0 ? 0 : (long)&t, 0, 8,
				 0);
}

static inline int raw_select(int n, fd_set *in, fd_set *out, fd_set *except,
			     struct timeval *timeout)
{
	struct timespec t = { 0, 0 };
	long result;

	if (timeout) {
		if (timeout->tv_sec < 0 || timeout->tv_usec < 0)
			return -EINVAL;
		t.tv_sec = timeout->tv_sec + timeout->tv_usec / 1000000;
		t.tv_nsec = timeout->tv_usec % 1000000 * 1000;
	}
	result = raw_syscall6(SYS_pselect6, n, (long)in, (long)out, (long)except,
			      timeout ? (long)&t : 0, 0);
	if (timeout) /* what is left, as select() reports it on Linux */
		*timeout = (struct timeval){ t.tv_sec, t.tv_nsec / 1000 };
	return (int)result;
}

static inline int raw_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms)
{
	return (int)raw_syscall6(SYS_epoll_pwait, epfd, (long)events, max, timeout_ms, 0, 8);
}

#endif
