/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <fcntl.h>
#include "fake_shim.h"

TestSuite(hooks_write, .init = fake_start);

/* Everything that reached the real calls, and by which of them. */
static char sent[256];
static size_t sent_n, most = SIZE_MAX;
static int sent_flags[8], calls;

static ssize_t take(const struct iovec *iov, int count, int flags)
{
	size_t n = 0;

	for (int i = 0; i < count; i++)
		for (size_t k = 0; k < iov[i].iov_len && n < most; k++, n++)
			sent[sent_n++] = ((const char *)iov[i].iov_base)[k];
	sent_flags[calls++] = flags;
	return (ssize_t)n;
}

static ssize_t fake_write(int fd, const void *p, size_t n)
{
	const struct iovec iov = { (void *)p, n };

	(void)fd;
	return take(&iov, 1, 0);
}

static ssize_t fake_writev(int fd, const struct iovec *iov, int count)
{
	(void)fd;
	return take(iov, count, 0);
}

static ssize_t fake_pwritev2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
	(void)fd, (void)at;
	return take(iov, count, flags);
}

static ssize_t fake_send(int fd, const void *p, size_t n, int flags)
{
	const struct iovec iov = { (void *)p, n };

	(void)fd;
	return take(&iov, 1, flags);
}

static ssize_t fake_sendto(int fd, const void *p, size_t n, int flags, const struct sockaddr *to,
			   socklen_t len)
{
	(void)to, (void)len;
	return fake_send(fd, p, n, flags);
}

static const struct msghdr *first_message;
static struct msghdr last_message;

static ssize_t fake_sendmsg(int fd, const struct msghdr *m, int flags)
{
	(void)fd;
	if (!first_message)
		first_message = m;
	last_message = *m;
	return take(m->msg_iov, (int)m->msg_iovlen, flags);
}

static int fake_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	(void)fd;
	cr_assert_eq(n, 1);
	m->msg_len = (unsigned)take(m->msg_hdr.msg_iov, (int)m->msg_hdr.msg_iovlen, flags);
	return 1;
}

Test(hooks_write, leaves_other_descriptors_alone)
{
	real.write = fake_write;
	cr_assert_eq(hook_write(5, "abc", 3), 3);
	expect_said("");
}

Test(hooks_write, sends_what_the_shim_gives_until_it_is_content)
{
	const struct iovec instead = { (void *)"head", 4 };

	real.write = fake_write;
	fake_track(5);
	fake.send_instead = &instead;
	fake.send_instead_count = 1;
	fake.again = 2;
	hook_write(5, "abc", 3);
	cr_assert_str_eq(sent, "head++");
	expect_said("write_begin 5 3/1 0 5\nwrite_again 5 4\nwrite_again 5 1\nwrite_again 5 1\n");
}

Test(hooks_write, twins_call_their_own_name)
{
	real.write = NULL;
	real.send = NULL;
	real.__write = fake_write;
	real.__send = fake_send;
	cr_assert_eq(hook___write(6, "abc", 3), 3);
	cr_assert_eq(hook___send(6, "def", 3, 0), 3);
	fake_track(5);
	cr_assert_eq(hook___write(5, "ghi", 3), 3);
	cr_assert_eq(hook___send(5, "jkl", 3, MSG_MORE), 3);
	cr_assert_str_eq(sent, "abcdefghijkl");
	cr_assert_eq(sent_flags[3], MSG_MORE);
}

Test(hooks_write, vectors_go_as_vectors)
{
	const struct iovec iov[2] = { { (void *)"ab", 2 }, { (void *)"cd", 2 } };

	real.writev = fake_writev;
	real.pwritev2 = fake_pwritev2;
	real.pwritev64v2 = fake_pwritev2;
	fake_track(5);
	hook_writev(5, iov, 2);
	hook_pwritev2(5, iov, 2, -1, RWF_NOWAIT);
	hook_pwritev64v2(5, iov, 2, -1, 0);
	hook_pwritev2(5, iov, 2, 7, 0);
	cr_assert_eq(sent_flags[1], RWF_NOWAIT);
	expect_said("write_begin 5 4/2 0 6\nwrite_again 5 4\n"
		    "write_begin 5 4/2 40 6\nwrite_again 5 4\n"
		    "write_begin 5 4/2 0 6\nwrite_again 5 4\n");
}

Test(hooks_write, what_cannot_be_looked_at_makes_the_stream_opaque)
{
	real.send = fake_send;
	fake_track(5);
	hook_send(5, "abc", 3, MSG_OOB);
	hook_send(5, "abc", 3, MSG_ZEROCOPY);
	cr_assert_str_eq(sent, "abcabc");
	cr_assert_eq(sent_flags[0], MSG_OOB);
	expect_said("before_unseen 5 1\nmake_opaque 5\nbefore_unseen 5 4000000\nmake_opaque 5\n");
}

Test(hooks_write, fastopen_is_connect_and_send)
{
	struct sockaddr_in to = { .sin_family = AF_INET };

	real.sendto = fake_sendto;
	fake_track(5);
	fake.again = 1;
	hook_sendto(5, "abc", 3, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof(to));
	cr_assert_eq(sent_flags[0], MSG_FASTOPEN);
	cr_assert_eq(sent_flags[1], 0, "a second MSG_FASTOPEN would be EISCONN");
	expect_said("on_connect 5 16 -1 115\nwrite_begin 5 3/1 20000000 7\non_connect 5 16 0 0\n"
		    "write_again 5 3\nwrite_again 5 1\n");
}

