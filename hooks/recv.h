/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOOKS_RECV_H
#define HOOKS_RECV_H

#include "hooks/hook.h"

enum recv_kind {
	RECV_STREAM,    /* the next bytes of the stream, and the program has them */
	RECV_DISCARDED, /* tcp(7), MSG_TRUNC: they leave the stream, nobody gets to see them */
	RECV_ELSE,      /* peeked (they come again), of the error queue, out of band */
};

static inline enum recv_kind recv_kind(int flags)
{
	if (__builtin_expect(!(flags & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB | MSG_TRUNC)), 1))
		return RECV_STREAM;
	return flags & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB) ? RECV_ELSE : RECV_DISCARDED;
}

/* After a call that was not RECV_STREAM. */
static inline void recv_unseen(int fd, ssize_t got, int flags)
{
	if (got > 0 && recv_kind(flags) == RECV_DISCARDED)
		shim_on_received_unseen(fd, got);
}

#endif
