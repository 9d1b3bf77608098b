/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <sys/syscall.h>
#include "base/own_fd.h"
#include "fake_shim.h"

TestSuite(hooks_descriptors, .init = fake_start);

static int result_fd;

static int fake_socket(int domain, int type, int protocol)
{
	(void)domain, (void)type, (void)protocol;
	return result_fd;
}

static int fake_socketpair(int domain, int type, int protocol, int *fds)
{
	(void)domain, (void)type, (void)protocol;
	fds[0] = 8;
	fds[1] = 9;
	return result_fd;
}

Test(hooks_descriptors, sockets_are_told_when_they_are_made)
{
	int fds[2];

	real.socket = fake_socket;
	real.socketpair = fake_socketpair;
	result_fd = 7;
	cr_assert_eq(hook_socket(AF_INET, SOCK_STREAM, 0), 7);
	result_fd = -1;
	cr_assert_eq(hook_socket(AF_INET, SOCK_STREAM, 0), -1);
	cr_assert_eq(hook_socketpair(AF_UNIX, SOCK_STREAM, 0, fds), -1);
	result_fd = 0;
	hook_socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
	expect_said("on_socket 7 2 1\non_socket 8 1 1\non_socket 9 1 1\n");
}

static int fake_accept4(int fd, struct sockaddr *peer, socklen_t *len, int flags)
{
	(void)fd, (void)flags;
	if (peer)
		*len = 16;
	return result_fd;
}

Test(hooks_descriptors, a_peer_address_that_was_cut_is_worth_nothing)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);

	real.accept4 = fake_accept4;
	result_fd = 7;
	hook_accept4(3, (struct sockaddr *)&peer, &len, 0);
	len = 8;
	hook_accept4(3, (struct sockaddr *)&peer, &len, 0);
	hook_accept4(3, NULL, NULL, 0);
	result_fd = -1;
	hook_accept4(3, NULL, NULL, 0);
	expect_said("on_accept 3 7 peer 16\non_accept 3 7 - 0\non_accept 3 7 - 0\n");
}

static int fake_connect(int fd, const struct sockaddr *address, socklen_t len)
{
	(void)fd, (void)address, (void)len;
	errno = EINPROGRESS;
	return result_fd;
}

Test(hooks_descriptors, connect_says_how_it_ended)
{
	real.connect = fake_connect;
	real.__connect = fake_connect;
	fake_track(5);
	hook_connect(6, NULL, 0);
	hook_connect(5, NULL, 3);
	result_fd = -1;
	cr_assert_eq(hook___connect(5, NULL, 4), -1);
	cr_assert_eq(errno, EINPROGRESS);
	expect_said("on_connect 5 3 0 0\non_connect 5 4 -1 115\n");
}

static int fake_close(int fd)
{
	say("close %d", fd);
	return 0;
}

Test(hooks_descriptors, the_entry_goes_before_the_number)
{
	real.close = fake_close;
	real.__close = fake_close;
	real.__close_nocancel = fake_close;
	fake_track(5);
	fake_track(6);
	fake_flags[7] = 1;
	hook_close(5);
	hook___close(6);
	hook___close_nocancel(7);
	hook_close(5);
	expect_said("before_close 5\nclose 5\nbefore_close 6\nclose 6\nbefore_close 7\nclose "
		    "7\nclose 5\n");
}

static int adopt(void)
{
	int fd = own_fd_adopt(OWN_FD_LOG, dup(2));

	cr_assert_geq(fd, 0);
	return fd;
}

Test(hooks_descriptors, ours_is_no_descriptor_to_the_program)
{
	int ours = adopt();

	real.close = fake_close;
	cr_assert_eq(hook_close(ours), -1);
	cr_assert_eq(errno, EBADF);
	cr_assert_eq(hook_syscall(SYS_close, ours, 0, 0, 0, 0, 0), -1);
	cr_assert_eq(errno, EBADF);
	expect_said("");
}

static int fake_close_range(unsigned first, unsigned last, int flags)
{
	say("close_range %u %u %d", first, last, flags);
	return 0;
}

Test(hooks_descriptors, close_range_goes_around_ours)
{
	char want[256];
	int ours = adopt();

	real.close_range = fake_close_range;
	cr_assert_eq(hook_close_range(3, ~0u, 0), 0);
	snprintf(want, sizeof(want),
		 "before_close_range 3 %u\nclose_range 3 %d 0\nclose_range %d %u 0\n", ~0u,
		 ours - 1, ours + 1, ~0u);
	expect_said(want);
}

