/* SPDX-License-Identifier: Apache-2.0 */
/* System calls without libc: each wrapper returns the kernel's result, or -errno. errno is never
 * touched, no cancellation point is passed, nothing is retried. Signal sets are the kernel's: one
 * 64-bit word. */
#ifndef BASE_RAW_H
#define BASE_RAW_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>

#if defined(__clang_analyzer__) || defined(__CPPCHECK__)
/* To a static analyzer a system call is a function that may write wherever it is given an address:
 * it does not look into assembly. */
long raw_syscall3(long nr, long a, long b, long c);
long raw_syscall6(long nr, long a, long b, long c, long d, long e, long f);
#define RAW_SYSCALLS_DECLARED
#endif

#if defined(__x86_64__)
#include "base/raw_x86_64.h"
#elif defined(__aarch64__)
#include "base/raw_aarch64.h"
#else
#error "base/raw_<processor>.h is needed for this processor"
#endif

#define RAW_SIGSET_SIZE 8 /* bytes of a signal set, as the kernel counts */

/* ---- bytes ---- */

static inline ssize_t raw_read(int fd, void *p, size_t n)
{
	return raw_syscall3(SYS_read, fd, (long)p, (long)n);
}

static inline ssize_t raw_write(int fd, const void *p, size_t n)
{
	return raw_syscall3(SYS_write, fd, (long)p, (long)n);
}

static inline ssize_t raw_readv(int fd, const struct iovec *iov, int count)
{
	return raw_syscall3(SYS_readv, fd, (long)iov, count);
}

static inline ssize_t raw_writev(int fd, const struct iovec *iov, int count)
{
	return raw_syscall3(SYS_writev, fd, (long)iov, count);
}

/* The kernel takes the offset in two halves; on 64 bits the upper one is shifted out. */
static inline ssize_t raw_preadv2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
	return raw_syscall6(SYS_preadv2, fd, (long)iov, count, at, 0, flags);
}

static inline ssize_t raw_pwritev2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
	return raw_syscall6(SYS_pwritev2, fd, (long)iov, count, at, 0, flags);
}

static inline ssize_t raw_recvfrom(int fd, void *p, size_t n, int flags, struct sockaddr *from,
				   socklen_t *len)
{
	return raw_syscall6(SYS_recvfrom, fd, (long)p, (long)n, flags, (long)from, (long)len);
}

static inline ssize_t raw_recv(int fd, void *p, size_t n, int flags)
{
	return raw_recvfrom(fd, p, n, flags, NULL, NULL);
}

static inline ssize_t raw_recvmsg(int fd, struct msghdr *m, int flags)
{
	return raw_syscall3(SYS_recvmsg, fd, (long)m, flags);
}

static inline int raw_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags,
			       struct timespec *timeout)
{
	return (int)raw_syscall6(SYS_recvmmsg, fd, (long)m, n, flags, (long)timeout, 0);
}

static inline ssize_t raw_sendto(int fd, const void *p, size_t n, int flags,
				 const struct sockaddr *to, socklen_t len)
{
	return raw_syscall6(SYS_sendto, fd, (long)p, (long)n, flags, (long)to, len);
}

static inline ssize_t raw_send(int fd, const void *p, size_t n, int flags)
{
	return raw_sendto(fd, p, n, flags, NULL, 0);
}

static inline ssize_t raw_sendmsg(int fd, const struct msghdr *m, int flags)
{
	return raw_syscall3(SYS_sendmsg, fd, (long)m, flags);
}

static inline int raw_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	return (int)raw_syscall6(SYS_sendmmsg, fd, (long)m, n, flags, 0, 0);
}

static inline ssize_t raw_sendfile(int out, int in, off_t *at, size_t n)
{
	return raw_syscall6(SYS_sendfile, out, in, (long)at, (long)n, 0, 0);
}

