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

ssize_t hook_sendfile(int out, int in, off_t *at, size_t n)
{
	ssize_t sent = real.sendfile(out, in, at, n);

	passed(in, out, sent);
	return sent;
}

ssize_t hook_sendfile64(int out, int in, off_t *at, size_t n)
{
	ssize_t sent = real.sendfile64(out, in, at, n);

	passed(in, out, sent);
	return sent;
}

ssize_t hook_splice(int in, off_t *in_at, int out, off_t *out_at, size_t n, unsigned flags)
{
	ssize_t moved = real.splice(in, in_at, out, out_at, n, flags);

	passed(in, out, moved);
	return moved;
}