Test(hooks_descriptors, close_range_of_ours_alone_does_nothing)
{
	int ours = adopt();

	real.close_range = fake_close_range;
	cr_assert_eq(hook_close_range((unsigned)ours, (unsigned)ours, 0), 0);
	cr_assert_null(strstr(fake.said, "\nclose_range"));
	cr_assert_geq(fcntl(ours, F_GETFD), 0);
}

Test(hooks_descriptors, close_range_that_only_marks_closes_nothing)
{
	real.close_range = fake_close_range;
	hook_close_range(3, 9, CLOSE_RANGE_CLOEXEC);
	hook_close_range(9, 3, 0);
	hook_close_range(3, 9, 1 << 20);
	hook_close_range(3, 9, CLOSE_RANGE_UNSHARE);
	expect_said("close_range 3 9 4\nclose_range 9 3 0\nclose_range 3 9 1048576\n"
		    "before_close_range 3 9\nclose_range 3 9 2\n");
}

static void fake_closefrom(int first)
{
	say("closefrom %d", first);
}

Test(hooks_descriptors, closefrom_goes_around_ours)
{
	char want[256];
	int ours = adopt(), low = ours - 2;

	real.closefrom = fake_closefrom;
	cr_assert_geq(fcntl(2, F_DUPFD, low), 0);
	hook_closefrom(low);
	snprintf(want, sizeof(want), "before_close_range %d %u\nclosefrom %d\n", low, ~0u,
		 ours + 1);
	expect_said(want);
	cr_assert_eq(fcntl(low, F_GETFD), -1);
	cr_assert_geq(fcntl(ours, F_GETFD), 0);
}

static int fake_dup(int fd)
{
	(void)fd;
	return result_fd;
}

static int fake_dup2(int from, int to)
{
	say("dup2 %d %d", from, to);
	return result_fd < 0 ? -1 : to;
}

static int fake_dup3(int from, int to, int flags)
{
	(void)flags;
	return fake_dup2(from, to);
}

Test(hooks_descriptors, a_second_number_is_told)
{
	real.dup = fake_dup;
	result_fd = 9;
	fake_track(5);
	hook_dup(5);
	hook_dup(6);
	result_fd = -1;
	hook_dup(5);
	expect_said("on_dup 5 9\n");
}

Test(hooks_descriptors, what_dup2_replaces_is_closed_first)
{
	real.dup2 = fake_dup2;
	real.__dup2 = fake_dup2;
	real.dup3 = fake_dup3;
	fake_track(2); /* an open descriptor, so that the call can be expected to succeed */
	fake_track(20);
	fake_track(21);
	fake_track(22);
	hook_dup2(2, 20);
	hook___dup2(2, 21);
	hook_dup3(2, 22, O_CLOEXEC);
	expect_said(
		"before_close 20\ndup2 2 20\non_dup 2 20\nbefore_close 21\ndup2 2 21\non_dup 2 21\n"
		"before_close 22\ndup2 2 22\non_dup 2 22\n");
}

Test(hooks_descriptors, dup2_that_is_going_to_fail_closes_nothing)
{
	real.dup2 = fake_dup2;
	real.dup3 = fake_dup3;
	result_fd = -1;
	fake_track(20);
	fake_track(2);
	hook_dup2(63, 20);
	hook_dup3(2, 20, O_APPEND);
	hook_dup3(2, 2, 0);
	expect_said("dup2 63 20\ndup2 2 20\ndup2 2 2\n");
}

Test(hooks_descriptors, dup2_onto_itself_changes_nothing)
{
	real.dup2 = fake_dup2;
	fake_track(2);
	cr_assert_eq(hook_dup2(2, 2), 2);
	expect_said("dup2 2 2\n");
}

Test(hooks_descriptors, ours_moves_out_of_the_way_of_dup2)
{
	int ours = adopt();

	real.dup2 = fake_dup2;
	cr_assert_eq(hook_dup2(2, ours), ours);
	cr_assert_not(own_fd_contains(ours));
	cr_assert_geq(own_fd_get(OWN_FD_LOG), 0);
}

static long fcntl_argument;

