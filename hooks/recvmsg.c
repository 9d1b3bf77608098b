/* SPDX-License-Identifier: Apache-2.0 */
/* recvmsg() and recvmmsg(): bytes into a vector, and descriptors beside them.
 *
 * Lengths are read as 32 bits: musl's struct msghdr has an int and padding where glibc's has a
 * size_t, and a musl program leaves the padding as it was. */
#include "base/readable.h"
#include "hooks/recv.h"

/* Descriptors of another process (unix(7), SCM_RIGHTS). They come with peeked messages as well. */
static void received_fds(struct msghdr *m)
{
	size_t left = (uint32_t)m->msg_controllen;
	const char *at = m->msg_control;
	struct cmsghdr c;

	while (at && left >= sizeof(c)) {
		memcpy(&c, at, sizeof(c));
		c.cmsg_len = (uint32_t)c.cmsg_len;
		if (c.cmsg_len < sizeof(c) || c.cmsg_len > left)
			return;
		if (c.cmsg_level == SOL_SOCKET && c.cmsg_type == SCM_RIGHTS) {
			for (size_t i = CMSG_LEN(0); i + sizeof(int) <= c.cmsg_len;
			     i += sizeof(int)) {
				int fd;

				memcpy(&fd, at + i, sizeof(fd));
				shim_on_received_fd(fd);
			}
		}
		if (CMSG_ALIGN(c.cmsg_len) >= left)
			return;
		at += CMSG_ALIGN(c.cmsg_len);
		left -= CMSG_ALIGN(c.cmsg_len);
	}
}

static inline void look_at_control(struct msghdr *m)
{
	if ((uint32_t)m->msg_controllen >= CMSG_LEN(sizeof(int)) && !in_vfork_child())
		received_fds(m);
}

static ssize_t recvmsg_looked_at(int fd, struct msghdr *m, int flags)
{
	struct shim_read r;
	struct msghdr copy;
	ssize_t got;

	shim_read_begin(&r, fd, m->msg_iov, (int)(uint32_t)m->msg_iovlen, flags, SHIM_CALL_RECVMSG);
	if (r.iov == m->msg_iov && r.iovcnt == (int)(uint32_t)m->msg_iovlen) {
		got = real.recvmsg(fd, m, r.flags);
		return shim_read_end(&r, got, got >= 0 ? m->msg_flags : 0);
	}
	copy = *m;
	copy.msg_iov = r.iov;
	copy.msg_iovlen = (size_t)r.iovcnt;
	got = real.recvmsg(fd, &copy, r.flags);
	if (got >= 0) {
		m->msg_namelen = copy.msg_namelen;
		m->msg_controllen = copy.msg_controllen;
		m->msg_flags = copy.msg_flags;
	}
	return shim_read_end(&r, got, got >= 0 ? copy.msg_flags : 0);
}

static inline bool vector_is_usable(const struct msghdr *m)
{
	return (uint32_t)m->msg_iovlen - 1 < IOV_MAX_PARTS;
}

ssize_t hook_recvmsg(int fd, struct msghdr *m, int flags)
{
	ssize_t got;

	if (!m)
		return real.recvmsg(fd, m, flags);
	if (looked_at(fd) && recv_kind(flags) == RECV_STREAM && memory_readable(m, sizeof(*m)) &&
	    vector_is_usable(m)) {
		got = recvmsg_looked_at(fd, m, flags);
	} else {
		got = real.recvmsg(fd, m, flags);
		if (looked_at(fd))
			recv_unseen(fd, got, flags);
	}
	if (got >= 0)
		look_at_control(m);
	return got;
}

/* Looks at the messages one by one when they are all there; nothing was asked for in another way,
 * so the order of their bytes is the stream's. */
static void look_at_messages(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	struct shim_read r;

	for (unsigned i = 0; i < n; i++) {
		struct msghdr *h = &m[i].msg_hdr;

		if (recv_kind(flags) != RECV_STREAM) {
			recv_unseen(fd, (ssize_t)m[i].msg_len, flags);
		} else if (vector_is_usable(h)) {
			shim_read_begin(&r, fd, h->msg_iov, (int)(uint32_t)h->msg_iovlen, flags,
					SHIM_CALL_RECVMMSG);
			m[i].msg_len =
				(unsigned)shim_read_end(&r, (ssize_t)m[i].msg_len, h->msg_flags);
		}
	}
}

int hook_recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *timeout)
{
	int got = real.recvmmsg(fd, m, n, flags, timeout);

	if (got <= 0)
		return got;
	if (looked_at(fd))
		look_at_messages(fd, m, (unsigned)got, flags);
	for (int i = 0; i < got; i++)
		look_at_control(&m[i].msg_hdr);
	return got;
}
