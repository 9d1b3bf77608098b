/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/send.h"

typedef ssize_t (*send_fn)(int fd, const void *p, size_t n, int flags);

static ssize_t send_looked_at(send_fn call, int fd, const void *p, size_t n, int flags)
{
	const struct iovec part = { (void *)p, n };
	struct shim_write w;
	ssize_t sent;

	if (!send_is_stream(flags))
		return send_may_pass(fd, flags) ? call(fd, p, n, flags) : -1;
	shim_write_begin(&w, fd, &part, 1, flags, SHIM_CALL_SEND);
	do
		sent = call(fd, w.iov->iov_base, w.iov->iov_len, w.flags);
	while (shim_write_again(&w, &sent));
	return sent;
}

ssize_t hook_send(int fd, const void *p, size_t n, int flags)
{
	if (!looked_at(fd))
		return real.send(fd, p, n, flags);
	return send_looked_at(real.send, fd, p, n, flags);
}

ssize_t hook___send(int fd, const void *p, size_t n, int flags)
{
	if (!looked_at(fd))
		return real.__send(fd, p, n, flags);
	return send_looked_at(real.__send, fd, p, n, flags);
}

ssize_t hook_sendto(int fd, const void *p, size_t n, int flags, const struct sockaddr *to,
		    socklen_t len)
{
	const struct iovec part = { (void *)p, n };
	struct shim_write w;
	ssize_t sent;

	if (!looked_at(fd))
		return real.sendto(fd, p, n, flags, to, len);
	if (!send_is_stream(flags))
		return send_may_pass(fd, flags) ? real.sendto(fd, p, n, flags, to, len) : -1;
	fastopen_begin(fd, flags, to, len);
	shim_write_begin(&w, fd, &part, 1, flags, SHIM_CALL_SEND);
	sent = real.sendto(fd, w.iov->iov_base, w.iov->iov_len, w.flags, to, len);
	fastopen_end(fd, flags, to, len, sent);
	/* Connected by now: a second MSG_FASTOPEN would be EISCONN. */
	while (shim_write_again(&w, &sent))
		sent = real.sendto(fd, w.iov->iov_base, w.iov->iov_len, w.flags & ~MSG_FASTOPEN,
				   NULL, 0);
	return sent;
}
