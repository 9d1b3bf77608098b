/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/hook.h"

int hook_socket(int domain, int type, int protocol)
{
	int fd = real.socket(domain, type, protocol);

	if (fd >= 0 && !in_vfork_child())
		shim_on_socket(fd, domain, type);
	return fd;
}

int hook_socketpair(int domain, int type, int protocol, int *fds)
{
	int result = real.socketpair(domain, type, protocol, fds);

	if (result == 0 && !in_vfork_child()) {
		shim_on_socket(fds[0], domain, type);
		shim_on_socket(fds[1], domain, type);
	}
	return result;
}

/* Somebody else's descriptor, already connected and in use: what arrived by SCM_RIGHTS is no
 * different. */
int hook_pidfd_getfd(int pidfd, int fd, unsigned flags)
{
	int got = real.pidfd_getfd(pidfd, fd, flags);

	if (got >= 0 && !in_vfork_child())
		shim_on_received_fd(got);
	return got;
}
