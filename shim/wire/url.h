/* SPDX-License-Identifier: Apache-2.0 */
/* Request targets, hosts, forwarding headers: what HTTP spans say about where a request went. */
#ifndef SHIM_WIRE_URL_H
#define SHIM_WIRE_URL_H

#include "base/bytes.h"
#include "base/text.h"

/* RFC 9112 section 3.2: origin-form, absolute-form, authority-form (CONNECT), asterisk-form. */
struct url_target {
	struct bytes scheme;    /* absolute-form only */
	struct bytes userinfo;  /* absolute-form only, without '@' */
	struct bytes authority; /* host[:port]; absolute- and authority-form only */
	struct bytes path;      /* "*" for asterisk-form, empty for authority-form */
	struct bytes query;     /* without '?'; p == NULL when there is none */
};
/* 0 or -EINVAL. connect: the method is CONNECT. */
int url_parse_target(struct url_target *out, struct bytes target, bool connect);

/* "host", "host:8080", "[::1]:8080": brackets stripped. *port 0 when absent. -EINVAL: no host. */
int url_split_host(struct bytes *host, uint16_t *port, struct bytes authority);

/* The query with the values of X-Amz-Signature, X-Amz-Credential, X-Amz-Security-Token, sig,
 * X-Goog-Signature, AWSAccessKeyId, Signature replaced by REDACTED (keys compared with case). */
void url_put_query_redacted(struct text *out, struct bytes query);

/* scheme://host[:port]/path[?query] for url.full; userinfo becomes REDACTED:REDACTED@. The port
 * is left out when it is 0 or the scheme's default. IPv6 hosts are bracketed. */
void url_put_full(struct text *out, const struct url_target *target, struct bytes scheme,
		  struct bytes host, uint16_t port);

/* Client address, scheme and host as the forwarding headers give them (RFC 7239 Forwarded first,
 * then X-Forwarded-*; the left-most element; quotes, brackets and ports stripped from `client`).
 * Empty views where they say nothing; `host` keeps its port. */
struct url_forwarded {
	struct bytes client, proto, host;
};
struct url_forwarded url_parse_forwarded(struct bytes forwarded, struct bytes x_for,
					 struct bytes x_proto, struct bytes x_host);

/* '*' stands for any run of characters (also '/'), '?' for one; case matters unless nocase. */
bool glob_match(struct bytes pattern, struct bytes text, bool nocase);

/* Whether `path` matches a route pattern: "{name}" is one segment, a last "*" is any rest. */
bool route_match(struct bytes pattern, struct bytes path);

/* A path with the segments that look like identifiers (numbers, UUIDs, hex of 8 or more, long
 * mixed tokens) written as {id}. */
void route_put_template(struct text *out, struct bytes path);

#endif
