/* SPDX-License-Identifier: Apache-2.0 */
/* All of a request is built as protobuf-c's structs before it is packed: the numbers move, and what
 * is measured must be what is written. */
#include "exporter/metrics_message.h"

#include "base/arena.h"
#include "base/config.h"
#include "base/grpc.h"
#include "base/guard.h"
#include "base/raw.h"
#include "exporter/json.h"
#include "exporter/metrics_parts.h"
#include "exporter/otlp.h"
#include "exporter/utf8.h"

#define NS_PER_S 1e9

static char schema_url[] = OTLP_SCHEMA_URL, seconds[] = "s";
/* As request_histogram() numbers them. */
static struct {
	char name[32], text[48];
} histograms[REQUEST_HISTOGRAMS] = {
	{ "http.server.request.duration", "How long requests took to be answered." },
	{ "http.client.request.duration", "How long answers to requests took." },
	{ "rpc.server.call.duration", "How long calls took to be answered." },
	{ "rpc.client.call.duration", "How long answers to calls took." },
};

static double bounds_s[REQUEST_BOUNDS] = { 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25,
					   0.5,   0.75, 1,     2.5,  5,     7.5, 10 };

static struct bytes version_text(uint8_t version)
{
	switch (version) {
	case 10:
		return BYTES("1.0");
	case 11:
		return BYTES("1.1");
	case 20:
		return BYTES("2");
	case 30:
		return BYTES("3");
	default:
		return (struct bytes){ NULL, 0 };
	}
}

/* ---- histograms ---- */

static bool put_text(struct scratch *s, struct pairs *p, enum attribute key, struct bytes text)
{
	return !text.n ||
	       pairs_put(s, p, attribute_key(key), message_string(s, text, UTF8_NO_LIMIT));
}

static bool put_number(struct scratch *s, struct pairs *p, enum attribute key, int64_t n)
{
	return !n || pairs_put(s, p, attribute_key(key), message_int(s, n));
}

static struct bytes status_name(uint16_t status)
{
	if (!status || status > GRPC_STATUS_COUNT)
		return (struct bytes){ NULL, 0 };
	return bytes_of(grpc_status_name((enum grpc_status)(status - 1)));
}

static bool put_outcome(struct scratch *s, struct pairs *p, const struct request_key *key)
{
	return put_text(s, p, ATTRIBUTE_ERROR_TYPE, key->text[REQUEST_ERROR]) &&
	       put_text(s, p, ATTRIBUTE_SERVER_ADDRESS, key->text[REQUEST_ADDRESS]) &&
	       put_number(s, p, ATTRIBUTE_SERVER_PORT, key->port);
}

static bool put_http_key(struct scratch *s, struct pairs *p, const struct request_key *key)
{
	return put_text(s, p, ATTRIBUTE_HTTP_REQUEST_METHOD, key->text[REQUEST_METHOD]) &&
	       put_text(s, p, ATTRIBUTE_URL_SCHEME, key->text[REQUEST_SCHEME]) &&
	       put_text(s, p, ATTRIBUTE_HTTP_ROUTE, key->text[REQUEST_ROUTE]) &&
	       put_outcome(s, p, key) &&
	       put_number(s, p, ATTRIBUTE_HTTP_RESPONSE_STATUS_CODE, key->status) &&
	       put_text(s, p, ATTRIBUTE_NETWORK_PROTOCOL_VERSION, version_text(key->version));
}

static bool put_rpc_key(struct scratch *s, struct pairs *p, const struct request_key *key)
{
	return put_text(s, p, ATTRIBUTE_RPC_SYSTEM_NAME, BYTES("grpc")) &&
	       put_text(s, p, ATTRIBUTE_RPC_METHOD, key->text[REQUEST_METHOD]) &&
	       put_outcome(s, p, key) &&
	       put_text(s, p, ATTRIBUTE_RPC_RESPONSE_STATUS_CODE, status_name(key->status));
}

static bool put_key(struct scratch *s, struct pairs *p, const struct request_view *v)
{
	if (v->overflow)
		return pairs_put(s, p, "otel.metric.overflow", message_bool(s, true));
	return v->key.rpc ? put_rpc_key(s, p, &v->key) : put_http_key(s, p, &v->key);
}

