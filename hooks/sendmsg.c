/* SPDX-License-Identifier: Apache-2.0 */
/* sendmsg() and sendmmsg(). Lengths are read as 32 bits: see recvmsg.c. */
#include "base/readable.h"
#include "hooks/send.h"

/* One message by sendmsg(), or by sendmmsg() of one when that is what the program called: a filter
 * may allow the one and not the other. */
static ssize_t send_one(bool many, int fd, const struct msghdr *m, int flags)
{
	struct mmsghdr one = { .msg_hdr = *m };

	if (!many)
		return real.sendmsg(fd, m, flags);
	return real.sendmmsg(fd, &one, 1, flags) == 1 ? (ssize_t)one.msg_len : -1;
}

/* `m` has a vector that may be looked at. */
static ssize_t sendmsg_looked_at(bool many, int fd, const struct msghdr *m, int flags)
{
	const struct sockaddr *to = m->msg_name;
	socklen_t len = m->msg_namelen;
	struct msghdr copy = *m;
	struct shim_write w;
	ssize_t sent;

	fastopen_begin(fd, flags, to, len);
	shim_write_begin(&w, fd, m->msg_iov, (int)(uint32_t)m->msg_iovlen, flags,
			 SHIM_CALL_SENDMSG);
	copy.msg_iov = w.iov;
	copy.msg_iovlen = (size_t)w.iovcnt;
	sent = send_one(many, fd, &copy, w.flags);
	fastopen_end(fd, flags, to, len, sent);
	while (shim_write_again(&w, &sent)) {
		/* What stands beside the bytes goes with the first of them, once. */
		copy = (struct msghdr){ .msg_iov = w.iov, .msg_iovlen = (size_t)w.iovcnt };
		sent = send_one(many, fd, &copy, w.flags & ~MSG_FASTOPEN);
	}
	return sent;
}

static inline bool vector_is_usable(const struct msghdr *m)
{
	return (uint32_t)m->msg_iovlen - 1 < IOV_MAX_PARTS;
}

ssize_t hook_sendmsg(int fd, const struct msghdr *m, int flags)
{
	if (!looked_at(fd) || !memory_readable(m, sizeof(*m)) || !vector_is_usable(m))
		return real.sendmsg(fd, m, flags);
	if (!send_is_stream(flags))
		return send_may_pass(fd, flags) ? real.sendmsg(fd, m, flags) : -1;
	return sendmsg_looked_at(false, fd, m, flags);
}

static size_t bytes_in(const struct msghdr *m)
{
	size_t n = 0;

	for (uint32_t i = 0; i < (uint32_t)m->msg_iovlen; i++)
		n += m->msg_iov[i].iov_len;
	return n;
}

/* One message at a time, since each may hold the head of a request. As the kernel does: the number
 * of messages sent, an error only if it is none, and the end after one that was cut short. */
int hook_sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	unsigned i;

	if (!looked_at(fd) || !m || !n)
		return real.sendmmsg(fd, m, n, flags);
	if (!send_is_stream(flags))
		return send_may_pass(fd, flags) ? real.sendmmsg(fd, m, n, flags) : -1;
	if (n > IOV_MAX_PARTS)
		n = IOV_MAX_PARTS;
	for (i = 0; i < n; i++) {
		const struct msghdr *h = &m[i].msg_hdr;
		ssize_t sent;

		if (!memory_readable(&m[i], sizeof(m[i])))
			sent = real.sendmmsg(fd, &m[i], 1, flags); /* -1, the kernel says why */
		else
			sent = vector_is_usable(h) ? sendmsg_looked_at(true, fd, h, flags)
						   : send_one(true, fd, h, flags);
		if (sent < 0)
			return i ? (int)i : -1;
		m[i].msg_len = (unsigned)sent;
		if ((size_t)sent < bytes_in(h))
			return (int)i + 1;
	}
	return (int)i;
}
