/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end of a connection. */
#include <netinet/tcp.h>
#include "base/process.h"
#include "base/raw.h"
#include "shim/address.h"
#include "shim/conn.h"
#include "shim/h2.h"
#include "shim/route.h"

void conn_set_peer(struct conn *c, const struct sockaddr *address, socklen_t len)
{
	struct text t = TEXT_ON(c->peer);

	c->peer_known = true;
	c->peer_is_metadata = route_is_metadata_peer(address, len);
	c->peer_port = 0;
	if (address->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
		const struct sockaddr_in *in = (const void *)address;

		address_put_v4(&t, (const uint8_t *)&in->sin_addr);
		c->peer_port = ntohs(in->sin_port);
	} else if (address->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
		const struct sockaddr_in6 *in6 = (const void *)address;

		address_put_v6(&t, (const uint8_t *)&in6->sin6_addr);
		c->peer_port = ntohs(in6->sin6_port);
	} else if (address->sa_family == AF_UNIX && len > offsetof(struct sockaddr_un, sun_path)) {
		const struct sockaddr_un *un = (const void *)address;
		size_t room = len - offsetof(struct sockaddr_un, sun_path), n = 0;

		while (n < room && un->sun_path[n])
			n++;
		c->unix_socket = true;
		text_put(&t, (struct bytes){ un->sun_path, n });
	}
	text_string(&t);
}

bool conn_peer_is_any(const struct conn *c)
{
	for (const char *p = c->peer; *p; p++)
		if (*p != '0' && *p != '.' && *p != ':')
			return false;
	return true;
}

void conn_learn_peer(struct conn *c, int fd)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	if (c->peer_known)
		return;
	if (!process_may_call() || raw_getpeername(fd, (struct sockaddr *)&address, &len) < 0) {
		c->peer_known = true;
		return;
	}
	conn_set_peer(c, (struct sockaddr *)&address, len);
}

/* A server that closes without an answer may have been told by poll() that its client is gone, and
 * has read no end of the stream. */
void conn_learn_end(struct conn *c, int fd)
{
	uint8_t info[8] = { 0 }; /* begins with the state: struct tcp_info */
	socklen_t len = sizeof(info);
	char byte;

	if (c->role != CONN_SERVER || !(c->h2 ? c->h2->streams : c->queued) || c->eof || c->error ||
	    fd < 0 || !process_may_call())
		return;
	if (raw_getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len) < 0)
		c->eof = raw_recvfrom(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT, NULL, NULL) == 0;
	else if (info[0] == TCP_CLOSE)
		c->error = "connection_reset";
	else
		c->eof = info[0] == TCP_CLOSE_WAIT;
}
