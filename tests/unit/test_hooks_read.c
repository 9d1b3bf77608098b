/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_shim.h"

TestSuite(hooks_read, .init = fake_start);

static int asked_fd;
static size_t asked;
static int asked_flags;
static ssize_t answer = 3;
static int answer_errno;

static ssize_t answered(int fd, size_t n, int flags)
{
	asked_fd = fd;
	asked = n;
	asked_flags = flags;
	if (answer < 0)
		errno = answer_errno;
	return answer;
}

static ssize_t fake_read(int fd, void *p, size_t n)
{
	(void)p;
	return answered(fd, n, 0);
}

static ssize_t fake_read_chk(int fd, void *p, size_t n, size_t room)
{
	(void)p, (void)room;
	return answered(fd, n, 0);
}

static ssize_t fake_readv(int fd, const struct iovec *iov, int count)
{
	return answered(fd, fake_total(iov, count), 0);
}

static ssize_t fake_preadv2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
	(void)at;
	return answered(fd, fake_total(iov, count), flags);
}

static ssize_t fake_recv(int fd, void *p, size_t n, int flags)
{
	(void)p;
	return answered(fd, n, flags);
}

static ssize_t fake_recvfrom(int fd, void *p, size_t n, int flags, struct sockaddr *a, socklen_t *l)
{
	(void)p, (void)a, (void)l;
	return answered(fd, n, flags);
}

Test(hooks_read, leaves_other_descriptors_alone)
{
	char p[8];

	real.read = fake_read;
	cr_assert_eq(hook_read(5, p, 8), 3);
	cr_assert_eq(asked, 8);
	cr_assert_eq(hook_read(-1, p, 8), 3);
	cr_assert_eq(hook_read(1 << 30, p, 8), 3);
	expect_said("");
}

Test(hooks_read, asks_for_what_the_shim_says_and_reports_what_the_shim_says)
{
	char p[100];

	real.read = fake_read;
	fake_track(5);
	fake.shorten = 72;
	fake.grow = 60;
	cr_assert_eq(hook_read(5, p, 100), 63);
	cr_assert_eq(asked, 28);
	expect_said("read_begin 5 100/1 0 0\nread_end 5 3 0\n");
}

Test(hooks_read, twins_call_their_own_name)
{
	char p[8];

	real.read = NULL;
	real.__read = fake_read;
	real.__recv = fake_recv;
	real.recv = NULL;
	cr_assert_eq(hook___read(5, p, 8), 3);
	cr_assert_eq(hook___recv(5, p, 8, 0), 3);
	fake_track(5);
	cr_assert_eq(hook___read(5, p, 8), 3);
	cr_assert_eq(hook___recv(5, p, 8, MSG_DONTWAIT), 3);
	cr_assert_eq(asked_flags, MSG_DONTWAIT);
	expect_said(
		"read_begin 5 8/1 0 0\nread_end 5 3 0\nread_begin 5 8/1 40 2\nread_end 5 3 0\n");
}

Test(hooks_read, an_overflow_reaches_glibc_as_it_is)
{
	char p[8];

	real.__read_chk = fake_read_chk;
	fake_track(5);
	fake.shorten = 4;
	hook___read_chk(5, p, 9, 8);
	cr_assert_eq(asked, 9);
	expect_said("");
	hook___read_chk(5, p, 8, 8);
	cr_assert_eq(asked, 4);
}

Test(hooks_read, keeps_errno_of_the_real_call)
{
	char p[8];

	real.recv = fake_recv;
	fake_track(5);
	answer = -1;
	answer_errno = EAGAIN;
	errno = 0;
	cr_assert_eq(hook_recv(5, p, 8, 0), -1);
	cr_assert_eq(errno, EAGAIN);
	expect_said("read_begin 5 8/1 0 2\nread_end 5 -1 0\n");
}

Test(hooks_read, peeked_bytes_are_not_the_streams)
{
	char p[8];

	real.recv = fake_recv;
	real.recvfrom = fake_recvfrom;
	fake_track(5);
	hook_recv(5, p, 8, MSG_PEEK);
	hook_recv(5, p, 8, MSG_PEEK | MSG_TRUNC);
	hook_recvfrom(5, p, 8, MSG_PEEK, NULL, NULL);
	hook_recv(5, p, 1, MSG_OOB);
	hook_recv(5, p, 8, MSG_ERRQUEUE);
	expect_said("");
	cr_assert_eq(asked_flags, MSG_ERRQUEUE);
}

Test(hooks_read, discarded_bytes_are_counted)
{
	char p[8];

	real.recv = fake_recv;
	fake_track(5);
	hook_recv(5, p, 8, MSG_TRUNC);
	answer = -1;
	hook_recv(5, p, 8, MSG_TRUNC);
	answer = 0;
	hook_recv(5, p, 8, MSG_TRUNC);
	expect_said("on_received_unseen 5 3\n");
}

Test(hooks_read, vectors_outside_the_limits_are_the_kernels_to_refuse)
{
	char p[8];
	struct iovec iov[2] = { { p, 3 }, { p + 3, 5 } };

	real.readv = fake_readv;
	fake_track(5);
	hook_readv(5, iov, 0);
	hook_readv(5, iov, -1);
	expect_said("");
	cr_assert_eq(hook_readv(5, iov, 2), 3);
	expect_said("read_begin 5 8/2 0 1\nread_end 5 3 0\n");
}

