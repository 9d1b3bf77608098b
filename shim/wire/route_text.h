/* SPDX-License-Identifier: Apache-2.0 */
/* The segments of a path, for those who name spans. */
#ifndef SHIM_WIRE_ROUTE_TEXT_H
#define SHIM_WIRE_ROUTE_TEXT_H

#include "base/bytes.h"

#define ROUTE_HEX_MIN   8  /* hex digits that are taken for an identifier */
#define ROUTE_TOKEN_MIN 10 /* characters of a token that mixes letters and digits */

/* What stands between two slashes, without ";jsessionid=..." (RFC 3986 section 3.3: parameters of
 * one segment). */
struct route_segment {
	struct bytes text;
	unsigned classes; /* private: the kinds of characters in it */
};

/* The next "/segment" of a path; pos starts at 0, false at the end. A path that ends in '/' has
 * an empty last segment. */
bool route_next_segment(struct bytes path, size_t *pos, struct route_segment *segment);
/* A number, a date, a UUID, hex of ROUTE_HEX_MIN or more, or a long token that mixes letters and
 * digits as no word does. */
bool route_segment_is_id(struct route_segment segment);

#endif
