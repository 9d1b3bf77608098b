/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in the directory that a supervisor (`tagalong run`, `tagalong agent`) shares with the
 * processes whose spans it exports: one file of its own, and one that each process makes. Both
 * sides map them; offsets and no pointers, nothing that is read is believed. */
#ifndef EXPORTER_SHARED_LAYOUT_H
#define EXPORTER_SHARED_LAYOUT_H

#include <stdatomic.h>
#include "base/counters.h"
#include "exporter/resource_pack.h"
#include "exporter/ring_layout.h"

#define SHARED_MAGIC    0x53474154u /* "TAGS" */
#define SHARED_VERSION  3

#define SHARED_CONTROL  "control" /* the supervisor's file */
#define SHARED_PREFIX   "spans-"  /* the others': this and 16 hexadecimal digits */

#define SHARED_PATH_MAX 256 /* of the directory, terminator included */

/* The supervisor shows that it lives at least every second; past this it is looked for. */
#define SHARED_STALE_NS 5000000000ull
/* Where it cannot be looked for (another pid namespace) it is taken for dead after this. */
#define SHARED_LOST_NS 60000000000ull

/* A process as others can find it again. */
struct shared_process {
	_Atomic uint32_t pid;
	uint32_t pad;
	uint64_t pid_space;   /* the pid namespace's number, 0 not known */
	uint64_t start_ticks; /* tells it from a later process of the same number, 0 not known */
};

/* Nobody but the supervisor may write to it: who could, could truncate it under all others. So the
 * supervisor is woken by its futex without a change of the word, and may miss the call: the kernel
 * tells the caller that nobody slept. */
struct shared_control {
	uint32_t magic, layout;
	struct shared_process supervisor; /* pid 0: it ends, and nobody comes after it */
	uint32_t file_mode;               /* of the files that processes make */
	uint32_t token;                   /* what it signs with as the consumer of a ring */
	uint64_t destination;             /* shared_destination() of its variables */
	uint64_t metrics_destination;     /* shared_metrics_destination() of them */
	_Atomic uint64_t alive_ns;        /* the monotonic clock */
	_Atomic uint32_t wake __attribute__((aligned(64))); /* it sleeps there */
};

#define SHARED_OWNER 0xffffffffu /* the process itself, its supervisor being dead */

/* Of a file. */
enum shared_use {
	SHARED_USED,
	SHARED_LEFT,  /* the process is about to exec or end, and may come back */
	SHARED_CLOSED /* the supervisor has let go of it, or does soon: make a new one */
};

struct shared_file {
	uint32_t magic, layout;
	uint32_t ring_at, ring_size;
	uint32_t metrics_at, metrics_size; /* 0: none */
	uint32_t resource_size;
	_Atomic uint32_t ready; /* all of the above and the resource is there */
	uint64_t since_ns;      /* since 1970: when it began to count here */
	struct shared_process owner;
	/* Who drains the ring: 0 nobody yet, a supervisor's token, SHARED_OWNER. Changed from what
	 * was read by who knows that the former consumer is gone. */
	_Atomic uint32_t consumer;
	_Atomic uint32_t use; /* enum shared_use */
	/* How many of those that ever left the ring are exported or counted: what its consumer
	 * tells now and then, for whoever comes after it. */
	_Atomic uint32_t settled;
	_Atomic uint32_t held_back; /* it waits: its process has its share of the queue */
	struct counters counters __attribute__((aligned(64)));
	struct counters reported __attribute__((aligned(64))); /* of these, by supervisors before */
	char resource[RESOURCE_PACKED_MAX] __attribute__((aligned(64)));
};

/* What its consumer has taken out of the ring and not come to an end with, at the most. */
static inline uint32_t shared_in_hand(const struct shared_file *f, const struct ring *r)
{
	uint32_t n = atomic_load(&r->done) - atomic_load(&f->settled);

	return n <= INT32_MAX ? n : 0;
}

/* Equal on both sides, or they do not understand each other. */
#define SHARED_LAYOUT \
	(SHARED_VERSION * 0x01000193u ^ RING_LAYOUT * 31u ^ (uint32_t)sizeof(struct shared_file))

#endif
