/* SPDX-License-Identifier: Apache-2.0 */
/* What leaves in one export: copies of records out of the ring, in an arena. Copied, so that the
 * ring is free again while the export is retried, and checked after the copy, so that another
 * process that still writes there can do no harm. */
#ifndef EXPORTER_BATCH_H
#define EXPORTER_BATCH_H

#include "exporter/record.h"

struct arena;
struct resource;
struct ring;

struct batch {
	const struct resource
		*resource; /* of the process that the spans are of; set by the caller */
	const struct record_head **records;
	size_t count;
	size_t bytes; /* of the copies: what an encoder's need of memory follows from */
};

/* Fills *b from the ring with at most max_spans records of at most max_bytes altogether (one record
 * always fits), everything in the arena, and releases the ring. The rest stays in the ring for the
 * next batch. Records that are not sane, and one that finds no room though the batch is empty, are
 * dropped: counted as spans_dropped_memory and done (ring_done()) at once. So afterwards just
 * b->count spans are owed a ring_done(). Returns b->count. */
size_t batch_collect(struct batch *b, struct arena *a, struct ring *r, size_t max_spans,
		     size_t max_bytes);

/* An encoder may need this many bytes of arena for each byte of batch, at the worst: every byte of
 * a value that is not text becomes a \u escape or U+FFFD. */
#define BATCH_ENCODE_FACTOR 8

#endif