static inline ssize_t raw_splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t n,
				 unsigned flags)
{
	return raw_syscall6(SYS_splice, in, (long)in_at, out, (long)out_at, (long)n, flags);
}

/* ---- sockets ---- */

static inline int raw_socket(int domain, int type, int protocol)
{
	return (int)raw_syscall3(SYS_socket, domain, type, protocol);
}

static inline int raw_socketpair(int domain, int type, int protocol, int fds[2])
{
	return (int)raw_syscall6(SYS_socketpair, domain, type, protocol, (long)fds, 0, 0);
}

static inline int raw_accept(int fd, struct sockaddr *peer, socklen_t *len)
{
	return (int)raw_syscall3(SYS_accept, fd, (long)peer, (long)len);
}

static inline int raw_accept4(int fd, struct sockaddr *peer, socklen_t *len, int flags)
{
	return (int)raw_syscall6(SYS_accept4, fd, (long)peer, (long)len, flags, 0, 0);
}

static inline int raw_connect(int fd, const struct sockaddr *address, socklen_t len)
{
	return (int)raw_syscall3(SYS_connect, fd, (long)address, len);
}

static inline int raw_listen(int fd, int backlog)
{
	return (int)raw_syscall3(SYS_listen, fd, backlog, 0);
}

static inline int raw_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	return (int)raw_syscall6(SYS_getsockopt, fd, level, name, (long)value, (long)len, 0);
}

static inline int raw_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return (int)raw_syscall6(SYS_setsockopt, fd, level, name, (long)value, len, 0);
}

static inline int raw_getpeername(int fd, struct sockaddr *address, socklen_t *len)
{
	return (int)raw_syscall3(SYS_getpeername, fd, (long)address, (long)len);
}

static inline int raw_shutdown(int fd, int how)
{
	return (int)raw_syscall3(SYS_shutdown, fd, how, 0);
}

/* ---- descriptors and files ---- */

static inline int raw_close(int fd)
{
	return (int)raw_syscall3(SYS_close, fd, 0, 0);
}

static inline int raw_close_range(unsigned first, unsigned last, int flags)
{
	return (int)raw_syscall3(SYS_close_range, first, last, flags);
}

static inline int raw_dup(int fd)
{
	return (int)raw_syscall3(SYS_dup, fd, 0, 0);
}

static inline int raw_dup3(int from, int to, int flags)
{
	return (int)raw_syscall3(SYS_dup3, from, to, flags);
}

static inline int raw_fcntl(int fd, int command, long argument)
{
	return (int)raw_syscall3(SYS_fcntl, fd, command, argument);
}

static inline int raw_ioctl(int fd, unsigned long request, void *argument)
{
	return (int)raw_syscall3(SYS_ioctl, fd, (long)request, (long)argument);
}

static inline int raw_openat(int dir, const char *path, int flags, unsigned mode)
{
	return (int)raw_syscall6(SYS_openat, dir, (long)path, flags, mode, 0, 0);
}

static inline int raw_open(const char *path, int flags, unsigned mode)
{
	return raw_openat(AT_FDCWD, path, flags, mode);
}

static inline int raw_fstat(int fd, struct stat *st)
{
	return (int)raw_syscall3(SYS_fstat, fd, (long)st, 0);
}

static inline off_t raw_lseek(int fd, off_t at, int whence)
{
	return raw_syscall3(SYS_lseek, fd, at, whence);
}

static inline ssize_t raw_readlinkat(int dir, const char *path, char *p, size_t n)
{
	return raw_syscall6(SYS_readlinkat, dir, (long)path, (long)p, (long)n, 0, 0);
}

/* The length with its terminator. */
static inline int raw_memfd_create(const char *name, unsigned flags)
{
	return (int)raw_syscall3(SYS_memfd_create, (long)name, flags, 0);
}

static inline int raw_pidfd_open(pid_t pid, unsigned flags)
{
	return (int)raw_syscall3(SYS_pidfd_open, pid, flags, 0);
}

