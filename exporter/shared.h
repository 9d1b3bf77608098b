/* SPDX-License-Identifier: Apache-2.0 */
/* A process's side of supervised export: its ring lies in a file of the directory that
 * TAGALONG_SHARED_DIR names, where the supervisor drains it. No thread, no socket, and no
 * descriptor once it is mapped; what a killed process had committed is there to be read. */
#ifndef EXPORTER_SHARED_H
#define EXPORTER_SHARED_H

#include "base/config.h"
#include "exporter/ring.h"
#include "exporter/shared_layout.h"

struct shared {
	char path[SHARED_PATH_MAX + 32];      /* of our file, once it is mapped */
	size_t directory_n;                   /* bytes of it that name the directory */
	const struct shared_control *control; /* NULL: not mapped */
	struct shared_file *file, *old; /* old: the one before, which a writer may still be in */
	size_t size, old_size;          /* of the mappings */
	_Atomic uint64_t look_again_ns;
};

/* True when the configuration names a directory. No system call. */
bool shared_init(struct shared *s, const struct config *c);

/* Where spans are to go, as a number that is equal where it is the same; 0 when nothing is said:
 * whatever the supervisor does will do. */
uint64_t shared_destination(const struct config *c);

/* The same for metrics with an endpoint of their own. */
uint64_t shared_metrics_destination(const struct config *c);

/* Makes and maps the file: resource and an empty ring of max_queue spans in it, all of its memory
 * taken at once (a write to it can never fail later), and calls the supervisor. metrics_size bytes
 * of zeroes are there as well. 0, or a negative errno: -ESRCH no supervisor lives, -EXDEV this
 * process's spans go elsewhere, -EPROTO it is of another version, -EPERM it is not the directory's
 * owner's, or what the kernel said. Raw system calls only; one thread at a time. What was mapped
 * before stays mapped until the next call. */
int shared_open(struct shared *s, const struct config *c, const struct resource *r,
		size_t metrics_size);

struct ring *shared_ring(const struct shared *s);
struct ring *shared_old_ring(const struct shared *s); /* NULL: there is none */
void *shared_metrics(const struct shared *s);         /* NULL: there are none */

/* The supervisor is to look: enough spans wait. One system call, async-signal-safe. False: it is
 * not asleep (it may have looked just before). */
bool shared_wake(const struct shared *s);

/* The process may be about to end or to be replaced: unless shared_look() follows, the file is the
 * supervisor's to clear away. No system call. */
void shared_leave(struct shared *s);

/* Whether the spans still have somebody who takes them. Mostly two loads and a clock. */
enum shared_state {
	SHARED_ATTENDED,
	SHARED_RETIRED, /* the supervisor has let go of the file: shared_open() a new one */
	SHARED_ADOPTED, /* it is gone, and the ring is ours alone from now on; once */
	SHARED_LOST     /* it seems to be gone: the ring stays as it is, go on with another */
};
enum shared_state shared_look(struct shared *s);

static inline bool shared_is_closed(const struct shared *s)
{
	return atomic_load_explicit(&s->file->use, memory_order_acquire) == SHARED_CLOSED;
}

/* Takes the file away: its ring, which stays mapped, is drained here from now on. */
void shared_unlink(struct shared *s);

/* In a forked child: the parent's file is forgotten; unmapped unless somebody may still be writing
 * there below us. */
void shared_child(struct shared *s, bool may_unmap);

#endif
