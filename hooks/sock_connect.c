/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/hook.h"

typedef int (*connect_fn)(int fd, const struct sockaddr *address, socklen_t len);

static inline int connect_by(connect_fn call, int fd, const struct sockaddr *address, socklen_t len)
{
	int result = call(fd, address, len);

	if (looked_at(fd))
		shim_on_connect(fd, address, len, result, result < 0 ? host_errno() : 0);
	return result;
}

int hook_connect(int fd, const struct sockaddr *address, socklen_t len)
{
	return connect_by(real.connect, fd, address, len);
}

int hook___connect(int fd, const struct sockaddr *address, socklen_t len)
{
	return connect_by(real.__connect, fd, address, len);
}

int hook_shutdown(int fd, int how)
{
	int result = real.shutdown(fd, how);

	if (result == 0 && looked_at(fd))
		shim_on_shutdown(fd, how);
	return result;
}