static inline int raw_pidfd_getfd(int pidfd, int fd, unsigned flags)
{
	return (int)raw_syscall3(SYS_pidfd_getfd, pidfd, fd, flags);
}

/* ---- waiting ---- */

/* Unlike libc's, the kernel's ppoll, pselect6 write what is left into *timeout. */
static inline int raw_ppoll(struct pollfd *fds, nfds_t n, struct timespec *timeout,
			    const uint64_t *mask)
{
	return (int)raw_syscall6(SYS_ppoll, (long)fds, (long)n, (long)timeout, (long)mask,
				 RAW_SIGSET_SIZE, 0);
}

static inline int raw_pselect6(int n, fd_set *in, fd_set *out, fd_set *except,
			       struct timespec *timeout, const uint64_t *mask)
{
	const long pair[2] = { (long)mask, RAW_SIGSET_SIZE };

	return (int)raw_syscall6(SYS_pselect6, n, (long)in, (long)out, (long)except, (long)timeout,
				 (long)pair);
}

static inline int raw_epoll_create1(int flags)
{
	return (int)raw_syscall3(SYS_epoll_create1, flags, 0, 0);
}

static inline int raw_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	return (int)raw_syscall6(SYS_epoll_ctl, epfd, op, fd, (long)event, 0, 0);
}

static inline int raw_epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout_ms,
				  const uint64_t *mask)
{
	return (int)raw_syscall6(SYS_epoll_pwait, epfd, (long)events, max, timeout_ms, (long)mask,
				 RAW_SIGSET_SIZE);
}

static inline int raw_epoll_pwait2(int epfd, struct epoll_event *events, int max,
				   const struct timespec *timeout, const uint64_t *mask)
{
	return (int)raw_syscall6(SYS_epoll_pwait2, epfd, (long)events, max, (long)timeout,
				 (long)mask, RAW_SIGSET_SIZE);
}

/* op with its FUTEX_* flags; the timeout of FUTEX_WAIT is relative. */
static inline int raw_futex(void *word, int op, uint32_t value, const struct timespec *timeout)
{
	return (int)raw_syscall6(SYS_futex, (long)word, op, value, (long)timeout, 0, 0);
}

static inline int raw_nanosleep(const struct timespec *time, struct timespec *left)
{
	return (int)raw_syscall3(SYS_nanosleep, (long)time, (long)left, 0);
}

static inline int raw_sched_yield(void)
{
	return (int)raw_syscall3(SYS_sched_yield, 0, 0, 0);
}

static inline int raw_clock_gettime(int clock, struct timespec *now)
{
	return (int)raw_syscall3(SYS_clock_gettime, clock, (long)now, 0);
}

/* ---- memory ---- */

/* True for what raw_mmap() and raw_mremap() return when they fail. */
static inline int raw_is_error(const void *p)
{
	return (unsigned long)p > -4096ul;
}

/* The address, or -errno as a pointer: ask raw_is_error(). */
static inline void *raw_mmap(void *hint, size_t n, int protection, int flags, int fd, off_t at)
{
	return (void *)raw_syscall6(SYS_mmap, (long)hint, (long)n, protection, flags, fd, at);
}

static inline int raw_mprotect(void *p, size_t n, int protection)
{
	return (int)raw_syscall3(SYS_mprotect, (long)p, (long)n, protection);
}

static inline int raw_munmap(void *p, size_t n)
{
	return (int)raw_syscall3(SYS_munmap, (long)p, (long)n, 0);
}

static inline int raw_madvise(void *p, size_t n, int advice)
{
	return (int)raw_syscall3(SYS_madvise, (long)p, (long)n, advice);
}

static inline void *raw_mremap(void *p, size_t from, size_t to, int flags)
{
	return (void *)raw_syscall6(SYS_mremap, (long)p, (long)from, (long)to, flags, 0, 0);
}

/* ---- processes ---- */

