/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/raw.h"

Test(raw, returns_the_error_and_leaves_errno_alone)
{
	char c;

	errno = 4711;
	cr_assert_eq(raw_read(-1, &c, 1), -EBADF);
	cr_assert_eq(raw_open("/nowhere/at/all", O_RDONLY, 0), -ENOENT);
	cr_assert_eq(raw_dup2(-1, 5), -EBADF);
	cr_assert_eq(raw_fcntl(-1, F_GETFD, 0), -EBADF);
	cr_assert(raw_is_error(raw_mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
	cr_assert_eq(errno, 4711);
}

Test(raw, passes_all_six_arguments)
{
	int fd = raw_memfd_create("raw-test", 0);
	char *p;

	cr_assert_geq(fd, 0);
	cr_assert_eq(raw_write(fd, "0123456789", 10), 10);
	p = raw_mmap(NULL, 10, PROT_READ, MAP_SHARED, fd, 0);
	cr_assert(!raw_is_error(p));
	cr_assert_eq(p[9], '9');
	cr_assert_eq(raw_munmap(p, 10), 0);
	cr_assert_eq(raw_lseek(fd, 0, SEEK_CUR), 10);
	raw_close(fd);
}

Test(raw, takes_offsets_of_64_bits)
{
	int fd = raw_memfd_create("raw-test", 0);
	const off_t far = (off_t)5 << 32;
	struct iovec out = { (void *)"far", 3 }, in = { (char[4]){ 0 }, 3 };

	cr_assert_eq(raw_pwritev2(fd, &out, 1, far, 0), 3);
	cr_assert_eq(raw_preadv2(fd, &in, 1, far, 0), 3);
	cr_assert_str_eq(in.iov_base, "far");
	cr_assert_eq(raw_preadv2(fd, &in, 1, 0, 0), 3);
	cr_assert_str_eq(in.iov_base, "");
	raw_close(fd);
}

Test(raw, does_the_old_calls_of_every_processor)
{
	struct timeval soon = { 0, 1000 };
	struct epoll_event event = { .events = EPOLLIN };
	struct pollfd p;
	fd_set set;
	int ends[2], epfd = raw_epoll_create1(EPOLL_CLOEXEC);

	cr_assert_eq(raw_socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	p = (struct pollfd){ .fd = ends[0], .events = POLLIN };
	cr_assert_eq(raw_poll(&p, 1, 0), 0);
	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	cr_assert_eq(raw_select(ends[0] + 1, &set, NULL, NULL, &soon), 0);
	cr_assert_eq(raw_epoll_ctl(epfd, EPOLL_CTL_ADD, ends[0], &event), 0);
	cr_assert_eq(raw_epoll_wait(epfd, &event, 1, 0), 0);
	cr_assert_eq(raw_send(ends[1], "x", 1, MSG_NOSIGNAL), 1);
	cr_assert_eq(raw_poll(&p, 1, -1), 1);
	FD_SET(ends[0], &set);
	cr_assert_eq(raw_select(ends[0] + 1, &set, NULL, NULL, NULL), 1);
	cr_assert_eq(raw_epoll_wait(epfd, &event, 1, -1), 1);
	cr_assert_eq(raw_epoll_pwait(epfd, &event, 1, 0, NULL), 1);
	cr_assert_eq(raw_dup2(ends[0], ends[0]), ends[0]);
	cr_assert_eq(raw_dup2(ends[0], ends[1]), ends[1]);
	raw_close(ends[0]);
	raw_close(ends[1]);
	raw_close(epfd);
}

Test(raw, forks)
{
	int status = -1, pid = raw_fork();

	if (pid == 0)
		raw_exit_group(raw_getppid() > 0 ? 42 : 1);
	cr_assert_gt(pid, 0);
	cr_assert_eq(raw_wait4(pid, &status, 0), pid);
	cr_assert_eq(WEXITSTATUS(status), 42);
}
