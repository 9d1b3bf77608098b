// SPDX-License-Identifier: Apache-2.0
#include "base/quiet_write.h"

#include "base/raw.h"

#define BIT(signal) (1ull << ((signal)-1))

/* The signal that came with this result, or 0. */
static uint64_t companion(ssize_t result)
{
	if (result == -EPIPE)
		return BIT(SIGPIPE);
	return result == -EFBIG ? BIT(SIGXFSZ) : 0;
}

ssize_t quiet_write(int fd, const void *p, size_t n)
{
	const uint64_t blocked = BIT(SIGPIPE) | BIT(SIGXFSZ);
	const struct timespec at_once = { 0, 0 };
	uint64_t before = 0, pending = 0, came;
	ssize_t written;

	raw_rt_sigprocmask(SIG_BLOCK, &blocked, &before);
	raw_rt_sigpending(&pending);
	written = raw_write(fd, p, n);
	came = companion(written) & ~pending; /* what was pending is the program's own */
	if (came)
		raw_rt_sigtimedwait(&came, NULL, &at_once);
	if (~before & blocked)
		raw_rt_sigprocmask(SIG_SETMASK, &before, NULL);
	return written;
}
