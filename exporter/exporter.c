/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/exporter.h"

#include <linux/futex.h>
#include "base/clock.h"
#include "base/config.h"
#include "base/counters.h"
#include "base/raw.h"
#include "base/thread.h"
#include "base/valgrind.h"
#include "exporter/exporter_parts.h"
#include "exporter/metrics_export.h"
#include "exporter/request_metrics.h"
#include "exporter/retry.h"

#define NS_PER_MS 1000000ull
/* How long installing a seccomp filter may wait for the worker to lie down. */
#define PARK_MS 250
/* A thread that maps the shared ring is at it for less, on a busy machine too. */
#define OPENING_NS 100000000

struct exporter exporter;

/* There is something to share or to send, now or later. */
static bool has_work(void)
{
	return exporter_mode() == MODE_ON || metrics_export_is_wanted();
}

/* Something waits to be sent from here, and there is hope that it can be. */
static bool is_owed(void)
{
	return (drain_waiting(&exporter.drain) || metrics_export_waiting()) &&
	       !sink_failing(&exporter.sink);
}

int exporter_init(char **envp)
{
	bool supervised = shared_init(&exporter.shared, &config);
	int err = sink_init(&exporter.sink, &config, envp, &exporter.stop, supervised);
	bool metrics = metrics_export_init(&config, &exporter.sink.resource, envp, &exporter.stop,
					   supervised);

	if (err == -ENOENT && !metrics)
		return 0;
	exporter.max_queue = config.bsp_max_queue;
	exporter.ring_size = ring_size(exporter.max_queue);
	if (err && err != -ENOENT) {
		exporter_set_mode(MODE_UNDELIVERABLE);
		return err;
	}
	if (!err)
		exporter_set_mode(MODE_ON);
	if (supervised)
		atomic_store_explicit(&exporter.way, WAY_OPEN, memory_order_release);
	else if (!metrics && sink_is_undeliverable(&exporter.sink))
		exporter_set_mode(MODE_UNDELIVERABLE);
	else
		return in_process_begin(NULL);
	return 0;
}

/* The ring is there after the first time, but for a thread whose opening we interrupted. */
static void open_ring(void)
{
	const struct timespec limit = { 0, OPENING_NS };
	uint64_t end = clock_monotonic_ns() + OPENING_NS;

	supervised_begin();
	while (exporter_way() == WAY_OPENING && clock_monotonic_ns() < end)
		raw_futex(&exporter.way, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, WAY_OPENING, &limit);
}

/* The ring; the first time one is shared with the supervisor. NULL: not soon enough. */
static struct ring *ring_now(void)
{
	struct ring *r = atomic_load_explicit(&exporter.ring, memory_order_acquire);

	if (r)
		return r;
	open_ring();
	return atomic_load_explicit(&exporter.ring, memory_order_acquire);
}

struct request_metrics *exporter_request_metrics(void)
{
	struct request_metrics *m = request_metrics_wanted();

	if (m || exporter_way() == WAY_IN_PROCESS || exporter_mode() != MODE_ON ||
	    !metrics_export_is_wanted())
		return m;
	open_ring();
	return request_metrics_wanted();
}

