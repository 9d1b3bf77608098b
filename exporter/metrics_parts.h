/* SPDX-License-Identifier: Apache-2.0 */
/* Private to exporter/metrics_{message,counters,parts}.c: a request in the making. Whatever finds
 * no memory sets `failed`, and NULL is returned. */
#ifndef EXPORTER_METRICS_PARTS_H
#define EXPORTER_METRICS_PARTS_H

#include "exporter/message.h"
#include "exporter/metrics_message.h"
#include "exporter/record.h"

#define METRICS_MAX 12 /* of one process */
#define PAIRS_MAX   10 /* attributes of one point */

struct metrics_build {
	struct arena *arena;
	const struct metrics_source *source;
	bool delta_histograms, delta_sums;
	bool json;
	bool failed;
	uint64_t now_ns;
	Otlp__Histogram *histograms[REQUEST_HISTOGRAMS];
	Otlp__Metric **metrics;
	size_t count;
};

struct pairs {
	Otlp__KeyValue **list; /* of PAIRS_MAX */
	size_t n;
};

void *metrics_take(struct metrics_build *b, size_t n);

/* One metric more, without data. The texts live as long as the message. */
Otlp__Metric *metrics_add(struct metrics_build *b, char *name, char *description, char *unit);

/* False: value is NULL, or there is no room. */
bool pairs_put(struct scratch *s, struct pairs *p, const char *key, Otlp__AnyValue *value);

/* Where the time of a point begins. */
uint64_t metrics_start(const struct metrics_build *b, bool delta);

/* metrics_counters.c: the otel.sdk.* metrics. */
void metrics_put_counters(struct metrics_build *b);

/* What has come to a number that only rises; nothing when it does not do as it should. */
static inline uint64_t metrics_since(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

#endif
