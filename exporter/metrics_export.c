/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/metrics_export.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "base/raw.h"
#include "base/thread.h"
#include "exporter/metrics_message.h"
#include "exporter/retry.h"

#define NS_PER_MS  1000000ull
#define ENCODE_MAX (8u << 20)
/* Spans wait meanwhile: also with no limit asked for this is one. */
#define EXPORT_MAX_NS (30000 * NS_PER_MS)

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

static struct metrics {
	bool wanted; /* by the configuration, and possible */
	_Atomic bool ended, on;
	_Atomic uint32_t owner; /* the thread in metrics_export_run(); taken by try only */
	/* Ends the waits of this transport alone: somebody waits for the spans behind it. */
	_Atomic uint32_t stop;
	const _Atomic uint32_t *stop_all;
	struct resource *resource;
	struct arena arena;
	/* A child of fork takes the one its parent did not use, see exporter.c. */
	struct request_metrics *tables[2];
	unsigned current;
	struct metrics_past *past; /* mapped when numbers are sent as differences */
	uint32_t temporality, timeout, export_timeout;
	uint64_t interval_ns, start_ns;
	_Atomic uint64_t next_ns; /* monotonic */
	_Atomic uint64_t sent;    /* requests that had been counted at the last export */
	/* The last: large, and untouched (not resident) unless metrics are asked for. */
	struct transport transport;
} metrics;

static void *map(size_t size)
{
	void *p = raw_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return raw_is_error(p) ? NULL : p;
}

/* Maps the current table, or empties the one that is there. */
static struct request_metrics *fresh_table(void)
{
	size_t size = request_metrics_size();
	void *p = metrics.tables[metrics.current];

	if (p && raw_madvise(p, size, MADV_DONTNEED) < 0)
		return NULL;
	if (!p) {
		p = map(size);
		/* A child need not copy what it will not read. */
		if (p)
			raw_madvise(p, size, MADV_WIPEONFORK);
	}
	metrics.tables[metrics.current] = p;
	return p;
}

/* From now on; NULL: nowhere. */
static void count_into(struct request_metrics *m, uint64_t since_ns)
{
	metrics.start_ns = since_ns;
	atomic_store(&metrics.sent, 0);
	atomic_store_explicit(&request_metrics_now, m, memory_order_release);
}

static void send_from_here(void)
{
	atomic_store(&metrics.next_ns, clock_monotonic_ns() + metrics.interval_ns);
	atomic_store(&metrics.on, true);
}

bool metrics_export_init(const struct config *c, struct resource *r, char **envp,
			 const _Atomic uint32_t *stop, bool supervised)
{
	memset(&metrics, 0, offsetof(struct metrics, transport));
	count_into(NULL, 0);
	if (!(c->metrics_exporter & EXPORTER_OTLP))
		return false;
	transport_init_metrics(&metrics.transport, c, &metrics.stop, supervised);
	if (metrics.transport.endpoint.trouble && !supervised)
		return false;
	metrics.stop_all = stop;
	metrics.temporality = c->otlp_metrics_temporality;
	metrics.timeout = c->metrics_otlp_timeout;
	metrics.export_timeout = c->metric_timeout;
	metrics.interval_ns = c->metric_interval * NS_PER_MS;
	metrics.resource = r;
	if (!r->count)
		resource_detect(r, envp);
	metrics.wanted = arena_init(&metrics.arena, ENCODE_MAX) == 0;
	return metrics.wanted;
}

bool metrics_export_is_wanted(void)
{
	return metrics.wanted && !atomic_load_explicit(&metrics.ended, memory_order_relaxed);
}

void metrics_export_begin(void)
{
	if (!metrics_export_is_wanted())
		return;
	if (metrics.transport.endpoint.trouble) {
		log_warn("metrics cannot be sent from here: %s",
			 metrics.transport.endpoint.trouble);
		metrics_export_end();
		return;
	}
	if (metrics.temporality != TEMPORALITY_CUMULATIVE && !metrics.past)
		metrics.past = map(sizeof(*metrics.past));
	if (!request_metrics_wanted())
		count_into(fresh_table(), clock_realtime_ns());
	if (metrics.temporality != TEMPORALITY_CUMULATIVE && !metrics.past)
		metrics_export_end();
	else if (request_metrics_wanted())
		send_from_here();
}

void metrics_export_share(struct request_metrics *m, uint64_t since_ns)
{
	count_into(m, since_ns);
}

bool metrics_export_is_on(void)
{
	return atomic_load_explicit(&metrics.on, memory_order_relaxed);
}

uint64_t metrics_export_until(uint64_t deadline_ns)
{
	uint64_t next = atomic_load_explicit(&metrics.next_ns, memory_order_relaxed);

	return metrics_export_is_on() && next < deadline_ns ? next : deadline_ns;
}

/* ---- what is told ---- */

static const char *span_exporter(const struct sink *s)
{
	if (s->to_otlp)
		return "otlp_http_span_exporter";
	if (s->to_file)
		return "otlp_file_span_exporter";
	return s->to_console ? "console_span_exporter" : NULL;
}

