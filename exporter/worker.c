/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/worker.h"

#include <linux/futex.h>
#include <sys/prctl.h>
#include "base/clock.h"
#include "base/host_errno.h"
#include "base/interrupted.h"
#include "base/log.h"
#include "base/own_fd.h"
#include "base/raw.h"
#include "base/thread.h"
#include "exporter/last_thread.h"
#include "exporter/metrics_export.h"
#include "exporter/retry.h"

#define NS_PER_S  1000000000ull
#define NS_PER_MS 1000000ull
/* After so many periods without a span the worker asks to be woken by the next one, and looks by
 * itself only now and then: a producer may have read the old wake-up level just before. */
#define QUIET_PERIODS 5
#define QUIET_NS      (5 * NS_PER_S)
/* A guest looks this often whether it is alone. */
#define GUEST_NS (NS_PER_S / 10)
/* Another thread exports: a flush that began before there was a worker. */
#define BUSY_NS      10000000
#define PARK_STEP_NS 1000000
/* A flush looks this often whether the export has begun to fail. */
#define FLUSH_STEP_NS 20000000
#define PUT_OFF_NS    (NS_PER_S / 4)

void worker_init(struct worker *w, struct drain *d, uint32_t delay_ms, _Atomic uint32_t *stop)
{
	memset(w, 0, sizeof(*w));
	w->drain = d;
	w->delay_ms = delay_ms;
	w->stop = stop;
}

/* Returns when the word is not `value` any more, at the deadline, or for no reason. */
static void wait_on(_Atomic uint32_t *word, uint32_t value, uint64_t deadline_ns)
{
	uint64_t now = clock_monotonic_ns();
	struct timespec left;

	if (now >= deadline_ns)
		return;
	left.tv_sec = (time_t)((deadline_ns - now) / NS_PER_S);
	left.tv_nsec = (long)((deadline_ns - now) % NS_PER_S);
	raw_futex(word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value,
		  deadline_ns == NO_DEADLINE ? NULL : &left);
}

static void wake_all(_Atomic uint32_t *word)
{
	raw_futex(word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT32_MAX, NULL);
}

/* ---- in the thread ---- */

static bool parking(const struct worker *w)
{
	enum worker_state state = worker_state(w);

	return state == WORKER_PARKED || state == WORKER_LEAVING;
}

static bool flush_wanted(const struct worker *w)
{
	return atomic_load(&w->flush_asked) != atomic_load(&w->flush_done);
}

/* Sleeps for one period, less when the ring calls or a flush is asked for. */
static void wait_for_spans(struct worker *w, bool quiet)
{
	struct ring *r = w->drain->ring;
	_Atomic uint32_t *word = ring_wake_word(r);
	uint64_t delay = w->delay_ms * NS_PER_MS, period = quiet || !delay ? QUIET_NS : delay;
	uint32_t level = quiet || !delay ? 1 : w->drain->max_batch, seen;

	ring_set_wake(r, level);
	seen = atomic_load(word);
	/* What came before the level was set has woken nobody. */
	if (parking(w) || ring_waiting(r) >= level || flush_wanted(w))
		return;
	if (w->guest && period > GUEST_NS)
		period = GUEST_NS;
	wait_on(word, seen, metrics_export_until(clock_monotonic_ns() + period));
}

/* Lets `until` pass; flushes are served in between. */
static void hold_off(struct worker *w, uint64_t until_ns)
{
	_Atomic uint32_t *word = ring_wake_word(w->drain->ring);
	uint32_t seen = atomic_load(word);

	if (!parking(w) && !flush_wanted(w))
		wait_on(word, seen, metrics_export_until(until_ns));
}

/* Exports what waits now (what comes meanwhile makes the next batch), and tells the flushes that
 * were asked for. Returns what drain_batch() said last; *total is how many spans it took. */
static int export_waiting(struct worker *w, uint32_t *total)
{
	uint32_t asked = atomic_load(&w->flush_asked), wanted = drain_waiting(w->drain);
	int n;

	*total = 0;
	do {
		n = drain_batch(w->drain, NO_DEADLINE);
		*total += n > 0 ? (uint32_t)n : 0;
	} while (n > 0 && *total < wanted && !parking(w));
	if (asked != atomic_load(&w->flush_done))
		metrics_export_now(w->drain, NO_DEADLINE);
	else
		metrics_export_due(w->drain, &w->flush_asked, asked);
	atomic_store(&w->flush_done, asked);
	wake_all(&w->flush_done);
	return n;
}

static void idle(struct worker *w)
{
	drain_idle(w->drain);
	metrics_export_idle();
}

static void sleep_for_good(struct worker *w)
{
	for (;;)
		raw_futex(&w->bed, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, NULL);
}

/* Nobody is left whom we could serve, and the process is here for us alone. What happens on this
 * thread from here on is the program's: libc's end of the last thread is exit(0). */
