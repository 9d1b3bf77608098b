/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter with a sink that does what the test says. Takes the place of exporter/sink.c:
 * include it once. */
#ifndef UNIT_FAKE_SINK_H
#define UNIT_FAKE_SINK_H

#include <criterion/criterion.h>
#include <time.h>
#include "base/clock.h"
#include "base/config.h"
#include "base/counters.h"
#include "exporter/drain.h"
#include "exporter/exporter.h"

#define MS 1000000ull

/* ---- the sink ---- */

static struct {
	_Atomic uint32_t taken, calls, largest;
	_Atomic uint32_t hang;   /* exports do not return while it is set (or until stop) */
	_Atomic uint32_t inside; /* an export is running */
	_Atomic uint32_t failing, undeliverable, children, idle;
	_Atomic uint64_t hold_off_ns;
	_Atomic uint32_t rejected;
	_Atomic enum loss loss;
	_Atomic uint32_t concurrent; /* two at once were seen */
	_Atomic uint32_t *stop;
} fake;

int sink_init(struct sink *s, const struct config *c, char **envp, _Atomic uint32_t *stop,
	      bool supervised)
{
	(void)s, (void)c, (void)envp, (void)supervised;
	fake.stop = stop;
	return 0;
}

void sink_fall_back(struct sink *s, const struct config *c)
{
	(void)s, (void)c;
}

bool sink_is_undeliverable(const struct sink *s)
{
	(void)s;
	return fake.undeliverable;
}

static void nap(void)
{
	const struct timespec t = { 0, 1000000 };

	nanosleep(&t, NULL);
}

void sink_export(struct sink *s, const struct batch *b, uint64_t deadline_ns, struct outcome *o)
{
	(void)s;
	fake.concurrent |= atomic_fetch_add(&fake.inside, 1) != 0;
	fake.calls++;
	fake.taken += (uint32_t)b->count;
	if (b->count > fake.largest)
		fake.largest = (uint32_t)b->count;
	while (fake.hang && !*fake.stop && clock_monotonic_ns() < deadline_ns)
		nap();
	*o = (struct outcome){ .loss = *fake.stop ? LOSS_UNDELIVERABLE : fake.loss,
			       .rejected = fake.rejected,
			       .hold_off_ns = fake.hold_off_ns };
	fake.inside--;
}

bool sink_failing(const struct sink *s)
{
	(void)s;
	return fake.failing;
}

void sink_idle(struct sink *s)
{
	(void)s;
	fake.idle++;
}

void sink_child(struct sink *s)
{
	(void)s;
	fake.children++;
}

/* ---- helpers ---- */

static inline void setup(uint32_t delay_ms, uint32_t max_batch)
{
	memset(&fake, 0, sizeof(fake));
	config.bsp_schedule_delay = delay_ms;
	config.bsp_max_batch = max_batch;
	config.bsp_max_queue = 2048;
	config.bsp_export_timeout = 30000;
	config.otlp_timeout = 10000;
	counters_reset();
	cr_assert_eq(exporter_init(NULL), 0);
}

static bool commit_one(void)
{
	struct ring_writer w;

	if (!exporter_begin(&w))
		return false;
	w.record.head->kind = SPAN_SERVER;
	memset(w.record.head->trace_id, 1, 16);
	memset(w.record.head->span_id, 2, 8);
	record_put(&w.record, RECORD_NAME, BYTES("GET"));
	exporter_commit(&w);
	return true;
}

static inline unsigned commit(unsigned n)
{
	unsigned done = 0;

	for (unsigned i = 0; i < n; i++)
		done += commit_one();
	return done;
}

/* Every span below the ring has one cause, or waits. */
static inline uint64_t accounted(void)
{
	return counted(spans_exported) + counted(spans_dropped_rejected) +
	       counted(spans_dropped_response) + counted(spans_dropped_retries) +
	       counted(spans_dropped_exit) + counted(spans_dropped_undeliverable) +
	       counted(spans_dropped_file) + counted(spans_dropped_memory);
}

#define EVENTUALLY(condition)                                        \
	do {                                                         \
		uint64_t until = clock_monotonic_ns() + 5000 * MS;   \
		while (!(condition) && clock_monotonic_ns() < until) \
			nap();                                       \
		cr_expect(condition, "%s", #condition);              \
	} while (0)

#endif