Test(hooks_read, preadv2_is_a_read_only_without_offset)
{
	char p[8];
	struct iovec iov = { p, 8 };

	real.preadv2 = fake_preadv2;
	real.preadv64v2 = fake_preadv2;
	fake_track(5);
	hook_preadv2(5, &iov, 1, 0, 0);
	expect_said("");
	hook_preadv2(5, &iov, 1, -1, RWF_NOWAIT);
	cr_assert_eq(asked_flags, RWF_NOWAIT);
	hook_preadv64v2(5, &iov, 1, -1, 0);
	expect_said(
		"read_begin 5 8/1 40 1\nread_end 5 3 0\nread_begin 5 8/1 0 1\nread_end 5 3 0\n");
}

Test(hooks_read, a_vfork_child_touches_nothing)
{
	char p[8];

	real.read = fake_read;
	fake_track(5);
	thread_state.vfork_child = 1;
	cr_assert_eq(hook_read(5, p, 8), 3);
	expect_said("");
}

/* ---- messages ---- */

static struct msghdr *asked_message;

static ssize_t fake_recvmsg(int fd, struct msghdr *m, int flags)
{
	asked_message = m;
	m->msg_flags = MSG_CTRUNC;
	m->msg_namelen = 7;
	return answered(fd, fake_total(m->msg_iov, (int)m->msg_iovlen), flags);
}

Test(hooks_read, recvmsg_passes_the_programs_own_struct_when_nothing_changed)
{
	char p[8];
	struct iovec iov = { p, 8 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	real.recvmsg = fake_recvmsg;
	fake_track(5);
	cr_assert_eq(hook_recvmsg(5, &m, 0), 3);
	cr_assert_eq(asked_message, &m);
	expect_said("read_begin 5 8/1 0 3\nread_end 5 3 8\n");
}

Test(hooks_read, recvmsg_gives_back_what_the_kernel_wrote)
{
	char p[8];
	struct iovec iov = { p, 8 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	real.recvmsg = fake_recvmsg;
	fake_track(5);
	fake.shorten = 3;
	cr_assert_eq(hook_recvmsg(5, &m, 0), 3);
	cr_assert_eq(asked, 5);
	cr_assert_eq(iov.iov_len, 8);
	cr_assert_eq(m.msg_iov, &iov);
	cr_assert_eq(m.msg_flags, MSG_CTRUNC);
	cr_assert_eq(m.msg_namelen, 7);
}

Test(hooks_read, musl_leaves_padding_in_the_lengths)
{
	char p[8];
	struct iovec iov = { p, 8 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 0xdead00000001 };

	real.recvmsg = fake_recvmsg;
	fake_track(5);
	answer = 0;
	hook_recvmsg(5, &m, 0);
	expect_said("read_begin 5 8/1 0 3\nread_end 5 0 8\n");
}

static char control[128] __attribute__((aligned(8)));
static size_t control_len;

static ssize_t recvmsg_with_control(int fd, struct msghdr *m, int flags)
{
	(void)fd, (void)flags;
	m->msg_control = control;
	m->msg_controllen = control_len;
	return 1;
}

static void put_control(int level, int type, const void *data, size_t n)
{
	struct cmsghdr c = { .cmsg_len = CMSG_LEN(n), .cmsg_level = level, .cmsg_type = type };

	memcpy(control + control_len, &c, sizeof(c));
	memcpy(control + control_len + CMSG_LEN(0), data, n);
	control_len += CMSG_SPACE(n);
}

Test(hooks_read, descriptors_in_control_data_are_told)
{
	struct msghdr m = { 0 };
	const int first = 11, two[2] = { 12, 13 };
	const long stamp[2] = { 1, 2 };

	real.recvmsg = recvmsg_with_control;
	put_control(SOL_SOCKET, SCM_RIGHTS, &first, sizeof(first));
	put_control(SOL_SOCKET, SCM_TIMESTAMP, stamp, sizeof(stamp));
	put_control(SOL_SOCKET, SCM_RIGHTS, two, sizeof(two));
	hook_recvmsg(6, &m, 0);
	expect_said("on_received_fd 11\non_received_fd 12\non_received_fd 13\n");
}

Test(hooks_read, broken_control_data_ends_the_look)
{
	struct msghdr m = { 0 };
	const int fd = 11;

	real.recvmsg = recvmsg_with_control;
	put_control(SOL_SOCKET, SCM_RIGHTS, &fd, sizeof(fd));
	for (size_t claimed = 0; claimed < 64; claimed++) {
		size_t len = claimed;

		if (claimed >= CMSG_LEN(sizeof(int)) && claimed <= control_len)
			continue;
		memcpy(control, &len, sizeof(len));
		hook_recvmsg(6, &m, 0);
	}
	expect_said("");
}

static int two_messages(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t)
{
	(void)fd, (void)n, (void)flags, (void)t;
	m[0].msg_len = 4;
	m[1].msg_len = 2;
	return 2;
}

Test(hooks_read, recvmmsg_is_looked_at_message_by_message)
{
	char p[3][4];
	struct iovec iov[3] = { { p[0], 4 }, { p[1], 4 }, { p[2], 4 } };
	struct mmsghdr m[3] = { { .msg_hdr = { .msg_iov = &iov[0], .msg_iovlen = 1 } },
				{ .msg_hdr = { .msg_iov = &iov[1], .msg_iovlen = 1 } },
				{ .msg_hdr = { .msg_iov = &iov[2], .msg_iovlen = 1 } } };

	real.recvmmsg = two_messages;
	fake_track(5);
	cr_assert_eq(hook_recvmmsg(5, m, 3, 0, NULL), 2);
	expect_said("read_begin 5 4/1 0 4\nread_end 5 4 0\nread_begin 5 4/1 0 4\nread_end 5 2 0\n");
}
