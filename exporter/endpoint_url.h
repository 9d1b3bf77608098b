/* SPDX-License-Identifier: Apache-2.0 */
/* The URL of an OTLP endpoint, taken apart: http and https only, a scheme may be missing. */
#ifndef EXPORTER_ENDPOINT_URL_H
#define EXPORTER_ENDPOINT_URL_H

#include "base/text.h"

#define ENDPOINT_HOST_MAX     253 /* RFC 1035 section 2.3.4, as text without the last dot */
#define ENDPOINT_USERINFO_MAX 512

/* Views into what was parsed. */
struct endpoint_url {
	struct bytes userinfo, host, path, query; /* host without brackets; query without '?' */
	uint16_t port;                            /* 0: none was given */
	bool https, ipv6, schemeless;
};

/* 0, or -EINVAL: not such a URL. */
int endpoint_url_parse(struct endpoint_url *u, struct bytes in);

/* The request target. below: NULL when the URL is used as it is, or the path under a base URL. */
void endpoint_url_put_target(struct text *t, const struct endpoint_url *u, const char *below);

/* host[:port], the port when it is not the scheme's own. host as in struct endpoint_url. */
void endpoint_put_authority(struct text *t, struct bytes host, bool ipv6, uint16_t port,
			    bool https);

#define ENDPOINT_SHOWN_MAX 200 /* bytes of a bad value that a warning repeats */

/* The value of a variable as a warning may repeat it: cut, printable, and nothing of it at all when
 * a password may stand in it. */
const char *endpoint_shown(char copy[static ENDPOINT_SHOWN_MAX + 1], const char *value);

#endif