static bool leave_last(struct worker *w)
{
	uint32_t running = WORKER_RUNNING;

	if (!atomic_compare_exchange_strong(&w->state, &running, WORKER_NONE))
		return false;
	thread_leave();
	return true;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	unsigned quiet = 0;

	/* Nothing that is called on this thread is the program's. */
	thread_enter();
	raw_prctl(PR_SET_NAME, (long)"tagalong", 0, 0, 0);
	atomic_store(&w->tid, thread_id());
	/* Where that cannot be, high numbers in the program's table do. A thread that opens no
	 * socket needs none, and standard error is the program's to close or replace. */
	if (!w->guest && (w->drain->sink->to_otlp || metrics_export_is_on()) &&
	    !w->drain->sink->to_console && !log_uses_stderr())
		own_fd_private();
	while (!parking(w)) {
		uint32_t total;
		int n;

		wait_for_spans(w, quiet >= QUIET_PERIODS);
		if (parking(w))
			break;
		n = export_waiting(w, &total);
		if (n == -ESHUTDOWN)
			break;
		if (n == -EAGAIN)
			hold_off(w, atomic_load(&w->drain->hold_off_ns));
		else if (n == -EBUSY)
			hold_off(w, clock_monotonic_ns() + BUSY_NS);
		if (total)
			quiet = 0;
		else if (last_thread_is_this() && leave_last(w))
			return NULL;
		else if (quiet < QUIET_PERIODS && ++quiet == QUIET_PERIODS)
			idle(w);
	}
	if (worker_state(w) != WORKER_LEAVING)
		sleep_for_good(w);
	thread_leave();
	return NULL;
}

/* ---- from outside ---- */

/* pthread_create() takes memory. The handler of a signal may have interrupted a malloc(), whose
 * lock this thread would wait for while it holds it. In a handler we start nothing; but some
 * programs keep the signals that they handle blocked at all times, so we do not wait for ever. */
static bool put_off(struct worker *w)
{
	uint64_t now, until;

	if (!may_have_interrupted())
		return false;
	now = clock_monotonic_ns();
	until = atomic_load_explicit(&w->put_off_until_ns, memory_order_relaxed);
	if (!until) {
		until = now + PUT_OFF_NS;
		atomic_store_explicit(&w->put_off_until_ns, until, memory_order_relaxed);
	}
	return now < until;
}

enum worker_state worker_start(struct worker *w)
{
	uint32_t state = WORKER_NONE;
	int err, before;

	if (put_off(w))
		return worker_state(w);
	if (!atomic_compare_exchange_strong(&w->state, &state, WORKER_STARTING))
		return (enum worker_state)state;
	before = host_errno(); /* libc may say why it did not work; nobody asked */
	err = worker_thread_create(worker_main, w, !w->guest);
	host_errno_set(before);
	if (err)
		log_warn(err == -ENOSYS
				 ? "this program has no threads: spans leave when it ends"
				 : "no thread can be started: spans leave when the program ends");
	state = WORKER_STARTING;
	atomic_compare_exchange_strong(&w->state, &state, err ? WORKER_IMPOSSIBLE : WORKER_RUNNING);
	return worker_state(w);
}

void worker_wake(struct worker *w)
{
	raw_futex(ring_wake_word(w->drain->ring), FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL);
}

void worker_flush(struct worker *w, uint64_t deadline_ns)
{
	uint32_t mine = atomic_fetch_add(&w->flush_asked, 1) + 1, done;

	metrics_export_interrupt();
	atomic_fetch_add(ring_wake_word(w->drain->ring), 1);
	worker_wake(w);
	while ((int32_t)((done = atomic_load(&w->flush_done)) - mine) < 0) {
		uint64_t now = clock_monotonic_ns(), step = now + FLUSH_STEP_NS;

		if (now >= deadline_ns || parking(w) || sink_failing(w->drain->sink))
			return;
		wait_on(&w->flush_done, done, step < deadline_ns ? step : deadline_ns);
	}
}

/* True when the worker was in the kernel, asleep on `bed` with no timeout: it is moved to another
 * word, and the kernel says how many it moved. Nobody wakes that one. */
static bool put_to_sleep(struct worker *w)
{
	return raw_syscall6(SYS_futex, (long)&w->bed, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG, 0, 1,
			    (long)&w->deep_bed, 0) > 0;
}

void worker_park(struct worker *w, uint64_t deadline_ns)
{
	const struct timespec step = { .tv_nsec = PARK_STEP_NS };
	uint32_t before = atomic_exchange(&w->state, WORKER_PARKED);

	if (before != WORKER_RUNNING && before != WORKER_STARTING)
		return;
	atomic_store(w->stop, 1);
	wake_all(w->stop);
	metrics_export_interrupt();
	atomic_fetch_add(ring_wake_word(w->drain->ring), 1);
	worker_wake(w);
	while (!put_to_sleep(w) && clock_monotonic_ns() < deadline_ns)
		raw_nanosleep(&step, NULL);
}

void worker_end(struct worker *w, uint64_t deadline_ns)
{
	const struct timespec step = { .tv_nsec = PARK_STEP_NS };
	uint32_t state = WORKER_RUNNING, tid;

	w->guest = true;
	if (!atomic_compare_exchange_strong(&w->state, &state, WORKER_LEAVING))
		return;
	atomic_store(w->stop, 1);
	wake_all(w->stop);
	metrics_export_interrupt();
	atomic_fetch_add(ring_wake_word(w->drain->ring), 1);
	worker_wake(w);
	while ((tid = atomic_load(&w->tid)) == 0 || raw_tgkill(raw_getpid(), (int)tid, 0) == 0) {
		if (clock_monotonic_ns() >= deadline_ns)
			return; /* on its way; nobody takes its place */
		raw_nanosleep(&step, NULL);
	}
	atomic_store(&w->tid, 0);
	atomic_store(w->stop, 0);
	atomic_store(&w->state, WORKER_NONE);
}

void worker_child(struct worker *w)
{
	struct drain *d = w->drain;
	uint32_t state = worker_state(w);

	/* The filter, and what libc can do, are the same in the child. */
	worker_init(w, d, w->delay_ms, w->stop);
	if (state == WORKER_PARKED || state == WORKER_IMPOSSIBLE)
		atomic_store(&w->state, state);
}
