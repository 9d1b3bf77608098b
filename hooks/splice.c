/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that pass from descriptor to descriptor inside the kernel: only their number is known. */
#include "hooks/hook.h"

static inline void passed(int in, int out, ssize_t n)
{
	if (n <= 0)
		return;
	if (looked_at(in))
		shim_on_received_unseen(in, n);
	if (looked_at(out))
		shim_on_sent_unseen(out, n);
}

static inline bool may_pass(int out, int flags)
{
	return !looked_at(out) || shim_before_unseen(out, flags);
}

ssize_t hook_sendfile(int out, int in, off_t *at, size_t n)
{
	ssize_t sent;

	if (!may_pass(out, 0))
		return -1;
	sent = real.sendfile(out, in, at, n);
	passed(in, out, sent);
	return sent;
}

ssize_t hook_sendfile64(int out, int in, off_t *at, size_t n)
{
	ssize_t sent;

	if (!may_pass(out, 0))
		return -1;
	sent = real.sendfile64(out, in, at, n);
	passed(in, out, sent);
	return sent;
}

ssize_t hook_splice(int in, off_t *in_at, int out, off_t *out_at, size_t n, unsigned flags)
{
	ssize_t moved;

	if (!may_pass(out, flags & SPLICE_F_NONBLOCK ? MSG_DONTWAIT : 0))
		return -1;
	moved = real.splice(in, in_at, out, out_at, n, flags);
	passed(in, out, moved);
	return moved;
}
