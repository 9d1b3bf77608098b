/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies as gzip streams, all at once. */
#ifndef EXPORTER_CURL_GZIP_H
#define EXPORTER_CURL_GZIP_H

#include "base/bytes.h"

/* Memory that grows and is used again; free(p) in the end. */
struct gzip_buffer {
	char *p;
	size_t n, size;
};

/* Room for n bytes in all: 0 or -ENOMEM (what is there stays). */
int gzip_reserve(struct gzip_buffer *b, size_t n);

/* Appends `in` compressed: 0 or -ENOMEM. */
int gzip_compress(struct gzip_buffer *b, struct bytes in);

/* Appends what `in` holds, max bytes at most: 0, -EINVAL (not gzip, or cut off), -EFBIG, -ENOMEM.
 */
int gzip_expand(struct gzip_buffer *b, struct bytes in, size_t max);

#endif
