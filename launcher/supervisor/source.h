/* SPDX-License-Identifier: Apache-2.0 */
/* One process whose spans we export: its file, mapped. What stands there is the process's to write
 * and is never believed. */
#ifndef LAUNCHER_SUPERVISOR_SOURCE_H
#define LAUNCHER_SUPERVISOR_SOURCE_H

#include "base/arena.h"
#include "exporter/metrics_message.h"
#include "exporter/shared_layout.h"
#include "launcher/supervisor/directory.h"
#include "launcher/supervisor/parcel.h"

struct source {
	struct source *next;
	char name[32]; /* in the directory */
	struct shared_file *file;
	size_t size;
	struct ring *ring;
	size_t ring_size;
	struct owner *owner;
	uint32_t settled_before; /* by supervisors before */
	uint32_t settled_told;   /* in the file */
	bool held_back;          /* the file says so */
	uint32_t pid;
	uint64_t pid_space, start_ticks;
	uint64_t active_ns; /* the last time something was taken */
	uint64_t left_ns;   /* since when it is left, 0 not */
	uint64_t closed_ns; /* when its process was told to make a new one, 0 not */
	/* For meter.c. */
	const struct request_metrics *metrics; /* in the file, or NULL */
	struct metrics_past *past;
	uint64_t since_ns;   /* since 1970: when it began to count */
	uint64_t leaving_ns; /* monotonic: its process has ended, 0 not */
	bool telling, told;  /* an export has its numbers; its last ones have arrived */
};

/* Maps the file and becomes its consumer. 0; -EAGAIN: not finished yet; -EBUSY: somebody else
 * drains it; other negative errno: it is nothing of ours, or not to be read. */
int source_open(struct source **out, struct directory *d, const char *name);

/* Takes what it holds into the queue as far as that has room, in parcels of at most max_spans,
 * whose records stand in the arena for a moment, and asks to be called when as many wait. The
 * number of spans, -EAGAIN when some are left (the queue is full, or others have their turn),
 * -EFAULT when the file cannot be read any more. */
int source_take(struct source *s, struct queue *q, struct arena *a, unsigned max_spans);

/* Whether nothing more can come: its process has ended. A file that is of no known use (left for an
 * exec, or idle for long in a pid namespace that we cannot look into) is closed first: true some
 * time after. */
bool source_has_ended(struct source *s);

/* What it has counted becomes part of our own counters; the file goes, with what is left in it
 * (counted as spans_dropped_exit), unless `keep`. */
void source_close(struct source *s, struct directory *d, bool keep);

#endif
