/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics an OpenTelemetry SDK tells of itself (semantic conventions 1.44.0, in development),
 * as far as our counters know them. Our ring and its consumer are the batching span processor. */
#include "base/text.h"
#include "exporter/metrics_parts.h"
#include "exporter/utf8.h"

#define PROCESSOR  "batching_span_processor"
#define HOST_MAX   253
#define POINT_SIZE (sizeof(Otlp__NumberDataPoint) + PAIRS_MAX * (MESSAGE_ATTRIBUTE_COST + 8) + 1024)

enum instrument { STARTED, PROCESSED, QUEUE_SIZE, QUEUE_CAPACITY, EXPORTED, INFLIGHT, INSTRUMENTS };
enum component { COMPONENT_NONE, COMPONENT_PROCESSOR, COMPONENT_EXPORTER };

/* Not const: protobuf-c's strings are not. */
static struct {
	char name[40];
	char description[56];
	enum component component;
	bool monotonic;
} instruments[INSTRUMENTS] = {
	[STARTED] = { "otel.sdk.span.started", "Spans begun, recorded or not.", COMPONENT_NONE,
		      true },
	[PROCESSED] = { "otel.sdk.processor.span.processed", "Spans handed on, or lost before.",
			COMPONENT_PROCESSOR, true },
	[QUEUE_SIZE] = { "otel.sdk.processor.span.queue.size", "Spans that wait.",
			 COMPONENT_PROCESSOR, false },
	[QUEUE_CAPACITY] = { "otel.sdk.processor.span.queue.capacity", "Spans that may wait.",
			     COMPONENT_PROCESSOR, false },
	[EXPORTED] = { "otel.sdk.exporter.span.exported", "Spans delivered, or lost on the way.",
		       COMPONENT_EXPORTER, true },
	[INFLIGHT] = { "otel.sdk.exporter.span.inflight", "Spans on their way.", COMPONENT_EXPORTER,
		       false },
};

static char unit[] = "{span}";

