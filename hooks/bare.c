/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/bare.h"

int bare_socket(int domain, int type, int protocol)
{
	return (int)libc_result(raw_socket(domain, type, protocol));
}

int bare_socketpair(int domain, int type, int protocol, int *fds)
{
	return (int)libc_result(raw_socketpair(domain, type, protocol, fds));
}

int bare_pidfd_getfd(int pidfd, int fd, unsigned flags)
{
	return (int)libc_result(raw_pidfd_getfd(pidfd, fd, flags));
}

int bare_accept(int fd, struct sockaddr *peer, socklen_t *len)
{
	return (int)libc_result(raw_accept(fd, peer, len));
}

int bare_accept4(int fd, struct sockaddr *peer, socklen_t *len, int flags)
{
	return (int)libc_result(raw_accept4(fd, peer, len, flags));
}

int bare_listen(int fd, int backlog)
{
	return (int)libc_result(raw_listen(fd, backlog));
}

int bare_connect(int fd, const struct sockaddr *address, socklen_t len)
{
	return (int)libc_result(raw_connect(fd, address, len));
}

int bare_shutdown(int fd, int how)
{
	return (int)libc_result(raw_shutdown(fd, how));
}

ssize_t bare_read(int fd, void *p, size_t n)
{
	return libc_result(raw_read(fd, p, n));
}

/* The check that `n` fits is glibc's to make, and only there does anybody call these. */
ssize_t bare_read_chk(int fd, void *p, size_t n, size_t room)
{
	(void)room;
	return bare_read(fd, p, n);
}

ssize_t bare_readv(int fd, const struct iovec *iov, int count)
{
	return libc_result(raw_readv(fd, iov, count));
}

ssize_t bare_preadv2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
	return libc_result(raw_preadv2(fd, iov, count, at, flags));
}

ssize_t bare_recv(int fd, void *p, size_t n, int flags)
{
	return libc_result(raw_recv(fd, p, n, flags));
}

ssize_t bare_recv_chk(int fd, void *p, size_t n, size_t room, int flags)
{
	(void)room;
	return bare_recv(fd, p, n, flags);
}

ssize_t bare_recvfrom(int fd, void *p, size_t n, int flags, struct sockaddr *from, socklen_t *len)
{
	return libc_result(raw_recvfrom(fd, p, n, flags, from, len));
}

ssize_t bare_recvfrom_chk(int fd, void *p, size_t n, size_t room, int flags, struct sockaddr *from,
			  socklen_t *len)
{
	(void)room;
	return bare_recvfrom(fd, p, n, flags, from, len);
}

ssize_t bare_recvmsg(int fd, struct msghdr *m, int flags)
{
	return libc_result(raw_recvmsg(fd, m, flags));
}

int bare_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *timeout)
{
	return (int)libc_result(raw_recvmmsg(fd, m, n, flags, timeout));
}

ssize_t bare_write(int fd, const void *p, size_t n)
{
	return libc_result(raw_write(fd, p, n));
}

ssize_t bare_writev(int fd, const struct iovec *iov, int count)
{
	return libc_result(raw_writev(fd, iov, count));
}

ssize_t bare_pwritev2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
	return libc_result(raw_pwritev2(fd, iov, count, at, flags));
}

ssize_t bare_send(int fd, const void *p, size_t n, int flags)
{
	return libc_result(raw_send(fd, p, n, flags));
}

ssize_t bare_sendto(int fd, const void *p, size_t n, int flags, const struct sockaddr *to,
		    socklen_t len)
{
	return libc_result(raw_sendto(fd, p, n, flags, to, len));
}

ssize_t bare_sendmsg(int fd, const struct msghdr *m, int flags)
{
	return libc_result(raw_sendmsg(fd, m, flags));
}

int bare_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	return (int)libc_result(raw_sendmmsg(fd, m, n, flags));
}

ssize_t bare_sendfile(int out, int in, off_t *at, size_t n)
{
	return libc_result(raw_sendfile(out, in, at, n));
}

ssize_t bare_splice(int in, off_t *in_at, int out, off_t *out_at, size_t n, unsigned flags)
{
	return libc_result(raw_splice(in, in_at, out, out_at, n, flags));
}

int bare_dup(int fd)
{
	return (int)libc_result(raw_dup(fd));
}

