/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls as a libc would offer them, for names that no library of the process has: older
 * than the name, another libc, or nothing loaded yet. errno is set if there is one. */
#ifndef HOOKS_BARE_H
#define HOOKS_BARE_H

#include "base/host_errno.h"
#include "base/raw.h"
#include "hooks/real.h"

/* What the kernel returned, as libc returns it. */
static inline long libc_result(long r)
{
	if ((unsigned long)r <= -4096ul)
		return r;
	host_errno_set((int)-r);
	return -1;
}

int bare_socket(int domain, int type, int protocol);
int bare_socketpair(int domain, int type, int protocol, int *fds);
int bare_pidfd_getfd(int pidfd, int fd, unsigned flags);
int bare_accept(int fd, struct sockaddr *peer, socklen_t *len);
int bare_accept4(int fd, struct sockaddr *peer, socklen_t *len, int flags);
int bare_listen(int fd, int backlog);
int bare_connect(int fd, const struct sockaddr *address, socklen_t len);
int bare_shutdown(int fd, int how);
ssize_t bare_read(int fd, void *p, size_t n);
ssize_t bare_read_chk(int fd, void *p, size_t n, size_t room);
ssize_t bare_readv(int fd, const struct iovec *iov, int count);
ssize_t bare_preadv2(int fd, const struct iovec *iov, int count, off_t at, int flags);
ssize_t bare_recv(int fd, void *p, size_t n, int flags);
ssize_t bare_recv_chk(int fd, void *p, size_t n, size_t room, int flags);
ssize_t bare_recvfrom(int fd, void *p, size_t n, int flags, struct sockaddr *from, socklen_t *len);
ssize_t bare_recvfrom_chk(int fd, void *p, size_t n, size_t room, int flags, struct sockaddr *from,
			  socklen_t *len);
ssize_t bare_recvmsg(int fd, struct msghdr *m, int flags);
int bare_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *timeout);
ssize_t bare_write(int fd, const void *p, size_t n);
ssize_t bare_writev(int fd, const struct iovec *iov, int count);
ssize_t bare_pwritev2(int fd, const struct iovec *iov, int count, off_t at, int flags);
ssize_t bare_send(int fd, const void *p, size_t n, int flags);
ssize_t bare_sendto(int fd, const void *p, size_t n, int flags, const struct sockaddr *to,
		    socklen_t len);
ssize_t bare_sendmsg(int fd, const struct msghdr *m, int flags);
int bare_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags);
ssize_t bare_sendfile(int out, int in, off_t *at, size_t n);
ssize_t bare_splice(int in, off_t *in_at, int out, off_t *out_at, size_t n, unsigned flags);
int bare_dup(int fd);
int bare_dup2(int from, int to);
int bare_dup3(int from, int to, int flags);
int bare_fcntl(int fd, int command, long argument);
int bare_ioctl(int fd, unsigned long request, void *argument);
int bare_close(int fd);
int bare_close_range(unsigned first, unsigned last, int flags);
void bare_closefrom(int first);
int bare_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int bare_poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t room);
int bare_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask);
int bare_ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		   const sigset_t *mask, size_t room);
int bare_select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout);
int bare_pselect(int n, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,
		 const sigset_t *mask);
int bare_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int bare_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms);
int bare_epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout_ms,
		     const sigset_t *mask);
int bare_epoll_pwait2(int epfd, struct epoll_event *events, int max, const struct timespec *timeout,
		      const sigset_t *mask);
pid_t bare_fork(void);
pid_t bare_setsid(void);
int bare_execve(const char *path, char *const *argv, char *const *envp);
int bare_fexecve(int fd, char *const *argv, char *const *envp);
int bare_execveat(int dir, const char *path, char *const *argv, char *const *envp, int flags);
void bare_exit(int status);
void bare_thread_exit(void *value);
int bare_prctl(int option, long a, long b, long c, long d);
long bare_syscall(long nr, long a, long b, long c, long d, long e, long f);

/* For names that every libc has and that are more than a system call: -1 or NULL, ENOSYS. */
int bare_nothing(void);
void *bare_null(void);

#endif
