/* SPDX-License-Identifier: Apache-2.0 */
/* Takes batches out of the ring, sends them, and accounts for every span, whoever does it: the
 * worker, or the thread on which a program without a worker ends.
 *
 *   spans_committed = spans_exported + spans_dropped_* below the ring + drain_waiting() */
#ifndef EXPORTER_DRAIN_H
#define EXPORTER_DRAIN_H

#include "exporter/ring.h"
#include "exporter/sink.h"

struct drain {
	struct ring *ring;
	struct sink *sink;
	uint32_t max_batch, otlp_timeout, export_timeout;
	/* Taken by try only, by the thread that takes from the ring: its number, 0 is nobody. */
	_Atomic uint32_t owner;
	/* Spans on their way, with the two flags below: who changes it from n answers for them. */
	_Atomic uint32_t flight;
	struct arena arena; /* the batch */
	_Atomic uint64_t hold_off_ns;
};

#define DRAIN_ENDED    (1u << 31) /* drain_end() has accounted for all that was left */
#define DRAIN_SETTLING (1u << 30) /* the outcome is being counted */

int drain_init(struct drain *d, struct ring *r, struct sink *s, const struct config *c);

/* Exports one batch by the deadline at the latest. The number of spans taken (0: none waited),
 * -EBUSY (another thread is at it, or this one below a signal handler), -EAGAIN (the receiver asked
 * to be left alone for now), -ESHUTDOWN (ended). */
int drain_batch(struct drain *d, uint64_t deadline_ns);

/* Nothing is taken any more; what is left is counted: the program ends (spans_dropped_exit), or
 * nobody can send any more (spans_dropped_undeliverable). */
void drain_end(struct drain *d);
void drain_abandon(struct drain *d);

uint32_t drain_waiting(const struct drain *d);

/* Memory goes back to the system, unless somebody is at it. */
void drain_idle(struct drain *d);

/* In a new process, with its new ring. */
void drain_child(struct drain *d, struct ring *r);

#endif
