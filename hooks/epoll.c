/* SPDX-License-Identifier: Apache-2.0 */
/* As poll.c; the set was put together before, by epoll_ctl(). */
#include "hooks/hook.h"

int hook_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	if (!in_vfork_child())
		shim_on_epoll_ctl(epfd, op, fd);
	return real.epoll_ctl(epfd, op, fd, event);
}

static inline void will_wait(int epfd)
{
	if (!in_vfork_child())
		shim_on_epoll_wait(epfd);
}

int hook_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms)
{
	will_wait(epfd);
	return real.epoll_wait(epfd, events, max, timeout_ms);
}

int hook_epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout_ms,
		     const sigset_t *mask)
{
	will_wait(epfd);
	return real.epoll_pwait(epfd, events, max, timeout_ms, mask);
}

int hook_epoll_pwait2(int epfd, struct epoll_event *events, int max, const struct timespec *timeout,
		      const sigset_t *mask)
{
	will_wait(epfd);
	return real.epoll_pwait2(epfd, events, max, timeout, mask);
}
