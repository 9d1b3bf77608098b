/* SPDX-License-Identifier: Apache-2.0 */
/* Two numbers, one stream. The number that dup2() and dup3() take over is closed by them. */
#include "hooks/hook.h"

typedef int (*dup2_fn)(int from, int to);
typedef int (*fcntl_fn)(int fd, int command, ...);

static inline int duplicated(int from, int to)
{
	if (to >= 0 && __builtin_expect(known(from), 0) && !in_vfork_child())
		shim_on_dup(from, to);
	return to;
}

int hook_dup(int fd)
{
	return duplicated(fd, real.dup(fd));
}

/* Before `to` is replaced. Not if that is going to fail: then `to` stays what it is. */
static inline void make_way(int from, int to)
{
	/* A vfork child's table is its own, but the note of ours is its parent's. */
	if (own_fd_contains(to) && !in_vfork_child())
		own_fd_evade(to);
	if (known(to) && from != to && raw_fcntl(from, F_GETFD, 0) >= 0)
		forget(to);
}

static inline int dup2_by(dup2_fn call, int from, int to)
{
	int result;

	make_way(from, to);
	result = call(from, to);
	return from == to ? result : duplicated(from, result);
}

int hook_dup2(int from, int to)
{
	return dup2_by(real.dup2, from, to);
}

int hook___dup2(int from, int to)
{
	return dup2_by(real.__dup2, from, to);
}

int hook_dup3(int from, int to, int flags)
{
	if (!(flags & ~O_CLOEXEC))
		make_way(from, to);
	return duplicated(from, real.dup3(from, to, flags));
}

/* Every command but two passes through; the argument may be an int, a long or a pointer. */
static inline int fcntl_by(fcntl_fn call, int fd, int command, long argument)
{
	int result = call(fd, command, argument);

	if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
		return duplicated(fd, result);
	return result;
}

int hook_fcntl(int fd, int command, long argument)
{
	return fcntl_by(real.fcntl, fd, command, argument);
}

int hook_fcntl64(int fd, int command, long argument)
{
	return fcntl_by(real.fcntl64, fd, command, argument);
}

int hook___fcntl(int fd, int command, long argument)
{
	return fcntl_by(real.__fcntl, fd, command, argument);
}
