/* SPDX-License-Identifier: Apache-2.0 */
/* The one thread: takes batches to the sink as the batch span processor of the OpenTelemetry SDK
 * specification does, on a schedule or when enough spans wait. */
#ifndef EXPORTER_WORKER_H
#define EXPORTER_WORKER_H

#include "exporter/drain.h"

enum worker_state {
	WORKER_NONE,
	WORKER_STARTING,
	WORKER_RUNNING,
	WORKER_IMPOSSIBLE, /* no pthread_create, or it failed */
	WORKER_PARKED,     /* a seccomp filter is there: it sleeps for good */
	WORKER_LEAVING     /* the main thread ends: it ends too, and may be started again */
};

struct worker {
	struct drain *drain;
	uint32_t delay_ms;
	_Atomic uint32_t state;            /* enum worker_state */
	_Atomic uint32_t *stop;            /* ends all waits of the transport; a futex */
	_Atomic uint32_t bed;              /* where a parked worker sleeps */
	_Atomic uint32_t deep_bed;         /* where it is moved to, see worker_park() */
	_Atomic uint32_t tid;              /* of the thread, once it runs */
	_Atomic uint64_t put_off_until_ns; /* 0: not put off yet */
	bool guest; /* the main thread has gone: the last one of the program may end the process */
	_Atomic uint32_t flush_asked; /* counts requests */
	_Atomic uint32_t flush_done;  /* the last request that was served; a futex */
};

/* stop: the word the sink was made with. */
void worker_init(struct worker *w, struct drain *d, uint32_t delay_ms, _Atomic uint32_t *stop);

/* Starts the thread, the first time; not where a signal handler may have interrupted the program
 * with a lock that this takes, until a quarter of a second after the first try. The state then. */
enum worker_state worker_start(struct worker *w);

static inline enum worker_state worker_state(const struct worker *w)
{
	return (enum worker_state)atomic_load_explicit(&w->state, memory_order_acquire);
}

/* Wakes the worker: enough spans wait. */
void worker_wake(struct worker *w);

/* Has all that waits exported, and waits for that until the deadline. Async-signal-safe. */
void worker_flush(struct worker *w, uint64_t deadline_ns);

/* Returns when the worker sleeps in the kernel and will not come back, or at the deadline. */
void worker_park(struct worker *w, uint64_t deadline_ns);

/* Ends the thread, waiting for that until the deadline. One that is started afterwards is a guest:
 * it ends when it is the last of the process, and libc may then run the program's exit handlers on
 * it; so it shares the program's descriptors and has a stack of the usual size. */
void worker_end(struct worker *w, uint64_t deadline_ns);

/* In a new process, where there is no thread. */
void worker_child(struct worker *w);

/* worker_thread.c: a detached thread with a small stack if that is asked for, and all signals
 * blocked, by the program's own libc. 0, -ENOSYS when it has no threads, or what pthread_create()
 * said, negative. */
int worker_thread_create(void *(*run)(void *), void *arg, bool small);

#endif