/* What came since the last request, or all; false: nothing. */
static bool numbers_of(struct metrics_build *b, const struct request_view *v, uint64_t *buckets,
		       uint64_t *sum_ns)
{
	uint64_t count = 0;

	memcpy(buckets, v->buckets, sizeof(v->buckets));
	*sum_ns = v->sum_ns;
	if (!b->delta_histograms)
		return true;
	memcpy(b->source->past->coming.series[v->number].buckets, v->buckets, sizeof(v->buckets));
	b->source->past->coming.series[v->number].sum_ns = v->sum_ns;
	for (unsigned i = 0; i < REQUEST_BUCKETS; i++) {
		buckets[i] = metrics_since(buckets[i],
					   b->source->past->sent.series[v->number].buckets[i]);
		count += buckets[i];
	}
	*sum_ns = metrics_since(*sum_ns, b->source->past->sent.series[v->number].sum_ns);
	return count != 0;
}

static size_t point_size(const struct request_view *v)
{
	size_t text = 0;

	for (unsigned i = 0; i < REQUEST_TEXTS; i++)
		text += v->key.text[i].n;
	return sizeof(Otlp__HistogramDataPoint) + sizeof(v->buckets) + 64 + text * UTF8_GROWTH +
	       PAIRS_MAX * (MESSAGE_ATTRIBUTE_COST + sizeof(void *));
}

static Otlp__HistogramDataPoint *point_of(struct metrics_build *b, struct scratch *s,
					  const struct request_view *v)
{
	Otlp__HistogramDataPoint *point = scratch_alloc(s, sizeof(*point));
	uint64_t *buckets = scratch_alloc(s, sizeof(v->buckets)), sum_ns;
	struct pairs p = { .list = scratch_alloc(s, PAIRS_MAX * sizeof(void *)) };

	otlp__histogram_data_point__init(point);
	if (!numbers_of(b, v, buckets, &sum_ns))
		return NULL;
	if (!put_key(s, &p, v)) {
		b->failed = true;
		return NULL;
	}
	point->attributes = p.list;
	point->n_attributes = p.n;
	point->start_time_unix_nano = metrics_start(b, b->delta_histograms);
	point->time_unix_nano = b->now_ns;
	point->bucket_counts = buckets;
	point->n_bucket_counts = REQUEST_BUCKETS;
	point->explicit_bounds = bounds_s;
	point->n_explicit_bounds = REQUEST_BOUNDS;
	for (unsigned i = 0; i < REQUEST_BUCKETS; i++)
		point->count += buckets[i];
	point->optional_sum_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM;
	point->sum = (double)sum_ns / NS_PER_S;
	return point;
}

static bool add_point(void *arg, const struct request_view *v)
{
	struct metrics_build *b = arg;
	Otlp__Histogram *h = b->histograms[request_histogram(&v->key)];
	Otlp__HistogramDataPoint *point;
	struct scratch s;

	if (scratch_init(&s, b->arena, point_size(v)) < 0) {
		b->failed = true;
		return false;
	}
	point = point_of(b, &s, v);
	if (point)
		h->data_points[h->n_data_points++] = point;
	return !b->failed;
}

static Otlp__Histogram *empty_histogram(struct metrics_build *b)
{
	Otlp__Histogram *h = metrics_take(b, sizeof(*h));
	Otlp__HistogramDataPoint **points = metrics_take(b, REQUEST_SERIES_ALL * sizeof(void *));

	if (!h || !points)
		return NULL;
	otlp__histogram__init(h);
	h->data_points = points;
	h->aggregation_temporality =
		b->delta_histograms
			? OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_DELTA
			: OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE;
	return h;
}

static void put_requests(struct metrics_build *b)
{
	for (unsigned i = 0; i < REQUEST_HISTOGRAMS; i++)
		b->histograms[i] = empty_histogram(b);
	if (b->failed)
		return;
	request_metrics_each(b->source->requests, add_point, b);
	for (unsigned i = 0; i < REQUEST_HISTOGRAMS && !b->failed; i++) {
		Otlp__Metric *metric;

		if (!b->histograms[i]->n_data_points)
			continue;
		metric = metrics_add(b, histograms[i].name, histograms[i].text, seconds);
		if (!metric)
			return;
		metric->data_case = OTLP__METRIC__DATA_HISTOGRAM;
		metric->histogram = b->histograms[i];
	}
}

/* ---- around them ---- */

