/* SPDX-License-Identifier: Apache-2.0 */
/* The waits: what a thread waits for tells whether it serves one request or many. Looked at before
 * the call, since the set is what the program asked, and the call may never return. */
#include "base/readable.h"
#include "hooks/hook.h"

typedef int (*poll_fn)(struct pollfd *fds, nfds_t n, int timeout_ms);
typedef int (*select_fn)(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout);

static inline void will_poll(const struct pollfd *fds, nfds_t n)
{
	if (fds && n && n <= INT32_MAX && !in_vfork_child() &&
	    memory_readable(fds, n * sizeof(*fds)))
		shim_on_poll(fds, n);
}

static inline bool set_is_readable(int n, const fd_set *set)
{
	size_t bits = (size_t)(n < FD_SETSIZE ? n : FD_SETSIZE);

	return !set || memory_readable(set, (bits + 63) / 64 * 8);
}

static inline void will_select(int n, const fd_set *in, const fd_set *out)
{
	if (n > 0 && (in || out) && !in_vfork_child() && set_is_readable(n, in) &&
	    set_is_readable(n, out))
		shim_on_select(n, in, out);
}

static inline int poll_by(poll_fn call, struct pollfd *fds, nfds_t n, int timeout_ms)
{
	will_poll(fds, n);
	return call(fds, n, timeout_ms);
}

int hook_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	return poll_by(real.poll, fds, n, timeout_ms);
}

int hook___poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	return poll_by(real.__poll, fds, n, timeout_ms);
}

int hook___poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t room)
{
	if (n <= room / sizeof(*fds))
		will_poll(fds, n);
	return real.__poll_chk(fds, n, timeout_ms, room);
}

int hook_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	will_poll(fds, n);
	return real.ppoll(fds, n, timeout, mask);
}

int hook___ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		     const sigset_t *mask, size_t room)
{
	if (n <= room / sizeof(*fds))
		will_poll(fds, n);
	return real.__ppoll_chk(fds, n, timeout, mask, room);
}

static inline int select_by(select_fn call, int n, fd_set *in, fd_set *out, fd_set *except,
			    struct timeval *timeout)
{
	will_select(n, in, out);
	return call(n, in, out, except, timeout);
}

int hook_select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout)
{
	return select_by(real.select, n, in, out, except, timeout);
}

int hook___select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout)
{
	return select_by(real.__select, n, in, out, except, timeout);
}

int hook_pselect(int n, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,
		 const sigset_t *mask)
{
	will_select(n, in, out);
	return real.pselect(n, in, out, except, timeout, mask);
}
