/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the addresses of one host without libc: literals, /etc/hosts, localhost, then DNS as
 * resolv.conf(5) says. The files are read once, at start: the program may chroot afterwards. */
#ifndef EXPORTER_RESOLVER_H
#define EXPORTER_RESOLVER_H

#include "exporter/net.h"

#define RESOLVER_ADDRESSES 8
#define RESOLVER_SERVERS   3
#define RESOLVER_SEARCH    6
#define RESOLVER_NAME_MAX  253
#define RESOLVER_UDP_SIZE  2048 /* without EDNS no answer is larger than 512 */
#define RESOLVER_FRESH_S   60   /* answers older than this are asked for again before a connect */

struct resolver {
	char host[RESOLVER_NAME_MAX + 1];
	struct net_address servers[RESOLVER_SERVERS];
	unsigned server_count;
	char search[RESOLVER_SEARCH][RESOLVER_NAME_MAX + 1];
	unsigned search_count;
	unsigned ndots, timeout_s, attempts;
	bool use_tcp;
	uint16_t port; /* of the servers: 53 */

	struct net_address addresses[RESOLVER_ADDRESSES];
	unsigned address_count;
	bool fixed;           /* by literal, hosts file or localhost: never asked for */
	uint64_t resolved_ns; /* monotonic; 0: not yet, or found wrong */
	struct net_socket socket;
	/* Here, since the calling thread's stack may be small; last, as nobody clears it. */
	char packet[RESOLVER_UDP_SIZE];
};

/* Reads the files; the paths are arguments for tests. stop: see struct net_socket. */
void resolver_init(struct resolver *r, const char *host, const char *hosts_file,
		   const char *resolv_conf, const _Atomic uint32_t *stop);

/* Makes r->addresses current. 0, -ENOENT (no such name), -EAGAIN (no server answered), -ETIMEDOUT,
 * -ENOMEM, -ECANCELED. Old addresses are kept when nothing better is found. */
int resolver_refresh(struct resolver *r, uint64_t deadline_ns);

/* The addresses have not worked: the next refresh asks again. */
static inline void resolver_doubt(struct resolver *r)
{
	r->resolved_ns = 0;
}

#endif