static Otlp__Resource *resource_of(struct metrics_build *b)
{
	struct scratch s;
	Otlp__Resource *r = NULL;

	if (resource_scratch(&s, b->arena, b->source->resource) == 0)
		r = resource_message(&s, b->source->resource);
	b->failed = b->failed || !r;
	return r;
}

/* NULL: nothing to tell, or b->failed. */
static Otlp__ResourceMetrics *resource_metrics(struct metrics_build *b)
{
	Otlp__ResourceMetrics *rm = metrics_take(b, sizeof(*rm));
	Otlp__ScopeMetrics *sm = metrics_take(b, sizeof(*sm)),
			   **list = metrics_take(b, sizeof(void *));

	b->metrics = metrics_take(b, METRICS_MAX * sizeof(void *));
	b->count = 0;
	if (b->failed)
		return NULL;
	if (b->source->requests)
		put_requests(b);
	if (b->source->counters)
		metrics_put_counters(b);
	if (b->failed || !b->count)
		return NULL;
	otlp__scope_metrics__init(sm);
	sm->scope = (Otlp__InstrumentationScope *)(uintptr_t)&scope_message;
	sm->metrics = b->metrics;
	sm->n_metrics = b->count;
	sm->schema_url = schema_url;
	*list = sm;
	otlp__resource_metrics__init(rm);
	rm->resource = resource_of(b);
	rm->scope_metrics = list;
	rm->n_scope_metrics = 1;
	rm->schema_url = schema_url;
	return rm;
}

static void pack(struct metrics_build *b, const Otlp__ExportMetricsServiceRequest *request,
		 struct bytes *out)
{
	size_t size;
	uint8_t *bytes;

	if (b->json) {
		b->failed = json_encode_message(b->arena, &request->base, out) != 0;
		return;
	}
	size = otlp__export_metrics_service_request__get_packed_size(request);
	bytes = metrics_take(b, size);
	if (!bytes)
		return;
	otlp__export_metrics_service_request__pack(request, bytes);
	*out = (struct bytes){ (const char *)bytes, size };
}

static int encode(struct metrics_build *b, const struct metrics_source *sources, size_t n,
		  struct bytes *out)
{
	Otlp__ExportMetricsServiceRequest request;

	otlp__export_metrics_service_request__init(&request);
	request.resource_metrics = metrics_take(b, n * sizeof(void *));
	for (size_t i = 0; i < n && !b->failed; i++) {
		struct metrics_past *past = sources[i].past;
		Otlp__ResourceMetrics *rm;

		if (past)
			past->coming = past->sent;
		b->source = &sources[i];
		rm = resource_metrics(b);
		if (rm)
			request.resource_metrics[request.n_resource_metrics++] = rm;
		if (past)
			past->coming.taken_ns = b->now_ns;
	}
	*out = (struct bytes){ NULL, 0 };
	if (request.n_resource_metrics && !b->failed)
		pack(b, &request, out);
	return b->failed ? -ENOMEM : 0;
}

static int encode_guarded(struct metrics_build *b, const struct metrics_source *sources, size_t n,
			  struct bytes *out)
{
	struct guard g;
	int err;

	if (guard_begin(&g))
		return -EFAULT;
	err = encode(b, sources, n, out);
	guard_end();
	return err;
}

/* The counters are looked at now and then, not told of each event: instruments that the preference
 * "lowmemory" has cumulative. */
static struct metrics_build build_of(struct arena *a, uint32_t temporality, uint64_t now_ns)
{
	return (struct metrics_build){
		.arena = a,
		.now_ns = now_ns,
		.delta_histograms = temporality != TEMPORALITY_CUMULATIVE,
		.delta_sums = temporality == TEMPORALITY_DELTA,
	};
}

int metrics_encode(struct arena *a, const struct metrics_source *sources, size_t n,
		   uint32_t temporality, uint64_t now_ns, struct bytes *out)
{
	struct metrics_build b = build_of(a, temporality, now_ns);

	return encode_guarded(&b, sources, n, out);
}

int metrics_encode_json(struct arena *a, const struct metrics_source *sources, size_t n,
			uint32_t temporality, uint64_t now_ns, struct bytes *out)
{
	struct metrics_build b = build_of(a, temporality, now_ns);

	b.json = true;
	return encode_guarded(&b, sources, n, out);
}

void metrics_sent(const struct metrics_source *sources, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (sources[i].past)
			sources[i].past->sent = sources[i].past->coming;
}
