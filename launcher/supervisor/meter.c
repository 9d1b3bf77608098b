/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/supervisor/meter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "exporter/curl/curl_transport.h"
#include "exporter/metrics_message.h"
#include "exporter/retry.h"
#include "exporter/ring_layout.h"
#include "launcher/supervisor/fault.h"

#define NS_PER_MS  1000000ull
#define ENCODE_MAX (64u << 20)         /* thousands of processes */
#define SOON_NS    1000000000ull       /* after the last export, for a process that has ended */
#define PATIENCE   (10 * SOON_NS)      /* then it goes, told about or not */
#define SENDING_NS (30000 * NS_PER_MS) /* one export, where no limit is set */

struct meter {
	struct source *const *sources;
	pthread_mutex_t *lock; /* of the list */
	struct curl_transport *transport;
	_Atomic uint32_t stop; /* ends the transport's waits */
	struct arena arena;
	struct resource own; /* of this process */
	struct metrics_past *own_past;
	uint64_t start_ns; /* since 1970 */
	uint64_t interval_ns;
	pthread_t thread;
	/* Under `turn`. */
	pthread_mutex_t turn;
	pthread_cond_t changed;
	uint64_t next_ns, last_ns, deadline_ns;
	bool ending;
};

/* ---- what is told ---- */

/* Copies of what processes may change meanwhile. */
struct copy {
	struct source *from; /* NULL: ourselves */
	struct owner *owner;
	struct counters counters;
	struct request_metrics *requests;
};

struct telling {
	struct metrics_source *sources;
	struct copy *copies;
	size_t count, room;
};

static int copy_numbers(void *arg)
{
	struct copy *c = arg;
	struct source *s = c->from;

	counters_add(&c->counters, &s->file->counters);
	if (c->requests)
		memcpy(c->requests, s->metrics, request_metrics_size());
	if (!ring_check(s->ring, s->ring_size))
		return -EFAULT;
	return (int)(ring_waiting(s->ring) & INT32_MAX);
}

static void copy_source(struct telling *t, struct source *s)
{
	struct copy *c = &t->copies[t->count];
	struct metrics_source *m = &t->sources[t->count];
	struct geometry g = { .max_queue = 0 };
	uint64_t committed;
	int waiting;

	*c = (struct copy){ .from = s, .owner = s->owner };
	c->requests = s->metrics ? malloc(request_metrics_size()) : NULL;
	waiting = fault_guard(copy_numbers, c);
	if (waiting < 0) {
		free(c->requests);
		return;
	}
	if (!s->past && config.otlp_metrics_temporality != TEMPORALITY_CUMULATIVE)
		s->past = calloc(1, sizeof(*s->past));
	ring_read_geometry(s->ring, &g);
	/* What left its ring has been handed on. */
	committed = atomic_load(&c->counters.spans_committed);
	atomic_store(&c->counters.spans_processed,
		     committed > (unsigned)waiting ? committed - (unsigned)waiting : 0);
	*m = (struct metrics_source){ .resource = &s->owner->resource,
				      .requests = c->requests,
				      .counters = &c->counters,
				      .past = s->past,
				      .start_ns = s->since_ns,
				      .hands_on = true,
				      .queue_size = (uint32_t)waiting,
				      .queue_capacity = g.max_queue };
	s->telling = true;
	atomic_fetch_add(&s->owner->references, 1);
	t->count++;
}

static const char *own_exporter(void)
{
	if (!(config.traces_exporter & EXPORTER_OTLP) || *config.traces_file)
		return *config.traces_file ? "otlp_file_span_exporter" : "console_span_exporter";
	if (config.otlp_protocol == OTLP_GRPC)
		return "otlp_grpc_span_exporter";
	return config.otlp_protocol == OTLP_HTTP_JSON ? "otlp_http_json_span_exporter"
						      : "otlp_http_span_exporter";
}

/* Of our own counters only what we do ourselves: the rest is what ended processes had counted. */
static void copy_own(struct meter *m, struct telling *t)
{
	struct copy *c = &t->copies[t->count];

	*c = (struct copy){ .from = NULL };
	counters_add(&c->counters, atomic_load(&counters_place));
	atomic_store(&c->counters.spans_started_root, 0);
	atomic_store(&c->counters.spans_started_local, 0);
	atomic_store(&c->counters.spans_started_remote, 0);
	atomic_store(&c->counters.spans_unsampled_root, 0);
	atomic_store(&c->counters.spans_unsampled_local, 0);
	atomic_store(&c->counters.spans_unsampled_remote, 0);
	atomic_store(&c->counters.spans_dropped_queue_full, 0);
	atomic_store(&c->counters.spans_dropped_share, 0);
	t->sources[t->count++] = (struct metrics_source){ .resource = &m->own,
							  .counters = &c->counters,
							  .past = m->own_past,
							  .start_ns = m->start_ns,
							  .exporter = own_exporter() };
}

static bool copy_all(struct meter *m, struct telling *t)
{
	*t = (struct telling){ .room = 1 };
	pthread_mutex_lock(m->lock);
	for (const struct source *s = *m->sources; s; s = s->next)
		t->room++;
	t->sources = calloc(t->room, sizeof(*t->sources));
	t->copies = calloc(t->room, sizeof(*t->copies));
	for (struct source *s = *m->sources; t->sources && t->copies && s; s = s->next)
		copy_source(t, s);
	pthread_mutex_unlock(m->lock);
	if (t->sources && t->copies)
		copy_own(m, t);
	return t->count != 0;
}

