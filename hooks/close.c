/* SPDX-License-Identifier: Apache-2.0 */
/* The one family where the look comes before the call: as soon as the real close() has begun,
 * another thread may be given the number. What is ours stays open, whatever the program closes. */
#include "hooks/close.h"

typedef int (*close_fn)(int fd);
typedef void *(*freopen_fn)(const char *path, const char *mode, void *stream);

static inline int close_by(close_fn call, int fd)
{
	if (own_fd_contains(fd)) {
		host_errno_set(EBADF);
		return -1;
	}
	forget(fd);
	return call(fd);
}

int hook_close(int fd)
{
	return close_by(real.close, fd);
}

int hook___close(int fd)
{
	return close_by(real.__close, fd);
}

int hook___close_nocancel(int fd)
{
	return close_by(real.__close_nocancel, fd);
}

/* Around our own: [first, ours - 1], then what follows. */
int close_range_around(close_range_fn call, unsigned first, unsigned last, int flags)
{
	int ours, result;

	/* Nothing is closed: an error, or marks (ours have them already). */
	if (first > last || (flags & ~CLOSE_RANGE_UNSHARE))
		return call(first, last, flags);
	if (!in_vfork_child())
		shim_before_close_range(first, last);
	while ((ours = own_fd_next(first, last)) >= 0) {
		if ((unsigned)ours > first) {
			result = call(first, (unsigned)ours - 1, flags);
			if (result < 0)
				return result;
		}
		if ((unsigned)ours == last)
			return 0;
		first = (unsigned)ours + 1;
	}
	return call(first, last, flags);
}

int hook_close_range(unsigned first, unsigned last, int flags)
{
	return close_range_around(real.close_range, first, last, flags);
}

void hook_closefrom(int first)
{
	int ours, from = first < 0 ? 0 : first;

	if (!in_vfork_child())
		shim_before_close_range((unsigned)from, ~0u);
	/* libc's own cannot leave one out: close what is below ours by hand, as far as it goes. */
	while ((ours = own_fd_next((unsigned)from, ~0u)) >= 0) {
		if (ours > from && raw_close_range((unsigned)from, (unsigned)ours - 1, 0) < 0)
			for (int fd = from; fd < ours; fd++)
				raw_close(fd);
		from = ours + 1;
	}
	real.closefrom(from);
}

/* stdio closes without calling close(): a socket given to fdopen() leaves by this door. */
static inline void forget_stream(void *stream)
{
	int fd, before;

	if (!fd_table.size || !stream)
		return;
	before = host_errno(); /* a stream without descriptor is EBADF */
	fd = real.fileno(stream);
	host_errno_set(before);
	if (fd >= 0)
		forget(fd);
}

int hook_fclose(void *stream)
{
	forget_stream(stream);
	return real.fclose(stream);
}

static inline void *freopen_by(freopen_fn call, const char *path, const char *mode, void *stream)
{
	forget_stream(stream);
	return call(path, mode, stream);
}

void *hook_freopen(const char *path, const char *mode, void *stream)
{
	return freopen_by(real.freopen, path, mode, stream);
}

void *hook_freopen64(const char *path, const char *mode, void *stream)
{
	return freopen_by(real.freopen64, path, mode, stream);
}
