/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOOKS_SEND_H
#define HOOKS_SEND_H

#include "base/readable.h"
#include "hooks/hook.h"

/* What is sent with these flags can be looked at and added to. MSG_OOB: only the last byte is out
 * of band, the rest is stream. MSG_ZEROCOPY: the pages are the program's until the kernel reports
 * back, and it counts the calls. */
static inline bool send_is_stream(int flags)
{
	return __builtin_expect(!(flags & (MSG_OOB | MSG_ZEROCOPY)), 1);
}

/* If not, the stream is left alone from here on. False: -1, errno is set. */
static inline bool send_may_pass(int fd, int flags)
{
	if (!shim_before_unseen(fd, flags))
		return false;
	shim_make_opaque(fd);
	return true;
}

/* tcp(7), MSG_FASTOPEN: connect() and send() in one. The connection is announced before its bytes.
 */
static inline void fastopen_begin(int fd, int flags, const struct sockaddr *to, socklen_t len)
{
	if (__builtin_expect(flags & MSG_FASTOPEN, 0) && to && memory_readable(to, len))
		shim_on_connect(fd, to, len, -1, EINPROGRESS);
}

static inline void fastopen_end(int fd, int flags, const struct sockaddr *to, socklen_t len,
				ssize_t sent)
{
	if (__builtin_expect(flags & MSG_FASTOPEN, 0) && to)
		shim_on_connect(fd, to, len, sent < 0 ? -1 : 0, sent < 0 ? host_errno() : 0);
}

#endif
