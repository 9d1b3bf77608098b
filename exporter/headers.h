/* SPDX-License-Identifier: Apache-2.0 */
/* OTEL_EXPORTER_OTLP_HEADERS: a W3C Baggage list (key=value,key=value) with percent-encoded values.
 * Nothing that could end a header line early gets through. */
#ifndef EXPORTER_HEADERS_H
#define EXPORTER_HEADERS_H

#include <sys/types.h>
#include "base/text.h"

#define HEADERS_VALUE_MAX 8192

struct headers {
	struct bytes list;
	struct text bad; /* the names of entries that were left out, for a warning; no values */
	char bad_names[256];
};

/* list is not copied. h is used in place: it points into itself. */
void headers_read(struct headers *h, struct bytes list);

/* True when a good entry of this name (lower case) is there: it takes the place of our own. */
bool headers_have(const struct headers *h, struct bytes name);

/* "Name: value\r\n" of each good entry (of a name given twice, the last); the others go to h->bad.
 */
void headers_write(struct headers *h, struct text *out);

/* Percent-decodes `in` into out[size]: the length, -EINVAL for a broken escape, -ENOSPC. */
ssize_t headers_decode(char *out, size_t size, struct bytes in);

#endif