/* A counter as a point. Without an error it is told of also while it is zero. */
static const struct row {
	enum instrument instrument;
	size_t counter;
	const char *key[2], *value[2];
} rows[] = {
#define STARTED_ROW(counter, origin, result)                                        \
	{                                                                           \
		STARTED, offsetof(struct counters, counter),                        \
			{ "otel.span.parent.origin", "otel.span.sampling_result" }, \
		{                                                                   \
			origin, result                                              \
		}                                                                   \
	}
	STARTED_ROW(spans_started_root, "none", "RECORD_AND_SAMPLE"),
	STARTED_ROW(spans_started_local, "local", "RECORD_AND_SAMPLE"),
	STARTED_ROW(spans_started_remote, "remote", "RECORD_AND_SAMPLE"),
	STARTED_ROW(spans_unsampled_root, "none", "DROP"),
	STARTED_ROW(spans_unsampled_local, "local", "DROP"),
	STARTED_ROW(spans_unsampled_remote, "remote", "DROP"),
#undef STARTED_ROW
#define GOOD_ROW(instrument, counter)                                           \
	{                                                                       \
		instrument, offsetof(struct counters, counter), { NULL, NULL }, \
		{                                                               \
			NULL, NULL                                              \
		}                                                               \
	}
#define ERROR_ROW(instrument, counter, error)                                           \
	{                                                                               \
		instrument, offsetof(struct counters, counter), { "error.type", NULL }, \
		{                                                                       \
			error, NULL                                                     \
		}                                                                       \
	}
	GOOD_ROW(PROCESSED, spans_processed),
	ERROR_ROW(PROCESSED, spans_dropped_queue_full, "queue_full"),
	ERROR_ROW(PROCESSED, spans_dropped_share, "queue_share"),
	ERROR_ROW(PROCESSED, spans_dropped_exit, "already_shutdown"),
	GOOD_ROW(EXPORTED, spans_exported),
	ERROR_ROW(EXPORTED, spans_dropped_rejected, "rejected"),
	ERROR_ROW(EXPORTED, spans_dropped_response, "response"),
	ERROR_ROW(EXPORTED, spans_dropped_retries, "retries"),
	ERROR_ROW(EXPORTED, spans_dropped_undeliverable, "undeliverable"),
	ERROR_ROW(EXPORTED, spans_dropped_file, "file"),
	ERROR_ROW(EXPORTED, spans_dropped_memory, "memory"),
#undef GOOD_ROW
#undef ERROR_ROW
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static bool put_text(struct scratch *s, struct pairs *p, const char *key, struct bytes value)
{
	return pairs_put(s, p, key, message_string(s, value, UTF8_NO_LIMIT));
}

static bool put_component(struct scratch *s, struct pairs *p, const struct metrics_source *source,
			  enum component component)
{
	const char *type = component == COMPONENT_PROCESSOR ? PROCESSOR : source->exporter;
	struct bytes server = source->server;
	char room[64];
	struct text name = TEXT_ON(room);

	if (component == COMPONENT_NONE)
		return true;
	text_format(&name, "%s/0", type);
	if (!put_text(s, p, "otel.component.name", text_bytes(&name)) ||
	    !put_text(s, p, "otel.component.type", bytes_of(type)))
		return false;
	if (component != COMPONENT_EXPORTER || !server.n)
		return true;
	server.n = server.n < HOST_MAX ? server.n : HOST_MAX;
	return put_text(s, p, "server.address", server) &&
	       pairs_put(s, p, "server.port", message_int(s, source->port));
}

/* The point of an instrument with the attributes of a row, if there is one. */
static Otlp__NumberDataPoint *point_of(struct metrics_build *b, enum instrument i,
				       const struct row *row, uint64_t value)
{
	struct scratch s;
	Otlp__NumberDataPoint *point;
	struct pairs p = { .n = 0 };
	bool good;

	if (scratch_init(&s, b->arena, POINT_SIZE) < 0) {
		b->failed = true;
		return NULL;
	}
	point = scratch_alloc(&s, sizeof(*point));
	p.list = scratch_alloc(&s, PAIRS_MAX * sizeof(void *));
	otlp__number_data_point__init(point);
	good = put_component(&s, &p, b->source, instruments[i].component);
	for (unsigned k = 0; k < 2 && good && row && row->key[k]; k++)
		good = put_text(&s, &p, row->key[k], bytes_of(row->value[k]));
	b->failed = b->failed || !good;
	point->attributes = p.list;
	point->n_attributes = p.n;
	point->start_time_unix_nano = metrics_start(b, b->delta_sums && instruments[i].monotonic);
	point->time_unix_nano = b->now_ns;
	point->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
	point->as_int = value > INT64_MAX ? INT64_MAX : (int64_t)value;
	return point;
}

/* A sum of at most `points` points. */
static Otlp__Sum *add_sum(struct metrics_build *b, enum instrument i, size_t points)
{
	Otlp__Metric *m = metrics_add(b, instruments[i].name, instruments[i].description, unit);
	Otlp__Sum *sum = metrics_take(b, sizeof(*sum));
	Otlp__NumberDataPoint **list = metrics_take(b, points * sizeof(void *));

	if (b->failed)
		return NULL;
	otlp__sum__init(sum);
	sum->data_points = list;
	sum->is_monotonic = instruments[i].monotonic;
	sum->aggregation_temporality =
		b->delta_sums && sum->is_monotonic
			? OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_DELTA
			: OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE;
	m->data_case = OTLP__METRIC__DATA_SUM;
	m->sum = sum;
	return sum;
}

/* What a row has to say; differences when those are asked for. */
static uint64_t value_of(const struct counters *now, const struct metrics_build *b,
			 const struct row *row)
{
	const struct metrics_past *past = b->source->past;
	uint64_t value = counters_value(now, row->counter);

	return b->delta_sums
		       ? metrics_since(value, counters_value(&past->sent.counters, row->counter))
		       : value;
}

static bool is_told(const struct metrics_build *b, const struct row *row, uint64_t value)
{
	return value || (!row->key[0] && !b->delta_sums);
}

static void put_counted(struct metrics_build *b, const struct counters *now, enum instrument i)
{
	Otlp__Sum *sum = NULL;

	for (size_t r = 0; r < ROWS && !b->failed; r++) {
		uint64_t value = value_of(now, b, &rows[r]);

		if (rows[r].instrument != i || !is_told(b, &rows[r], value))
			continue;
		if (!sum)
			sum = add_sum(b, i, ROWS);
		if (sum)
			sum->data_points[sum->n_data_points++] = point_of(b, i, &rows[r], value);
	}
}

static void put_number(struct metrics_build *b, enum instrument i, uint32_t value)
{
	Otlp__Sum *sum = b->failed ? NULL : add_sum(b, i, 1);

	if (sum)
		sum->data_points[sum->n_data_points++] = point_of(b, i, NULL, value);
}

void metrics_put_counters(struct metrics_build *b)
{
	struct counters now = { .connections_tracked = 0 };

	/* Once: others go on counting. */
	counters_add(&now, b->source->counters);
	if (b->source->past)
		b->source->past->coming.counters = now;
	put_counted(b, &now, STARTED);
	if (!b->source->exporter && !b->source->hands_on)
		return;
	put_counted(b, &now, PROCESSED);
	put_number(b, QUEUE_SIZE, b->source->queue_size);
	put_number(b, QUEUE_CAPACITY, b->source->queue_capacity);
	if (!b->source->exporter)
		return;
	put_counted(b, &now, EXPORTED);
	put_number(b, INFLIGHT, b->source->inflight);
}
