/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP: an ExportMetricsServiceRequest out of the tables of one or more processes: how
 * long requests took, and the otel.sdk.* metrics of what became of their spans. */
#ifndef EXPORTER_METRICS_MESSAGE_H
#define EXPORTER_METRICS_MESSAGE_H

#include "base/counters.h"
#include "exporter/request_metrics.h"
#include "exporter/resource.h"

struct arena;

/* What has been sent of a source, for the numbers that are sent as differences. All zero: nothing.
 */
struct metrics_numbers {
	uint64_t taken_ns; /* since 1970 */
	struct counters counters;
	struct {
		uint64_t buckets[REQUEST_BUCKETS], sum_ns;
	} series[REQUEST_SERIES_ALL];
};

struct metrics_past {
	struct metrics_numbers sent, coming;
};

/* One process. */
struct metrics_source {
	const struct resource *resource;
	const struct request_metrics *requests; /* NULL: its requests are not counted */
	const struct counters *counters;        /* NULL: its spans are not */
	struct metrics_past *past;              /* may be NULL with cumulative numbers */
	uint64_t start_ns;                      /* since 1970: when it began to count */
	/* Where its spans go: otel.component.type, NULL when they go nowhere; address and port, if
	 * it has one. */
	const char *exporter;
	bool hands_on; /* another process exports its spans: of exporting it has nothing to tell */
	struct bytes server;
	uint16_t port;
	uint32_t queue_size, queue_capacity; /* spans waiting, spans that may */
	uint32_t inflight;                   /* spans being exported */
};

/* The request for all sources at now_ns (since 1970); *out lies in the arena, and is empty when
 * there is nothing to tell. temporality: TEMPORALITY_* of base/config.h. 0, -ENOMEM, or -EFAULT
 * when protobuf-c found itself broken. The tables may be written meanwhile, with anything. */
int metrics_encode(struct arena *a, const struct metrics_source *sources, size_t n,
		   uint32_t temporality, uint64_t now_ns, struct bytes *out);

/* The same in OTLP-JSON. */
int metrics_encode_json(struct arena *a, const struct metrics_source *sources, size_t n,
			uint32_t temporality, uint64_t now_ns, struct bytes *out);

/* The request has arrived: the next differences are those to its numbers. */
void metrics_sent(const struct metrics_source *sources, size_t n);

#endif