static inline int raw_getpid(void)
{
	return (int)raw_syscall3(SYS_getpid, 0, 0, 0);
}

static inline int raw_getppid(void)
{
	return (int)raw_syscall3(SYS_getppid, 0, 0, 0);
}

static inline int raw_gettid(void)
{
	return (int)raw_syscall3(SYS_gettid, 0, 0, 0);
}

static inline uint32_t raw_getuid(void)
{
	return (uint32_t)raw_syscall3(SYS_getuid, 0, 0, 0);
}

static inline int raw_setsid(void)
{
	return (int)raw_syscall3(SYS_setsid, 0, 0, 0);
}

/* fork() as the kernel does it: no atfork handler runs, libc does not know. */
static inline int raw_fork(void)
{
	return (int)raw_syscall6(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
}

static inline int raw_execve(const char *path, char *const argv[], char *const envp[])
{
	return (int)raw_syscall3(SYS_execve, (long)path, (long)argv, (long)envp);
}

static inline int raw_execveat(int dir, const char *path, char *const argv[], char *const envp[],
			       int flags)
{
	return (int)raw_syscall6(SYS_execveat, dir, (long)path, (long)argv, (long)envp, flags, 0);
}

static inline int raw_wait4(int pid, int *status, int options)
{
	return (int)raw_syscall6(SYS_wait4, pid, (long)status, options, 0, 0, 0);
}

static inline _Noreturn void raw_exit_group(int status)
{
	for (;;)
		raw_syscall3(SYS_exit_group, status, 0, 0);
}

static inline int raw_tgkill(int pid, int tid, int signal)
{
	return (int)raw_syscall3(SYS_tgkill, pid, tid, signal);
}

static inline int raw_kill(int pid, int signal)
{
	return (int)raw_syscall3(SYS_kill, pid, signal, 0);
}

static inline int raw_rt_sigprocmask(int how, const uint64_t *set, uint64_t *old)
{
	return (int)raw_syscall6(SYS_rt_sigprocmask, how, (long)set, (long)old, RAW_SIGSET_SIZE, 0,
				 0);
}

/* The start of the kernel's struct sigaction; on AArch64 libc gives no restorer. */
struct raw_signal_action {
	uint64_t handler, flags, restorer, mask[5];
};

/* All zero when it cannot be told. */
static inline void raw_signal_action(int signal, struct raw_signal_action *action)
{
	*action = (struct raw_signal_action){ 0 };
	raw_syscall6(SYS_rt_sigaction, signal, 0, (long)action, RAW_SIGSET_SIZE, 0, 0);
}

static inline int raw_rt_sigpending(uint64_t *set)
{
	return (int)raw_syscall3(SYS_rt_sigpending, (long)set, RAW_SIGSET_SIZE, 0);
}

/* The number of the signal that was pending and is taken away, or -EAGAIN. info: what came with
 * it, or NULL. */
static inline int raw_rt_sigtimedwait(const uint64_t *set, siginfo_t *info,
				      const struct timespec *timeout)
{
	return (int)raw_syscall6(SYS_rt_sigtimedwait, (long)set, (long)info, (long)timeout,
				 RAW_SIGSET_SIZE, 0, 0);
}

static inline int raw_prctl(int option, long a, long b, long c, long d)
{
	return (int)raw_syscall6(SYS_prctl, option, a, b, c, d, 0);
}

static inline int raw_prlimit64(int pid, int resource, const struct rlimit64 *set,
				struct rlimit64 *old)
{
	return (int)raw_syscall6(SYS_prlimit64, pid, resource, (long)set, (long)old, 0, 0);
}

static inline ssize_t raw_getrandom(void *p, size_t n, unsigned flags)
{
	return raw_syscall3(SYS_getrandom, (long)p, (long)n, flags);
}

static inline int raw_uname(struct utsname *name)
{
	return (int)raw_syscall3(SYS_uname, (long)name, 0, 0);
}

#endif