bool exporter_begin(struct ring_writer *w)
{
	struct ring *r = exporter_mode() == MODE_ON ? ring_now() : NULL;

	switch (exporter_mode()) {
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
	if (r && ring_begin(w, r, &thread_state.ring_shard, thread_id()) == 0)
		return true;
	if (supervised_holds_back())
		count(spans_dropped_share);
	else
		count(spans_dropped_queue_full);
	return false;
}

void exporter_commit(struct ring_writer *w)
{
	/* Begun before a fork: the parent commits it, and the child's copy of that ring is gone. */
	if (w->ring != atomic_load_explicit(&exporter.ring, memory_order_acquire) &&
	    w->ring != exporter.lost)
		return;
	count(spans_committed);
	if (!ring_commit(w) || atomic_load_explicit(&exporter.filtered, memory_order_relaxed))
		return;
	if (exporter_way() == WAY_SUPERVISED) {
		if (!shared_wake(&exporter.shared))
			ring_call_again(w->ring);
	} else if (worker_state(&exporter.worker) == WORKER_RUNNING) {
		worker_wake(&exporter.worker);
	}
}

void exporter_start(void)
{
	if (!has_work() || atomic_load_explicit(&exporter.filtered, memory_order_relaxed))
		return;
	/* Before anything is answered: what is answered then has a place. */
	if (exporter_way() == WAY_OPEN || exporter_way() == WAY_OPENING)
		open_ring();
	if (exporter_way() == WAY_SUPERVISED)
		supervised_look();
	if (exporter_way() == WAY_IN_PROCESS && has_work() &&
	    worker_state(&exporter.worker) == WORKER_NONE)
		worker_start(&exporter.worker);
}

/* Without a worker the calling thread sends, as far as the time goes. */
static void flush_here(uint64_t deadline_ns)
{
	while (clock_monotonic_ns() < deadline_ns && !sink_failing(&exporter.sink) &&
	       drain_batch(&exporter.drain, deadline_ns) > 0)
		;
	metrics_export_now(&exporter.drain, deadline_ns);
}

/* What is left will not be sent; `end` counts it. */
static void stop_sending(enum mode m, void (*end)(struct drain *d))
{
	metrics_export_end();
	if (exporter_mode() != MODE_ON)
		return;
	exporter_set_mode(m);
	end(&exporter.drain);
}

void exporter_flush(uint32_t timeout_ms, bool final)
{
	uint64_t deadline = clock_monotonic_ns() + timeout_ms * NS_PER_MS;
	enum worker_state worker = worker_state(&exporter.worker);

	/* What is shared is there to be taken, whatever becomes of us. */
	if (exporter_way() != WAY_IN_PROCESS)
		counters_settle();
	if (exporter_way() == WAY_SUPERVISED)
		shared_leave(&exporter.shared);
	if (!has_work() || exporter_way() != WAY_IN_PROCESS)
		return;
	if (timeout_ms && is_owed() && !atomic_load(&exporter.filtered)) {
		if (worker == WORKER_RUNNING || worker == WORKER_STARTING)
			worker_flush(&exporter.worker, deadline);
		else if (worker != WORKER_PARKED && worker != WORKER_LEAVING)
			flush_here(deadline);
	}
	if (!final)
		return;
	stop_sending(MODE_ENDED, drain_end);
	if (on_valgrind()) /* for the program's leaks are looked for */
		worker_end(&exporter.worker, deadline);
}

/* A thread of ours, or none: what nobody will send is counted so. */
static void park_worker(bool every_thread)
{
	enum worker_state worker = worker_state(&exporter.worker);
	bool runs = worker == WORKER_RUNNING || worker == WORKER_STARTING;

	/* A worker that the filter does not reach goes on. */
	if (runs && !every_thread)
		return;
	if (runs) {
		uint64_t now = clock_monotonic_ns();

		if (is_owed())
			worker_flush(&exporter.worker, now + PARK_MS * NS_PER_MS);
		worker_park(&exporter.worker, now + 2 * PARK_MS * NS_PER_MS);
	}
	stop_sending(MODE_UNDELIVERABLE, drain_abandon);
}

void exporter_park(bool every_thread, bool expects_spans)
{
	if (!has_work())
		return;
	if (expects_spans)
		supervised_begin();
	if (exporter_way() == WAY_SUPERVISED)
		supervised_look(); /* nobody does later */
	atomic_store(&exporter.filtered, 1);
	if (exporter_way() == WAY_IN_PROCESS && has_work())
		park_worker(every_thread);
	else if (exporter_way() == WAY_OPEN && exporter_mode() == MODE_ON)
		exporter_set_mode(MODE_UNDELIVERABLE);
}

void exporter_before_main_exit(void)
{
	uint64_t now = clock_monotonic_ns();

	if (!has_work() || exporter_way() != WAY_IN_PROCESS)
		return;
	if (worker_state(&exporter.worker) == WORKER_RUNNING && is_owed())
		worker_flush(&exporter.worker, now + PARK_MS * NS_PER_MS);
	worker_end(&exporter.worker, now + 2 * PARK_MS * NS_PER_MS);
}

static void child_in_process(void)
{
	struct ring *r = atomic_load(&exporter.ring), *next;

	if (!r)
		return;
	atomic_store(&exporter.stop, 0);
	next = in_process_ring(r == exporter.rings[0] ? 1 : 0);
	if (!next) {
		exporter_set_mode(MODE_UNDELIVERABLE);
		return;
	}
	drain_child(&exporter.drain, next);
	metrics_export_child(true);
	if (atomic_load(&exporter.filtered)) /* no worker comes any more */
		metrics_export_end();
	worker_child(&exporter.worker);
	atomic_store_explicit(&exporter.ring, next, memory_order_release);
}

void exporter_child(bool inside)
{
	own_fd_child();
	if (exporter_way() == WAY_IN_PROCESS) {
		child_in_process();
	} else {
		atomic_store(&exporter.ring, NULL);
		exporter.lost = NULL;
		metrics_export_child(false);
		shared_child(&exporter.shared, !inside);
		sink_child(&exporter.sink);
		atomic_store(&exporter.way, WAY_OPEN);
	}
	/* A child of a program that was ending is not ending. */
	if (exporter_mode() == MODE_ENDED)
		exporter_set_mode(MODE_ON);
}

uint32_t exporter_waiting(void)
{
	struct ring *r = atomic_load(&exporter.ring);

	if (!r)
		return 0;
	return exporter_way() == WAY_IN_PROCESS ? drain_waiting(&exporter.drain) : ring_waiting(r);
}

bool exporter_is_shared(void)
{
	return exporter_way() == WAY_SUPERVISED;
}

unsigned exporter_threads(void)
{
	switch (worker_state(&exporter.worker)) {
	case WORKER_STARTING:
	case WORKER_RUNNING:
	case WORKER_PARKED:
	case WORKER_LEAVING:
		return 1;
	default:
		return 0;
	}
}

bool exporter_is_endpoint(struct bytes host, uint16_t port)
{
	return (exporter.sink.to_otlp && transport_owns(&exporter.sink.transport, host, port)) ||
	       (request_metrics_wanted() && metrics_export_owns(host, port));
}