Test(hooks_write, control_data_goes_once)
{
	char control[64];
	const struct iovec iov = { (void *)"abc", 3 };
	const struct msghdr m = { .msg_iov = (struct iovec *)&iov,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };

	real.sendmsg = fake_sendmsg;
	fake_track(5);
	fake.again = 1;
	hook_sendmsg(5, &m, 0);
	cr_assert_eq(calls, 2);
	cr_assert_null(last_message.msg_control);
	cr_assert_eq(last_message.msg_controllen, 0);
	cr_assert_str_eq(sent, "abc+");
}

Test(hooks_write, sendmsg_elsewhere_gets_the_programs_own_struct)
{
	const struct iovec iov = { (void *)"abc", 3 };
	const struct msghdr m = { .msg_iov = (struct iovec *)&iov, .msg_iovlen = 1 };

	real.sendmsg = fake_sendmsg;
	hook_sendmsg(5, &m, 0);
	cr_assert_eq(first_message, &m);
}

static struct mmsghdr *three_messages(void)
{
	static struct iovec iov[3] = { { (void *)"abc", 3 },
				       { (void *)"def", 3 },
				       { (void *)"ghi", 3 } };
	static struct mmsghdr m[3];

	for (int i = 0; i < 3; i++)
		m[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	return m;
}

Test(hooks_write, sendmmsg_goes_message_by_message_with_the_same_call)
{
	struct mmsghdr *m = three_messages();

	real.sendmsg = NULL;
	real.sendmmsg = fake_sendmmsg;
	fake_track(5);
	cr_assert_eq(hook_sendmmsg(5, m, 3, 0), 3);
	cr_assert_str_eq(sent, "abcdefghi");
	cr_assert_eq(m[2].msg_len, 3);
}

Test(hooks_write, sendmmsg_ends_at_a_message_that_was_cut)
{
	struct mmsghdr *m = three_messages();

	real.sendmmsg = fake_sendmmsg;
	fake_track(5);
	most = 2;
	cr_assert_eq(hook_sendmmsg(5, m, 3, 0), 1);
	cr_assert_eq(m[0].msg_len, 2);
	cr_assert_str_eq(sent, "ab");
}

static int sendmmsg_once(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	if (calls < 1)
		return fake_sendmmsg(fd, m, n, flags);
	errno = EAGAIN;
	return -1;
}

Test(hooks_write, sendmmsg_reports_an_error_only_for_the_first)
{
	struct mmsghdr *m = three_messages();

	real.sendmmsg = sendmmsg_once;
	fake_track(5);
	cr_assert_eq(hook_sendmmsg(5, m, 3, 0), 1);
	cr_assert_eq(hook_sendmmsg(5, m, 3, 0), -1);
	cr_assert_eq(errno, EAGAIN);
}

static ssize_t fake_sendfile(int out, int in, off_t *at, size_t n)
{
	(void)out, (void)in, (void)at;
	return n > 10 ? -1 : (ssize_t)n;
}

static ssize_t fake_splice(int in, off_t *in_at, int out, off_t *out_at, size_t n, unsigned flags)
{
	(void)in, (void)in_at, (void)out, (void)out_at, (void)flags;
	return (ssize_t)n;
}

Test(hooks_write, bytes_that_stay_in_the_kernel_are_counted)
{
	real.sendfile = fake_sendfile;
	real.sendfile64 = fake_sendfile;
	real.splice = fake_splice;
	fake_track(5);
	fake_track(6);
	hook_sendfile(5, 9, NULL, 7);
	hook_sendfile(5, 9, NULL, 11);
	hook_sendfile64(6, 9, NULL, 0);
	hook_sendfile64(6, 9, NULL, 8);
	hook_splice(5, NULL, 9, NULL, 3, 0);
	hook_splice(9, NULL, 6, NULL, 3, 0);
	expect_said("before_unseen 5 0\non_sent_unseen 5 7\nbefore_unseen 5 0\n"
		    "before_unseen 6 0\nbefore_unseen 6 0\non_sent_unseen 6 8\n"
		    "on_received_unseen 5 3\nbefore_unseen 6 0\non_sent_unseen 6 3\n");
}

Test(hooks_write, what_cannot_be_looked_at_waits_for_a_rest_of_ours)
{
	struct iovec iov = { (void *)"abc", 3 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct mmsghdr many = { .msg_hdr = m };

	real.send = fake_send;
	real.sendfile = fake_sendfile;
	real.sendfile64 = fake_sendfile;
	real.splice = fake_splice;
	fake_track(5);
	fake.refuse = true;
	cr_assert_eq(hook_send(5, "abc", 3, MSG_OOB), -1);
	cr_assert_eq(hook_sendto(5, "abc", 3, MSG_OOB, NULL, 0), -1);
	cr_assert_eq(hook_sendmsg(5, &m, MSG_OOB), -1);
	cr_assert_eq(hook_sendmmsg(5, &many, 1, MSG_OOB), -1);
	cr_assert_eq(hook_sendfile(5, 9, NULL, 7), -1);
	cr_assert_eq(hook_sendfile64(5, 9, NULL, 7), -1);
	cr_assert_eq(hook_splice(9, NULL, 5, NULL, 3, SPLICE_F_NONBLOCK), -1);
	expect_said("before_unseen 5 1\nbefore_unseen 5 1\nbefore_unseen 5 1\n"
		    "before_unseen 5 1\nbefore_unseen 5 0\nbefore_unseen 5 0\n"
		    "before_unseen 5 40\n");
}

Test(hooks_write, a_vfork_child_touches_nothing)
{
	real.write = fake_write;
	real.sendfile = fake_sendfile;
	fake_track(5);
	thread_state.vfork_child = 1;
	hook_write(5, "abc", 3);
	hook_sendfile(5, 9, NULL, 7);
	expect_said("");
}
