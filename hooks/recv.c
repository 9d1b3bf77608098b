/* SPDX-License-Identifier: Apache-2.0 */
/* recv() and its kind. Not every byte they return is the next of the stream: recv_kind(). */
#include "hooks/recv.h"

typedef ssize_t (*recv_fn)(int fd, void *p, size_t n, int flags);

static ssize_t recv_looked_at(recv_fn call, int fd, void *p, size_t n, int flags)
{
	struct iovec part = { p, n };
	struct shim_read r;
	ssize_t got;

	if (recv_kind(flags) != RECV_STREAM) {
		got = call(fd, p, n, flags);
		recv_unseen(fd, got, flags);
		return got;
	}
	shim_read_begin(&r, fd, &part, 1, flags, SHIM_CALL_RECV);
	return shim_read_end(&r, call(fd, r.iov->iov_base, r.iov->iov_len, r.flags), 0);
}

ssize_t hook_recv(int fd, void *p, size_t n, int flags)
{
	if (!looked_at(fd))
		return real.recv(fd, p, n, flags);
	return recv_looked_at(real.recv, fd, p, n, flags);
}

ssize_t hook___recv(int fd, void *p, size_t n, int flags)
{
	if (!looked_at(fd))
		return real.__recv(fd, p, n, flags);
	return recv_looked_at(real.__recv, fd, p, n, flags);
}

ssize_t hook___recv_chk(int fd, void *p, size_t n, size_t room, int flags)
{
	struct iovec part = { p, n };
	struct shim_read r;
	ssize_t got;

	/* n > room is an overflow: glibc's to report, with the program's own numbers. */
	if (!looked_at(fd) || n > room)
		return real.__recv_chk(fd, p, n, room, flags);
	if (recv_kind(flags) != RECV_STREAM) {
		got = real.__recv_chk(fd, p, n, room, flags);
		recv_unseen(fd, got, flags);
		return got;
	}
	shim_read_begin(&r, fd, &part, 1, flags, SHIM_CALL_RECV);
	got = real.__recv_chk(fd, r.iov->iov_base, r.iov->iov_len, room, r.flags);
	return shim_read_end(&r, got, 0);
}

ssize_t hook_recvfrom(int fd, void *p, size_t n, int flags, struct sockaddr *from, socklen_t *len)
{
	struct iovec part = { p, n };
	struct shim_read r;
	ssize_t got;

	if (!looked_at(fd))
		return real.recvfrom(fd, p, n, flags, from, len);
	if (recv_kind(flags) != RECV_STREAM) {
		got = real.recvfrom(fd, p, n, flags, from, len);
		recv_unseen(fd, got, flags);
		return got;
	}
	shim_read_begin(&r, fd, &part, 1, flags, SHIM_CALL_RECV);
	got = real.recvfrom(fd, r.iov->iov_base, r.iov->iov_len, r.flags, from, len);
	return shim_read_end(&r, got, 0);
}

ssize_t hook___recvfrom_chk(int fd, void *p, size_t n, size_t room, int flags,
			    struct sockaddr *from, socklen_t *len)
{
	struct iovec part = { p, n };
	struct shim_read r;
	ssize_t got;

	if (!looked_at(fd) || n > room)
		return real.__recvfrom_chk(fd, p, n, room, flags, from, len);
	if (recv_kind(flags) != RECV_STREAM) {
		got = real.__recvfrom_chk(fd, p, n, room, flags, from, len);
		recv_unseen(fd, got, flags);
		return got;
	}
	shim_read_begin(&r, fd, &part, 1, flags, SHIM_CALL_RECV);
	got = real.__recvfrom_chk(fd, r.iov->iov_base, r.iov->iov_len, room, r.flags, from, len);
	return shim_read_end(&r, got, 0);
}
