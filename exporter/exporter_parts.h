/* SPDX-License-Identifier: Apache-2.0 */
/* How exporter.c is made up; nobody else's business. */
#ifndef EXPORTER_EXPORTER_PARTS_H
#define EXPORTER_EXPORTER_PARTS_H

#include "exporter/shared.h"
#include "exporter/worker.h"

/* What becomes of a span that ends now. */
enum mode {
	MODE_OFF, /* not started, or nobody wants spans */
	MODE_ON,
	MODE_UNDELIVERABLE, /* counted and gone */
	MODE_ENDED          /* the program's end has begun */
};

/* Who takes the spans out of the ring. */
enum way {
	WAY_IN_PROCESS, /* our own worker */
	WAY_OPEN,       /* a supervisor, whom nothing has been shared with yet */
	WAY_OPENING,    /* a thread is at it */
	WAY_SUPERVISED
};

struct exporter {
	_Atomic uint32_t mode; /* enum mode */
	_Atomic uint32_t way;  /* enum way */
	_Atomic(struct ring *) ring;
	struct ring *lost; /* a ring that its supervisor no longer takes from */
	_Atomic uint32_t
		filtered;      /* some thread has a seccomp filter: no new system calls from us */
	_Atomic uint32_t stop; /* ends all waits of the transport */
	/* A child of fork takes the one that its parent did not use: the parent's may be under a
	 * writer that a signal interrupted, and that will go on where it was. */
	struct ring *rings[2];
	size_t ring_size;
	uint32_t max_queue;
	struct sink sink;
	struct drain drain;
	struct worker worker;
	struct shared shared;
};

extern struct exporter exporter;

static inline enum mode exporter_mode(void)
{
	return (enum mode)atomic_load_explicit(&exporter.mode, memory_order_relaxed);
}

static inline void exporter_set_mode(enum mode m)
{
	atomic_store_explicit(&exporter.mode, m, memory_order_release);
}

static inline enum way exporter_way(void)
{
	return (enum way)atomic_load_explicit(&exporter.way, memory_order_acquire);
}

/* Maps ring `i`, or empties the one that is there. NULL: no memory. */
struct ring *in_process_ring(unsigned i);

/* Spans leave by our own worker from now on (it is not started here), out of r, or out of a ring of
 * our own. 0, or why they cannot: they are counted as undeliverable then. */
int in_process_begin(struct ring *r);

/* Shares a ring with the supervisor, or falls back to our own worker. Of several threads one does
 * it. Raw system calls only. */
void supervised_begin(void);

/* The supervisor may be gone: then we go on by ourselves. Only where a thread may be started. */
void supervised_look(void);

/* The supervisor leaves the ring as it is for now, for the sake of other processes. */
bool supervised_holds_back(void);

#endif
