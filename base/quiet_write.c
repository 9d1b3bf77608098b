// SPDX-License-Identifier: Apache-2.0
#include "base/quiet_write.h"

#include "base/raw.h"

#define SIGPIPE_BIT (1ull << (SIGPIPE - 1))

ssize_t quiet_write(int fd, const void *p, size_t n)
{
	const uint64_t blocked = SIGPIPE_BIT;
	const struct timespec at_once = { 0, 0 };
	uint64_t before = 0, pending = 0;
	ssize_t written;

	raw_rt_sigprocmask(SIG_BLOCK, &blocked, &before);
	raw_rt_sigpending(&pending);
	written = raw_write(fd, p, n);
	if (written == -EPIPE && !(pending & SIGPIPE_BIT)) /* else it is the program's own */
		raw_rt_sigtimedwait(&blocked, &at_once);
	if (!(before & SIGPIPE_BIT))
		raw_rt_sigprocmask(SIG_SETMASK, &before, NULL);
	return written;
}
