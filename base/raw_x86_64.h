/* SPDX-License-Identifier: Apache-2.0 */
/* x86-64: the system call instruction, and the old calls that newer processors no longer have.
 * Included by base/raw.h only. */
#ifndef BASE_RAW_X86_64_H
#define BASE_RAW_X86_64_H

#ifndef RAW_SYSCALLS_DECLARED
/* The kernel destroys rcx (return address) and r11 (flags). */
static inline long raw_syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

/* Fewer arguments leave the other registers alone: a hooked call is priced in nanoseconds. */
static inline long raw_syscall3(long nr, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}
#endif

static inline int raw_dup2(int from, int to)
{
	return (int)raw_syscall3(SYS_dup2, from, to, 0);
}

static inline int raw_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	return (int)raw_syscall3(SYS_poll, (long)fds, (long)n, timeout_ms);
}

static inline int raw_select(int n, fd_set *in, fd_set *out, fd_set *except,
			     struct timeval *timeout)
{
	return (int)raw_syscall6(SYS_select, n, (long)in, (long)out, (long)except, (long)timeout,
				 0);
}

static inline int raw_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms)
{
	return (int)raw_syscall6(SYS_epoll_wait, epfd, (long)events, max, timeout_ms, 0, 0);
}

#endif
