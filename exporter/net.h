/* SPDX-License-Identifier: Apache-2.0 */
/* Non-blocking sockets of our own inside somebody else's process: each call is short, holds the
 * descriptor only while it lasts, and makes sure that the number is still our socket. Nothing here
 * raises SIGPIPE. */
#ifndef EXPORTER_NET_H
#define EXPORTER_NET_H

#include <stdatomic.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "base/bytes.h"
#include "base/own_fd.h"
#include "base/text.h"

struct net_address {
	uint8_t ip[16]; /* network order; of IPv4 the first four */
	bool is_ipv6;
	uint32_t scope; /* interface of a link-local IPv6 address, 0 none */
};

struct net_socket {
	enum own_fd_slot slot;
	const _Atomic uint32_t *stop; /* not 0: waits end with -ECANCELED; may be NULL */
	uint64_t inode;               /* of the socket; 0: not open */
};

/* Dotted quad, or IPv6 text (RFC 4291 section 2.2) with an optional %scope (number or interface).
 * 0 or -EINVAL. */
int net_parse_address(struct net_address *a, struct bytes text);
void net_put_address(struct text *t, const struct net_address *a);
bool net_same_address(const struct net_address *a, const struct net_address *b);

/* Opens a socket of this type (SOCK_STREAM, SOCK_DGRAM) and connects it by the deadline (monotonic
 * ns). 0 or a negative errno; the socket is then closed. */
int net_connect(struct net_socket *s, int type, const struct net_address *to, uint16_t port,
		uint64_t deadline_ns);

/* Waits until one of `events` (POLLIN, POLLOUT) or an error is there: what is, -ETIMEDOUT,
 * -ECANCELED. */
int net_wait(struct net_socket *s, short events, uint64_t deadline_ns);

/* One try each: bytes moved, 0 at the end of the stream, or a negative errno (-EAGAIN: wait). */
ssize_t net_send(struct net_socket *s, const struct iovec *iov, size_t count);
ssize_t net_receive(struct net_socket *s, void *p, size_t n);

/* True when an idle connection is still good: not closed, and nothing unasked-for has come. */
bool net_is_idle(struct net_socket *s);

void net_close(struct net_socket *s);

#endif