static int fake_fcntl(int fd, int command, ...)
{
	va_list args;

	(void)fd, (void)command;
	va_start(args, command);
	fcntl_argument = va_arg(args, long);
	va_end(args);
	return result_fd;
}

Test(hooks_descriptors, fcntl_is_looked_at_for_dup_only)
{
	real.fcntl = fake_fcntl;
	real.fcntl64 = fake_fcntl;
	real.__fcntl = fake_fcntl;
	fake_track(5);
	result_fd = 9;
	hook_fcntl(5, F_GETFL, 0);
	hook_fcntl(5, F_DUPFD, 3);
	hook_fcntl64(5, F_DUPFD_CLOEXEC, 3);
	hook___fcntl(5, F_DUPFD, 3);
	hook_fcntl(6, F_DUPFD, 3);
	hook_fcntl(5, F_SETLK, 0x123456789abcdef);
	cr_assert_eq(fcntl_argument, 0x123456789abcdef);
	expect_said("on_dup 5 9\non_dup 5 9\non_dup 5 9\n");
}

static int fake_fclose(void *stream)
{
	(void)stream;
	return 0;
}

static int fake_fileno(void *stream)
{
	(void)stream;
	return 5;
}

Test(hooks_descriptors, stdio_closes_too)
{
	real.fclose = fake_fclose;
	real.fileno = fake_fileno;
	fake_track(5);
	hook_fclose(&result_fd);
	hook_fclose(&result_fd);
	expect_said("before_close 5\n");
}

static int no_fileno(void *stream)
{
	(void)stream;
	errno = EBADF;
	return -1;
}

Test(hooks_descriptors, closing_a_stream_in_memory_leaves_errno_alone)
{
	real.fclose = fake_fclose;
	real.fileno = no_fileno;
	fake_track(5);
	errno = 0;
	hook_fclose(&result_fd);
	cr_assert_eq(errno, 0);
}

static int fake_listen(int fd, int backlog)
{
	(void)fd;
	return backlog;
}

Test(hooks_descriptors, listen_and_shutdown_tell_only_success)
{
	real.listen = fake_listen;
	real.shutdown = fake_listen;
	fake_track(5);
	hook_listen(4, -1);
	hook_listen(4, 0);
	hook_shutdown(4, 0);
	hook_shutdown(5, 0);
	hook_shutdown(5, -1);
	expect_said("on_listen 4\non_shutdown 5 0\n");
}

static long fake_syscall(long nr, ...)
{
	(void)nr;
	return 0;
}

Test(hooks_descriptors, direct_system_calls_keep_the_tables_right)
{
	real.syscall = fake_syscall;
	for (int fd = 5; fd < 12; fd++)
		fake_track(fd);
	hook_syscall(SYS_close, 5, 0, 0, 0, 0, 0);
	hook_syscall(SYS_dup2, 1, 6, 0, 0, 0, 0);
	hook_syscall(SYS_dup3, 1, 7, 0, 0, 0, 0);
	hook_syscall(SYS_close_range, 30, 31, 0, 0, 0, 0);
	hook_syscall(SYS_write, 8, 0, 0, 0, 0, 0);
	hook_syscall(SYS_sendfile, 20, 9, 0, 0, 0, 0);
	hook_syscall(SYS_splice, 10, 0, 11, 0, 0, 0);
	hook_syscall(SYS_getpid, 8, 0, 0, 0, 0, 0);
	expect_said("before_close 5\nbefore_close 6\nbefore_close 7\nbefore_close_range 30 31\n"
		    "before_unseen 8 0\nmake_opaque 8\nmake_opaque 9\n"
		    "make_opaque 10\nbefore_unseen 11 0\nmake_opaque 11\n");
	fake.refuse = true;
	cr_assert_eq(hook_syscall(SYS_write, 8, 0, 0, 0, 0, 0), -1);
}

Test(hooks_descriptors, a_vfork_child_touches_nothing)
{
	real.close = fake_close;
	real.close_range = fake_close_range;
	real.dup2 = fake_dup2;
	real.syscall = fake_syscall;
	fake_track(5);
	fake_track(2);
	thread_state.vfork_child = 1;
	hook_close(5);
	hook_dup2(2, 5);
	hook_close_range(3, 9, 0);
	hook_syscall(SYS_close, 5, 0, 0, 0, 0, 0);
	expect_said("close 5\ndup2 2 5\nclose_range 3 9 0\n");
}
