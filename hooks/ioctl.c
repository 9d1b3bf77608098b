/* SPDX-License-Identifier: Apache-2.0 */
/* Only FIONREAD is of interest: a program that was told how many bytes wait counts them down (nginx
 * does), and must not be given more than that. */
#include <sys/ioctl.h>
#include "hooks/hook.h"

int hook_ioctl(int fd, unsigned long request, void *argument)
{
	int result = real.ioctl(fd, request, argument);

	if (result == 0 && request == FIONREAD && looked_at(fd))
		shim_on_counted(fd, *(const int *)argument);
	return result;
}
