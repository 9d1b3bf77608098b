/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/hook.h"

typedef ssize_t (*write_fn)(int fd, const void *p, size_t n);
typedef ssize_t (*pwritev2_fn)(int fd, const struct iovec *iov, int count, off_t at, int flags);

static ssize_t write_looked_at(write_fn call, int fd, const void *p, size_t n)
{
	const struct iovec part = { (void *)p, n };
	struct shim_write w;
	ssize_t sent;

	shim_write_begin(&w, fd, &part, 1, 0, SHIM_CALL_WRITE);
	do
		sent = call(fd, w.iov->iov_base, w.iov->iov_len);
	while (shim_write_again(&w, &sent));
	return sent;
}

ssize_t hook_write(int fd, const void *p, size_t n)
{
	if (!looked_at(fd))
		return real.write(fd, p, n);
	return write_looked_at(real.write, fd, p, n);
}

ssize_t hook___write(int fd, const void *p, size_t n)
{
	if (!looked_at(fd))
		return real.__write(fd, p, n);
	return write_looked_at(real.__write, fd, p, n);
}

ssize_t hook_writev(int fd, const struct iovec *iov, int count)
{
	struct shim_write w;
	ssize_t sent;

	if (!looked_at(fd) || count <= 0 || count > IOV_MAX_PARTS)
		return real.writev(fd, iov, count);
	shim_write_begin(&w, fd, iov, count, 0, SHIM_CALL_WRITEV);
	do
		sent = real.writev(fd, w.iov, w.iovcnt);
	while (shim_write_again(&w, &sent));
	return sent;
}

/* An offset of -1 makes it a writev() with flags; any other is ESPIPE on a socket. */
static inline ssize_t pwritev2_by(pwritev2_fn call, int fd, const struct iovec *iov, int count,
				  off_t at, int flags)
{
	struct shim_write w;
	ssize_t sent;

	if (!looked_at(fd) || at != -1 || count <= 0 || count > IOV_MAX_PARTS)
		return call(fd, iov, count, at, flags);
	shim_write_begin(&w, fd, iov, count, flags & RWF_NOWAIT ? MSG_DONTWAIT : 0,
			 SHIM_CALL_WRITEV);
	do
		sent = call(fd, w.iov, w.iovcnt, at, flags);
	while (shim_write_again(&w, &sent));
	return sent;
}

ssize_t hook_pwritev2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
	return pwritev2_by(real.pwritev2, fd, iov, count, at, flags);
}

ssize_t hook_pwritev64v2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
	return pwritev2_by(real.pwritev64v2, fd, iov, count, at, flags);
}