int bare_dup2(int from, int to)
{
	return (int)libc_result(raw_dup2(from, to));
}

int bare_dup3(int from, int to, int flags)
{
	return (int)libc_result(raw_dup3(from, to, flags));
}

int bare_fcntl(int fd, int command, long argument)
{
	return (int)libc_result(raw_fcntl(fd, command, argument));
}

int bare_ioctl(int fd, unsigned long request, void *argument)
{
	return (int)libc_result(raw_ioctl(fd, request, argument));
}

int bare_close(int fd)
{
	return (int)libc_result(raw_close(fd));
}

int bare_close_range(unsigned first, unsigned last, int flags)
{
	return (int)libc_result(raw_close_range(first, last, flags));
}

void bare_closefrom(int first)
{
	struct rlimit64 limit = { 1024, 1024 };

	if (first < 0)
		first = 0;
	if (raw_close_range((unsigned)first, ~0u, 0) == 0)
		return;
	/* Before Linux 5.9. A lowered limit hides the numbers above it, as it does from programs
	 * that loop themselves. */
	raw_prlimit64(0, RLIMIT_NOFILE, NULL, &limit);
	for (rlim64_t fd = (rlim64_t)first; fd < limit.rlim_cur && fd < 1u << 20; fd++)
		raw_close((int)fd);
}

int bare_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	return (int)libc_result(raw_poll(fds, n, timeout_ms));
}

int bare_poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t room)
{
	(void)room;
	return bare_poll(fds, n, timeout_ms);
}

/* The kernel writes the time that is left; POSIX says the program's is constant. */
int bare_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec left = timeout ? *timeout : (struct timespec){ 0 };

	return (int)libc_result(raw_ppoll(fds, n, timeout ? &left : NULL, (const uint64_t *)mask));
}

int bare_ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		   const sigset_t *mask, size_t room)
{
	(void)room;
	return bare_ppoll(fds, n, timeout, mask);
}

int bare_select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout)
{
	return (int)libc_result(raw_select(n, in, out, except, timeout));
}

int bare_pselect(int n, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,
		 const sigset_t *mask)
{
	struct timespec left = timeout ? *timeout : (struct timespec){ 0 };

	return (int)libc_result(
		raw_pselect6(n, in, out, except, timeout ? &left : NULL, (const uint64_t *)mask));
}

int bare_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	return (int)libc_result(raw_epoll_ctl(epfd, op, fd, event));
}

int bare_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms)
{
	return (int)libc_result(raw_epoll_wait(epfd, events, max, timeout_ms));
}

int bare_epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout_ms,
		     const sigset_t *mask)
{
	return (int)libc_result(
		raw_epoll_pwait(epfd, events, max, timeout_ms, (const uint64_t *)mask));
}

int bare_epoll_pwait2(int epfd, struct epoll_event *events, int max, const struct timespec *timeout,
		      const sigset_t *mask)
{
	return (int)libc_result(
		raw_epoll_pwait2(epfd, events, max, timeout, (const uint64_t *)mask));
}

pid_t bare_fork(void)
{
	return (pid_t)libc_result(raw_fork());
}

pid_t bare_setsid(void)
{
	return (pid_t)libc_result(raw_setsid());
}

int bare_execve(const char *path, char *const *argv, char *const *envp)
{
	return (int)libc_result(raw_execve(path, argv, envp));
}

int bare_fexecve(int fd, char *const *argv, char *const *envp)
{
	return bare_execveat(fd, "", argv, envp, AT_EMPTY_PATH);
}

int bare_execveat(int dir, const char *path, char *const *argv, char *const *envp, int flags)
{
	return (int)libc_result(raw_execveat(dir, path, argv, envp, flags));
}

void bare_exit(int status)
{
	raw_exit_group(status);
}

void bare_thread_exit(void *value)
{
	(void)value;
	raw_syscall3(SYS_exit, 0, 0, 0);
}

int bare_prctl(int option, long a, long b, long c, long d)
{
	return (int)libc_result(raw_prctl(option, a, b, c, d));
}

long bare_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	return libc_result(raw_syscall6(nr, a, b, c, d, e, f));
}

int bare_nothing(void)
{
	host_errno_set(ENOSYS);
	return -1;
}

void *bare_null(void)
{
	host_errno_set(ENOSYS);
	return NULL;
}
