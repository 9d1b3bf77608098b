/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/hook.h"

/* The kernel says how long the address is, not how much of it fitted: one that was cut is worth
 * nothing. room: what the program offered. */
static void accepted(int listener, int fd, const struct sockaddr *peer, const socklen_t *len,
		     socklen_t room)
{
	if (fd < 0 || in_vfork_child())
		return;
	if (peer && len && *len <= room)
		shim_on_accept(listener, fd, peer, *len);
	else
		shim_on_accept(listener, fd, NULL, 0);
}

int hook_accept(int listener, struct sockaddr *peer, socklen_t *len)
{
	socklen_t room = peer && len ? *len : 0;
	int fd = real.accept(listener, peer, len);

	accepted(listener, fd, peer, len, room);
	return fd;
}

int hook_accept4(int listener, struct sockaddr *peer, socklen_t *len, int flags)
{
	socklen_t room = peer && len ? *len : 0;
	int fd = real.accept4(listener, peer, len, flags);

	accepted(listener, fd, peer, len, room);
	return fd;
}

int hook_listen(int fd, int backlog)
{
	int result = real.listen(fd, backlog);

	if (result == 0 && !in_vfork_child())
		shim_on_listen(fd);
	return result;
}
