/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages (RFC 1035, RFC 3596) as far as finding an address needs them. Pure functions; the
 * packets are hostile. */
#ifndef EXPORTER_DNS_H
#define EXPORTER_DNS_H

#include <sys/types.h>
#include "exporter/net.h"

#define DNS_QUERY_MAX     272 /* head, a name of 255 bytes, type and class */
#define DNS_ADDRESSES_MAX 8

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_AAAA = 28 };

struct dns_query {
	uint8_t p[DNS_QUERY_MAX];
	size_t n;
	enum dns_type type;
};

enum dns_result {
	DNS_IGNORE = 1, /* not the answer to this query: wait on */
	DNS_TRUNCATED,  /* ask again over TCP */
	DNS_NO_NAME,    /* the name does not exist */
	DNS_REFUSED     /* the server cannot say: ask another */
};

/* 0, or -EINVAL when `name` cannot be one (empty or long labels). A last dot makes no difference.
 */
int dns_make_query(struct dns_query *q, uint16_t id, struct bytes name, enum dns_type type);

/* Appends the addresses of q's type that the packet has for q's name (through CNAMEs) to
 * out[*count..DNS_ADDRESSES_MAX). 0 (perhaps none), or an enum dns_result. */
int dns_read_answer(struct bytes packet, const struct dns_query *q,
		    struct net_address out[static DNS_ADDRESSES_MAX], unsigned *count);

#endif
