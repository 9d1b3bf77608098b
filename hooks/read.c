/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/hook.h"
#include "hooks/node.h"

/* The shim may ask for less than the program did, to have room for a header. */
#define READ_BEGIN(r, fd, p, n)           \
	struct iovec part = { (p), (n) }; \
	struct shim_read r;               \
                                          \
	shim_read_begin(&r, (fd), &part, 1, 0, SHIM_CALL_READ)

typedef ssize_t (*read_fn)(int fd, void *p, size_t n);
typedef ssize_t (*readv_fn)(int fd, const struct iovec *iov, int count, off_t at, int flags);

static ssize_t read_looked_at(read_fn call, int fd, void *p, size_t n)
{
	READ_BEGIN(r, fd, p, n);
	return shim_read_end(&r, call(fd, r.iov->iov_base, r.iov->iov_len), 0);
}

ssize_t hook_read(int fd, void *p, size_t n)
{
	if (!looked_at(fd)) {
		if (__builtin_expect(fd == SHIM_QUESTION_FD, 0) && node_asks() && !in_vfork_child())
			return shim_answer(p, n);
		return real.read(fd, p, n);
	}
	return read_looked_at(real.read, fd, p, n);
}

ssize_t hook___read(int fd, void *p, size_t n)
{
	if (!looked_at(fd))
		return real.__read(fd, p, n);
	return read_looked_at(real.__read, fd, p, n);
}

ssize_t hook___read_chk(int fd, void *p, size_t n, size_t room)
{
	/* n > room is an overflow: glibc's to report, with the program's own numbers. */
	if (!looked_at(fd) || n > room)
		return real.__read_chk(fd, p, n, room);

	READ_BEGIN(r, fd, p, n);
	return shim_read_end(&r, real.__read_chk(fd, r.iov->iov_base, r.iov->iov_len, room), 0);
}

#undef READ_BEGIN

ssize_t hook_readv(int fd, const struct iovec *iov, int count)
{
	struct shim_read r;

	if (!looked_at(fd) || count <= 0 || count > IOV_MAX_PARTS)
		return real.readv(fd, iov, count);
	shim_read_begin(&r, fd, iov, count, 0, SHIM_CALL_READV);
	return shim_read_end(&r, real.readv(fd, r.iov, r.iovcnt), 0);
}

/* An offset of -1 makes it a readv() with flags; any other is ESPIPE on a socket. */
static inline ssize_t preadv2_by(readv_fn call, int fd, const struct iovec *iov, int count,
				 off_t at, int flags)
{
	struct shim_read r;

	if (!looked_at(fd) || at != -1 || count <= 0 || count > IOV_MAX_PARTS)
		return call(fd, iov, count, at, flags);
	shim_read_begin(&r, fd, iov, count, flags & RWF_NOWAIT ? MSG_DONTWAIT : 0, SHIM_CALL_READV);
	return shim_read_end(&r, call(fd, r.iov, r.iovcnt, at, flags), 0);
}

ssize_t hook_preadv2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
	return preadv2_by(real.preadv2, fd, iov, count, at, flags);
}

ssize_t hook_preadv64v2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
	return preadv2_by(real.preadv64v2, fd, iov, count, at, flags);
}