static void let_go(struct meter *m, struct telling *t, bool arrived)
{
	pthread_mutex_lock(m->lock);
	if (arrived)
		metrics_sent(t->sources, t->count);
	for (size_t i = 0; i < t->count; i++) {
		struct source *s = t->copies[i].from;

		if (!s)
			continue;
		s->telling = false;
		s->told = s->leaving_ns && arrived;
	}
	pthread_mutex_unlock(m->lock);
	for (size_t i = 0; i < t->count; i++) {
		free(t->copies[i].requests);
		owner_put(t->copies[i].owner);
	}
	free(t->sources);
	free(t->copies);
}

static bool send_request(struct meter *m, struct bytes body, size_t items, uint64_t deadline_ns)
{
	const struct payload p = { OTLP_METRICS, curl_transport_encoding(m->transport),
				   (uint32_t)items, body };
	struct outcome o = { .loss = LOSS_NONE };
	uint64_t asked_ms, now = clock_monotonic_ns();
	uint64_t limit = retry_deadline(now, config.metrics_otlp_timeout, config.metric_timeout);

	limit = limit < now + SENDING_NS ? limit : now + SENDING_NS;
	count(metric_exports);
	if (curl_transport_attempt(m->transport, &p, limit < deadline_ns ? limit : deadline_ns, &o,
				   &asked_ms) &&
	    o.loss == LOSS_NONE)
		return true;
	count(metric_export_failures);
	return false;
}

static int encode(struct meter *m, const struct telling *t, struct bytes *out)
{
	const bool json = curl_transport_encoding(m->transport) == OTLP_JSON;

	return (json ? metrics_encode_json : metrics_encode)(&m->arena, t->sources, t->count,
							     config.otlp_metrics_temporality,
							     clock_realtime_ns(), out);
}

static void tell(struct meter *m, uint64_t deadline_ns)
{
	struct telling t;
	struct bytes request = { NULL, 0 };
	bool arrived = false;

	if (copy_all(m, &t) && encode(m, &t, &request) == 0)
		arrived = !request.n || send_request(m, request, t.count, deadline_ns);
	arena_reset(&m->arena);
	let_go(m, &t, arrived);
}

/* ---- when ---- */

static struct timespec as_timespec(uint64_t ns)
{
	return (struct timespec){ (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
}

/* Returns when it is time; false: for the last time. */
static bool wait_for_turn(struct meter *m, uint64_t *deadline_ns)
{
	bool ending;

	pthread_mutex_lock(&m->turn);
	while (!m->ending && clock_monotonic_ns() < m->next_ns) {
		struct timespec at = as_timespec(m->next_ns);

		pthread_cond_timedwait(&m->changed, &m->turn, &at);
	}
	m->last_ns = clock_monotonic_ns();
	m->next_ns = m->last_ns + m->interval_ns;
	*deadline_ns = m->deadline_ns;
	ending = m->ending;
	pthread_mutex_unlock(&m->turn);
	return !ending;
}

static void *meter_main(void *arg)
{
	struct meter *m = arg;
	uint64_t deadline_ns;
	bool again;

	do {
		again = wait_for_turn(m, &deadline_ns);
		tell(m, deadline_ns);
	} while (again);
	return NULL;
}

static void soon(struct meter *m)
{
	pthread_mutex_lock(&m->turn);
	if (m->last_ns + SOON_NS < m->next_ns) {
		m->next_ns = m->last_ns + SOON_NS;
		pthread_cond_broadcast(&m->changed);
	}
	pthread_mutex_unlock(&m->turn);
}

bool meter_lets_go(struct meter *m, struct source *s)
{
	uint64_t now = clock_monotonic_ns();

	if (!m || (s->told && !s->telling))
		return true;
	if (!s->leaving_ns) {
		s->leaving_ns = now;
		soon(m);
	}
	if (s->telling)
		return false;
	soon(m);
	return now - s->leaving_ns > PATIENCE;
}

/* ---- start and end ---- */

static void warn(void *arg, const char *message)
{
	(void)arg;
	count(warnings);
	log_warn("%s", message);
}

static void meter_free(struct meter *m)
{
	curl_transport_free(m->transport);
	arena_free(&m->arena);
	free(m->own_past);
	free(m);
}

static void init_turn(struct meter *m)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&m->turn, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&m->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	m->last_ns = clock_monotonic_ns();
	m->next_ns = m->last_ns + m->interval_ns;
	m->deadline_ns = UINT64_MAX;
}

struct meter *meter_start(struct source *const *sources, pthread_mutex_t *lock)
{
	struct meter *m;

	if (!(config.metrics_exporter & EXPORTER_OTLP))
		return NULL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->sources = sources;
	m->lock = lock;
	m->interval_ns = config.metric_interval * NS_PER_MS;
	m->start_ns = clock_realtime_ns();
	resource_detect(&m->own, environ);
	if (config.otlp_metrics_temporality != TEMPORALITY_CUMULATIVE)
		m->own_past = calloc(1, sizeof(*m->own_past));
	init_turn(m);
	m->transport = curl_transport_new(&config, OTLP_METRICS, &m->stop, warn, NULL);
	if (m->transport && arena_init(&m->arena, ENCODE_MAX) == 0 &&
	    pthread_create(&m->thread, NULL, meter_main, m) == 0)
		return m;
	if (m->transport)
		meter_free(m);
	else
		free(m);
	log_warn("metrics cannot be sent: there is no memory for it");
	return NULL;
}

void meter_end(struct meter *m, uint64_t deadline_ns)
{
	struct timespec at = as_timespec(deadline_ns);

	if (!m)
		return;
	pthread_mutex_lock(&m->turn);
	m->ending = true;
	m->deadline_ns = deadline_ns;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->turn);
	/* An export that hangs is of before the deadline was known. */
	if (pthread_clockjoin_np(m->thread, NULL, CLOCK_MONOTONIC, &at) != 0) {
		atomic_store(&m->stop, 1);
		pthread_join(m->thread, NULL);
	}
	meter_free(m);
}