static struct metrics_source source_of(const struct drain *d)
{
	uint32_t inflight = atomic_load(&d->flight) & ~(DRAIN_ENDED | DRAIN_SETTLING);
	uint32_t waiting = drain_waiting(d);
	struct metrics_source source = {
		.resource = metrics.resource,
		.requests = request_metrics_wanted(),
		.counters = atomic_load_explicit(&counters_place, memory_order_relaxed),
		.past = metrics.past,
		.start_ns = metrics.start_ns,
		.exporter = span_exporter(d->sink),
		.queue_size = waiting > inflight ? waiting - inflight : 0,
		.queue_capacity = config.bsp_max_queue,
		.inflight = inflight,
	};

	if (d->sink->to_otlp) {
		source.server = bytes_of(d->sink->transport.endpoint.host);
		source.port = d->sink->transport.endpoint.port;
	}
	return source;
}

static bool add_count(void *arg, const struct request_view *v)
{
	*(uint64_t *)arg += v->count;
	return true;
}

static uint64_t requests_counted(void)
{
	const struct request_metrics *m = request_metrics_wanted();
	uint64_t n = 0;

	if (m)
		request_metrics_each(m, add_count, &n);
	return n;
}

/* ---- sending ---- */

static bool stopped(void)
{
	return atomic_load(metrics.stop_all) != 0;
}

static void tell(const struct drain *d, uint64_t deadline_ns)
{
	uint64_t limit =
		retry_deadline(clock_monotonic_ns(), metrics.timeout, metrics.export_timeout);
	struct metrics_source source = source_of(d);
	struct outcome o = { .loss = LOSS_NONE };
	uint64_t counted_before = requests_counted(), next;
	struct bytes request;
	int err = metrics_encode(&metrics.arena, &source, 1, metrics.temporality,
				 clock_realtime_ns(), &request);

	if (err)
		o.loss = LOSS_MEMORY;
	else if (request.n)
		transport_try(&metrics.transport, request,
			      limit < deadline_ns ? limit : deadline_ns, &o);
	arena_reset(&metrics.arena);
	if (err || request.n)
		count(metric_exports);
	if (o.loss != LOSS_NONE) {
		count(metric_export_failures);
	} else {
		metrics_sent(&source, 1);
		atomic_store(&metrics.sent, counted_before);
	}
	next = atomic_load(&metrics.next_ns);
	if (o.hold_off_ns > next)
		atomic_store(&metrics.next_ns, o.hold_off_ns);
}

/* Missed ones are not made up for. */
static void schedule(uint64_t now)
{
	uint64_t next = atomic_load(&metrics.next_ns);

	if (now < next)
		return;
	next += metrics.interval_ns;
	atomic_store(&metrics.next_ns, next > now ? next : now + metrics.interval_ns);
}

static bool take(void)
{
	uint32_t nobody = 0;

	if (!atomic_compare_exchange_strong(&metrics.owner, &nobody, thread_id()))
		return false;
	atomic_store(&metrics.stop, 0);
	return true;
}

static void let_go(void)
{
	atomic_store(&metrics.owner, 0);
}

void metrics_export_due(const struct drain *d, const _Atomic uint32_t *asked, uint32_t seen)
{
	uint64_t now = clock_monotonic_ns();

	if (!metrics_export_is_on() || now < atomic_load(&metrics.next_ns) || !take())
		return;
	schedule(now);
	/* Who asks after this look finds an owner, and sets its word. */
	if (atomic_load(asked) == seen && !stopped())
		tell(d, now + EXPORT_MAX_NS);
	let_go();
}

void metrics_export_now(const struct drain *d, uint64_t deadline_ns)
{
	uint64_t now = clock_monotonic_ns();

	if (!metrics_export_is_on() || !take())
		return;
	if (!stopped())
		tell(d, deadline_ns < now + EXPORT_MAX_NS ? deadline_ns : now + EXPORT_MAX_NS);
	let_go();
}

bool metrics_export_waiting(void)
{
	return metrics_export_is_on() && !transport_failing(&metrics.transport) &&
	       requests_counted() != atomic_load(&metrics.sent);
}

void metrics_export_interrupt(void)
{
	if (!atomic_load(&metrics.owner))
		return;
	atomic_store(&metrics.stop, 1);
	raw_futex(&metrics.stop, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT32_MAX, NULL);
}

void metrics_export_idle(void)
{
	if (!metrics_export_is_on() || !take())
		return;
	arena_free(&metrics.arena);
	transport_idle(&metrics.transport);
	let_go();
}

void metrics_export_end(void)
{
	atomic_store(&metrics.ended, true);
	atomic_store(&metrics.on, false);
	atomic_store_explicit(&request_metrics_now, NULL, memory_order_release);
}

void metrics_export_child(bool own)
{
	if (!metrics.wanted)
		return;
	atomic_store(&metrics.ended, false);
	atomic_store(&metrics.on, false);
	atomic_store(&metrics.owner, 0);
	atomic_store(&metrics.stop, 0);
	arena_free(&metrics.arena);
	transport_child(&metrics.transport);
	if (metrics.past)
		memset(metrics.past, 0, sizeof(*metrics.past));
	metrics.current ^= 1;
	count_into(own ? fresh_table() : NULL, clock_realtime_ns());
	if (request_metrics_wanted())
		send_from_here();
}

bool metrics_export_owns(struct bytes host, uint16_t port)
{
	return metrics.wanted && transport_owns(&metrics.transport, host, port);
}
