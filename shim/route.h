/* SPDX-License-Identifier: Apache-2.0 */
/* What the configuration says about requests: their route and name, which are left out, where
 * trace headers may go, which methods are known and which headers are recorded. Async-signal-safe
 * and without locks after route_init(). */
#ifndef SHIM_ROUTE_H
#define SHIM_ROUTE_H

#include <sys/socket.h>
#include "base/bytes.h"
#include "base/text.h"

/* Entries that are kept of each list; more give one warning and are ignored. */
#define ROUTE_PATTERNS_MAX 128 /* TAGALONG_ROUTES */
#define ROUTE_EXCLUDES_MAX 64  /* TAGALONG_EXCLUDE_PATHS */
#define ROUTE_HOSTS_MAX    64  /* TAGALONG_PROPAGATE_TO */
#define ROUTE_METHODS_MAX  32  /* OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS */
#define ROUTE_HEADERS_MAX  32  /* each list of recorded headers or metadata */

#define ROUTE_NAME_MAX     255 /* bytes of a span name */
#define ROUTE_DEPTH_MAX    16  /* segments of a path that a name shows */

/* Reads the lists. Once, from the constructor, after config_read(). */
void route_init(void);

/* Whether TAGALONG_EXCLUDE_PATHS leaves this path (without its query) out. */
bool route_excluded(struct bytes path);

/* The pattern of TAGALONG_ROUTES that fits, the first in the order given, or an empty view. */
struct bytes route_find(struct bytes path);

/* "GET /users/{id}": the method as sent (HTTP when it is not a known one) and the route; without a
 * route the path with identifiers as {id}, and as * the words of a position that showed more
 * than ten under the same beginning. Words that were seen often before that keep their name. With
 * TAGALONG_ROUTE_MODE=off the bare method. At most ROUTE_NAME_MAX bytes. */
void route_put_span_name(struct text *out, struct bytes method, struct bytes path);

/* Whether trace headers may go to this host (without port, brackets or not): it fits
 * TAGALONG_PROPAGATE_TO and is no metadata service (see route_is_metadata). */
bool route_propagates_to(struct bytes host);

/* Addresses of cloud metadata services in any spelling, and the names that always mean them. */
bool route_is_metadata(struct bytes host);
bool route_is_metadata_peer(const struct sockaddr *address, socklen_t len);

/* The method when it is a known one, else an empty view: the span says _OTHER. */
struct bytes route_known_method(struct bytes method);

enum header_list {
	HEADERS_SERVER_REQUEST,
	HEADERS_SERVER_RESPONSE,
	HEADERS_CLIENT_REQUEST,
	HEADERS_CLIENT_RESPONSE,
	METADATA_SERVER_REQUEST, /* of gRPC, in the same order */
	METADATA_SERVER_RESPONSE,
	METADATA_CLIENT_REQUEST,
	METADATA_CLIENT_RESPONSE,
	HEADERS_LISTS
};

/* Whether the value of this header (name in any case) is recorded. */
bool route_captures(enum header_list list, struct bytes name);
/* False: the list is empty, nobody needs to walk the headers. */
bool route_captures_any(enum header_list list);
bool route_captures_nothing(void); /* all of them are */

#endif
