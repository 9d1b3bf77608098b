/* SPDX-License-Identifier: Apache-2.0 */
/* Exports for other processes: finds their files in a directory, drains the rings in them, sends
 * what was in there on, and clears away what dead processes leave. The main loop never waits for
 * the receiver: a thread of its own does (sender.h). */
#ifndef LAUNCHER_SUPERVISOR_SUPERVISOR_H
#define LAUNCHER_SUPERVISOR_SUPERVISOR_H

#include "exporter/complaint.h"
#include "launcher/supervisor/directory.h"
#include "launcher/supervisor/meter.h"
#include "launcher/supervisor/sender.h"
#include "launcher/supervisor/source.h"

struct supervisor {
	struct directory directory;
	struct queue queue;
	struct sender sender;
	struct arena arena; /* of what is being copied out of a ring */
	struct complaints complaints;
	pthread_mutex_t lock; /* of the list, which the meter goes through */
	struct source *sources;
	struct meter *meter;    /* NULL: no metrics */
	unsigned count, served; /* now, and ever */
	uint64_t look_ns;       /* when to look again which processes live */
	uint64_t need_ns;       /* and whether there will be any */
	bool lonely;            /* end when no process is left, nor may come */
	_Atomic bool ending;    /* supervisor_ask_end() */
};

/* Reads `config` and opens what it names (trace file); the directory is there already. 0, or
 * -ENOENT: spans have nowhere to go, which is as the user wants it. */
int supervisor_init(struct supervisor *s);

/* Starts the threads that send. */
int supervisor_start(struct supervisor *s);

/* Serves until supervisor_ask_end(), or, `lonely`, until nobody is left to serve. */
void supervisor_run(struct supervisor *s);

/* Any thread, any time. */
void supervisor_ask_end(struct supervisor *s);

/* Takes what the rings hold and sends it, until the deadline (monotonic) at most. */
void supervisor_flush(struct supervisor *s, uint64_t deadline_ns);

/* Whether some process's file is in use, or a process may come to make one. */
bool supervisor_is_needed(struct supervisor *s);

/* Sends what there is until the deadline and lets go of all; with TAGALONG_STATS one line of
 * counters. keep: the files of living processes are left for the next supervisor. */
void supervisor_end(struct supervisor *s, uint64_t deadline_ns, bool keep);

#endif
