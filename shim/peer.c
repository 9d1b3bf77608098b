/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end of a connection. */
#include "base/process.h"
#include "base/raw.h"
#include "shim/address.h"
#include "shim/conn.h"
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
