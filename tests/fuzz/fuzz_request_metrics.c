/* SPDX-License-Identifier: Apache-2.0 */
/* A table of requests and counters as a hostile process may leave them: the reader stays inside,
 * and what is made of them is well-formed: protobuf-c reads it back, every histogram adds up.
 * Writing into such a table stays inside it too. */
#include <stdlib.h>
#include "base/arena.h"
#include "base/config.h"
#include "exporter/metrics_message.h"
#include "exporter/otlp.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct arena arena;
static struct resource resource;

static void must(bool true_always)
{
	if (!true_always)
		abort();
}

/* The input, over and over. */
static void *filled(size_t n, const uint8_t *data, size_t size)
{
	char *p = aligned_alloc(64, (n + 63) & ~(size_t)63);

	memset(p, 0, n);
	for (size_t at = 0; size && at < n; at += size)
		memcpy(p + at, data, size < n - at ? size : n - at);
	return p;
}

static void check_histogram(const Otlp__Histogram *h)
{
	must(h->n_data_points > 0 && h->n_data_points <= REQUEST_SERIES_ALL);
	for (size_t i = 0; i < h->n_data_points; i++) {
		const Otlp__HistogramDataPoint *point = h->data_points[i];
		uint64_t count = 0;

		must(point->n_bucket_counts == point->n_explicit_bounds + 1);
		for (size_t k = 0; k < point->n_bucket_counts; k++)
			count += point->bucket_counts[k];
		must(count == point->count);
	}
}

static void check(struct bytes out)
{
	Otlp__ExportMetricsServiceRequest *request =
		otlp__export_metrics_service_request__unpack(NULL, out.n, (const uint8_t *)out.p);
	const Otlp__ScopeMetrics *scope;

	must(request != NULL);
	if (request->n_resource_metrics) {
		scope = request->resource_metrics[0]->scope_metrics[0];
		for (size_t i = 0; i < scope->n_metrics; i++)
			if (scope->metrics[i]->data_case == OTLP__METRIC__DATA_HISTOGRAM)
				check_histogram(scope->metrics[i]->histogram);
	}
	otlp__export_metrics_service_request__free_unpacked(request, NULL);
}

static void write_into(struct request_metrics *m, const uint8_t *data, size_t size)
{
	struct request_key key = { .client = size > 3 && data[3] & 1, .version = 11 };

	for (unsigned i = 0; i < REQUEST_TEXTS && size; i++) {
		size_t n = data[0] < size - 1 ? data[0] : size - 1;

		key.text[i] = (struct bytes){ (const char *)data + 1, n };
		data += n + 1;
		size -= n + 1;
	}
	request_metrics_add(m, &key, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct request_metrics *m = filled(request_metrics_size(), data, size);
	struct counters *counters = filled(sizeof(*counters), data, size);
	struct metrics_past *past = filled(sizeof(*past), data, size);
	struct metrics_source source = { .resource = &resource,
					 .requests = m,
					 .counters = counters,
					 .past = past,
					 .exporter = "otlp_http_span_exporter" };
	struct bytes out;

	if (!arena.max)
		arena_init(&arena, 16 << 20);
	for (uint32_t kind = TEMPORALITY_CUMULATIVE; kind <= TEMPORALITY_LOWMEMORY; kind++) {
		must(metrics_encode(&arena, &source, 1, kind, 2, &out) == 0);
		check(out);
		metrics_sent(&source, 1);
		write_into(m, data, size);
		arena_reset(&arena);
	}
	free(m);
	free(counters);
	free(past);
	return 0;
}
