/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/exporter.h"

#include <sys/mman.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "base/raw.h"
#include "base/thread.h"
#include "exporter/retry.h"
#include "exporter/worker.h"

#define NS_PER_MS 1000000ull
/* How long installing a seccomp filter may wait for the worker to lie down. */
#define PARK_MS 250

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

/* What becomes of a span that ends now. */
enum mode {
	MODE_OFF, /* not started, or nobody wants spans */
	MODE_ON,
	MODE_UNDELIVERABLE, /* counted and gone */
	MODE_ENDED          /* the program's end has begun */
};

static struct {
	_Atomic uint32_t mode; /* enum mode */
	_Atomic(struct ring *) ring;
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
} exporter;

static enum mode mode(void)
{
	return (enum mode)atomic_load_explicit(&exporter.mode, memory_order_relaxed);
}

static void set_mode(enum mode m)
{
	atomic_store_explicit(&exporter.mode, m, memory_order_release);
}

/* Maps ring `i`, or empties the one that is there. */
static struct ring *fresh_ring(unsigned i)
{
	void *p = exporter.rings[i];

	if (p && raw_madvise(p, exporter.ring_size, MADV_DONTNEED) < 0)
		return NULL;
	if (!p) {
		p = raw_mmap(NULL, exporter.ring_size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (raw_is_error(p))
			return NULL;
		/* A child need not copy what it will not read. */
		raw_madvise(p, exporter.ring_size, MADV_WIPEONFORK);
	}
	exporter.rings[i] = p;
	ring_format(p, exporter.max_queue);
	return p;
}

int exporter_init(char **envp)
{
	struct ring *r;
	int err = sink_init(&exporter.sink, &config, envp, &exporter.stop);

	if (err == -ENOENT)
		return 0;
	if (err || sink_is_undeliverable(&exporter.sink)) {
		set_mode(MODE_UNDELIVERABLE);
		return err;
	}
	exporter.max_queue = config.bsp_max_queue;
	exporter.ring_size = ring_size(exporter.max_queue);
	r = fresh_ring(0);
	err = r ? drain_init(&exporter.drain, r, &exporter.sink, &config) : -ENOMEM;
	if (err) {
		set_mode(MODE_UNDELIVERABLE);
		return err;
	}
	worker_init(&exporter.worker, &exporter.drain, config.bsp_schedule_delay, &exporter.stop);
	atomic_store_explicit(&exporter.ring, r, memory_order_release);
	set_mode(MODE_ON);
	return 0;
}

bool exporter_begin(struct ring_writer *w)
{
	struct ring *r = atomic_load_explicit(&exporter.ring, memory_order_acquire);

	switch (mode()) {
	case MODE_OFF:
		return false;
	case MODE_ON:
		break;
	case MODE_UNDELIVERABLE:
		count(spans_committed);
		count(spans_dropped_undeliverable);
		return false;
	case MODE_ENDED:
		count(spans_committed);
		count(spans_dropped_exit);
		return false;
	}
	if (ring_begin(w, r, &thread_state.ring_shard, thread_id()) == 0)
		return true;
	count(spans_dropped_queue_full);
	return false;
}

void exporter_commit(struct ring_writer *w)
{
	/* Begun before a fork: the parent commits it, and the child's copy of that ring is gone. */
	if (w->ring != atomic_load_explicit(&exporter.ring, memory_order_acquire))
		return;
	count(spans_committed);
	if (ring_commit(w) && !atomic_load_explicit(&exporter.filtered, memory_order_relaxed) &&
	    worker_state(&exporter.worker) == WORKER_RUNNING)
		worker_wake(&exporter.worker);
}

void exporter_start(void)
{
	if (mode() != MODE_ON || worker_state(&exporter.worker) != WORKER_NONE ||
	    atomic_load_explicit(&exporter.filtered, memory_order_relaxed))
		return;
	worker_start(&exporter.worker);
}

/* Without a worker the calling thread sends, as far as the time goes. */
static void flush_here(uint64_t deadline_ns)
{
	while (clock_monotonic_ns() < deadline_ns && !sink_failing(&exporter.sink) &&
	       drain_batch(&exporter.drain, deadline_ns) > 0)
		;
}

void exporter_flush(uint32_t timeout_ms, bool final)
{
	uint64_t deadline = clock_monotonic_ns() + timeout_ms * NS_PER_MS;
	enum worker_state worker = worker_state(&exporter.worker);

	if (mode() != MODE_ON)
		return;
	if (timeout_ms && drain_waiting(&exporter.drain) && !sink_failing(&exporter.sink) &&
	    !atomic_load(&exporter.filtered)) {
		if (worker == WORKER_RUNNING || worker == WORKER_STARTING)
			worker_flush(&exporter.worker, deadline);
		else if (worker != WORKER_PARKED && worker != WORKER_LEAVING)
			flush_here(deadline);
	}
	if (!final)
		return;
	set_mode(MODE_ENDED);
	drain_end(&exporter.drain);
}

void exporter_park(bool every_thread)
{
	enum worker_state worker = worker_state(&exporter.worker);
	bool runs = worker == WORKER_RUNNING || worker == WORKER_STARTING;

	if (mode() != MODE_ON)
		return;
	atomic_store(&exporter.filtered, 1);
	/* A worker that the filter does not reach goes on; what nobody will send is counted so. */
	if (runs && !every_thread)
		return;
	if (runs) {
		uint64_t now = clock_monotonic_ns();

		if (drain_waiting(&exporter.drain) && !sink_failing(&exporter.sink))
			worker_flush(&exporter.worker, now + PARK_MS * NS_PER_MS);
		worker_park(&exporter.worker, now + 2 * PARK_MS * NS_PER_MS);
	}
	set_mode(MODE_UNDELIVERABLE);
	drain_abandon(&exporter.drain);
}

void exporter_before_main_exit(void)
{
	uint64_t now = clock_monotonic_ns();

	if (mode() != MODE_ON)
		return;
	if (worker_state(&exporter.worker) == WORKER_RUNNING && drain_waiting(&exporter.drain) &&
	    !sink_failing(&exporter.sink))
		worker_flush(&exporter.worker, now + PARK_MS * NS_PER_MS);
	worker_end(&exporter.worker, now + 2 * PARK_MS * NS_PER_MS);
}

void exporter_child(void)
{
	struct ring *r = atomic_load(&exporter.ring), *next;

	own_fd_child();
	if (!r)
		return;
	atomic_store(&exporter.stop, 0);
	next = fresh_ring(r == exporter.rings[0] ? 1 : 0);
	if (!next) {
		set_mode(MODE_UNDELIVERABLE);
		return;
	}
	drain_child(&exporter.drain, next);
	worker_child(&exporter.worker);
	atomic_store_explicit(&exporter.ring, next, memory_order_release);
	/* A child of a program that was ending is not ending. */
	if (mode() == MODE_ENDED)
		set_mode(MODE_ON);
}

uint32_t exporter_waiting(void)
{
	return atomic_load(&exporter.ring) ? drain_waiting(&exporter.drain) : 0;
}

bool exporter_is_endpoint(struct bytes host, uint16_t port)
{
	return exporter.sink.to_otlp && transport_owns(&exporter.sink.transport, host, port);
}
