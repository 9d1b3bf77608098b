/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/config.h"
#include "exporter/metrics_message.h"
#include "exporter/otlp.pb-c.h"
#include "otlp_fixture.h"

#define MS                1000000ull
#define BYTES_AND_SIZE(s) s, sizeof(s) - 1

static struct arena arena;
static struct request_metrics *table;
static struct counters numbers;
static struct metrics_past past;
static struct metrics_source source;

static void setup(void)
{
	table = aligned_alloc(64, request_metrics_size());
	memset(table, 0, request_metrics_size());
	memset(&past, 0, sizeof(past));
	memset(&numbers, 0, sizeof(numbers));
	arena_init(&arena, 8 << 20);
	fixture_resource.count = 0;
	fixture_add("service.name", "shop", 0);
	source = (struct metrics_source){
		.resource = &fixture_resource,
		.requests = table,
		.counters = &numbers,
		.start_ns = 1000,
		.exporter = "otlp_http_span_exporter",
		.server = BYTES("collector"),
		.port = 4318,
		.queue_size = 3,
		.queue_capacity = 2048,
		.inflight = 5,
	};
}

static void teardown(void)
{
	free(table);
	arena_free(&arena);
}

TestSuite(metrics_message, .init = setup, .fini = teardown);

static void add(bool client, uint16_t status, const char *route, uint64_t ns)
{
	struct request_key key = { .client = client,
				   .version = 11,
				   .status = status,
				   .text = { BYTES("GET"), BYTES("http"), bytes_of(route) } };

	request_metrics_add(table, &key, ns);
}

static struct bytes encode_at(uint32_t temporality, uint64_t now_ns)
{
	struct bytes out;

	arena_reset(&arena);
	cr_assert_eq(metrics_encode(&arena, &source, 1, temporality, now_ns, &out), 0);
	return out;
}

static void write_file(const char *path, struct bytes b)
{
	FILE *f = fopen(path, "w");

	cr_assert(f && fwrite(b.p, 1, b.n, f) == b.n);
	fclose(f);
}

/* Google's protobuf reads these lines out of the request. */
static void expect(struct bytes request, const char *lines)
{
	char one[] = "/tmp/tagalong-unit-XXXXXX", two[] = "/tmp/tagalong-unit-XXXXXX";
	char command[256];

	cr_assert_gt(request.n, 0);
	close(mkstemp(one));
	close(mkstemp(two));
	write_file(one, request);
	write_file(two, bytes_of(lines));
	snprintf(command, sizeof(command),
		 "LD_PRELOAD= /usr/bin/python3 tests/unit/metrics_agree.py %s %s", one, two);
	cr_expect_eq(system(command), 0);
	unlink(one);
	unlink(two);
}

#define RESOURCE "resource service.name=shop https://opentelemetry.io/schemas/1.44.0\n"

Test(metrics_message, tells_of_requests)
{
	struct request_key key = { .client = true,
				   .version = 10,
				   .port = 8080,
				   .text = { BYTES("_OTHER"), BYTES(""), BYTES(""),
					     BYTES("connection_reset"), BYTES("stock\x80") } };

	source.counters = NULL;
	add(false, 200, "/a/{id}", 5 * MS);
	add(false, 200, "/a/{id}", 5 * MS + 1);
	add(false, 200, "/a/{id}", 11000 * MS);
	request_metrics_add(table, &key, 30 * MS);
	expect(encode_at(TEMPORALITY_CUMULATIVE, 2000), RESOURCE
	       "http.server.request.duration s cumulative 3 11.01 0.005:1,0.01:1,inf:1 1000-2000 "
	       "{http.request.method=GET url.scheme=http http.route=/a/{id} "
	       "http.response.status_code=200 network.protocol.version=1.1}\n"
	       "http.client.request.duration s cumulative 1 0.03 0.05:1 1000-2000 "
	       "{http.request.method=_OTHER error.type=connection_reset "
	       "server.address=stock\xef\xbf"
	       "\xbd server.port=8080 network.protocol.version=1.0}\n");
}

Test(metrics_message, tells_of_calls)
{
	struct request_key key = { .rpc = true,
				   .status = 1,
				   .text = { BYTES("shop.v1.Cart/Add") } };

	source.counters = NULL;
	request_metrics_add(table, &key, 5 * MS);
	key.status = 0; /* nobody saw how it ended */
	request_metrics_add(table, &key, 5 * MS);
	key = (struct request_key){ .rpc = true,
				    .client = true,
				    .status = 15,
				    .port = 50051,
				    .text = { BYTES("_OTHER"), BYTES(""), BYTES(""),
					      BYTES("UNAVAILABLE"), BYTES("shop") } };
	request_metrics_add(table, &key, 30 * MS);
	key = (struct request_key){ .rpc = true, .status = 18 }; /* a table may hold anything */
	request_metrics_add(table, &key, 30 * MS);
	expect(encode_at(TEMPORALITY_CUMULATIVE, 2000), RESOURCE
	       "rpc.server.call.duration s cumulative 1 0.005 0.005:1 1000-2000 "
	       "{rpc.system.name=grpc rpc.method=shop.v1.Cart/Add rpc.response.status_code=OK}\n"
	       "rpc.server.call.duration s cumulative 1 0.005 0.005:1 1000-2000 "
	       "{rpc.system.name=grpc rpc.method=shop.v1.Cart/Add}\n"
	       "rpc.server.call.duration s cumulative 1 0.03 0.05:1 1000-2000 "
	       "{rpc.system.name=grpc}\n"
	       "rpc.client.call.duration s cumulative 1 0.03 0.05:1 1000-2000 "
	       "{rpc.system.name=grpc rpc.method=_OTHER error.type=UNAVAILABLE "
	       "server.address=shop server.port=50051 rpc.response.status_code=UNAVAILABLE}\n");
}

Test(metrics_message, uses_the_bounds_the_table_counts_by)
{
	Otlp__ExportMetricsServiceRequest *request;
	Otlp__HistogramDataPoint *point;
	struct bytes out;

	add(false, 200, "", 1);
	out = encode_at(TEMPORALITY_CUMULATIVE, 2000);
	request = otlp__export_metrics_service_request__unpack(NULL, out.n, (const void *)out.p);
	cr_assert_not_null(request);
	point = request->resource_metrics[0]
			->scope_metrics[0]
			->metrics[0]
			->histogram->data_points[0];
	cr_assert_eq(point->n_explicit_bounds, REQUEST_BOUNDS);
	for (unsigned i = 0; i < REQUEST_BOUNDS; i++)
		cr_expect_eq((uint64_t)(point->explicit_bounds[i] * 1e9 + 0.5),
			     request_bounds_ns[i]);
	otlp__export_metrics_service_request__free_unpacked(request, NULL);
}

#define PROCESSOR                                        \
	"otel.component.name=batching_span_processor/0 " \
	"otel.component.type=batching_span_processor"
#define EXPORTER                                                                       \
	"otel.component.name=otlp_http_span_exporter/0 otel.component.type=otlp_http_" \
	"span_exporter server.address=collector server.port=4318"

Test(metrics_message, tells_of_spans)
{
	numbers.spans_started_remote = 90;
	numbers.spans_unsampled_root = 10;
	numbers.spans_processed = 80;
	numbers.spans_dropped_queue_full = 2;
	numbers.spans_exported = 70;
	numbers.spans_dropped_retries = 4;
	numbers.spans_dropped_rejected = 1;
	expect(encode_at(TEMPORALITY_CUMULATIVE, 2000), RESOURCE
	       "otel.sdk.span.started {span} cumulative monotonic 90 1000-2000 "
	       "{otel.span.parent.origin=remote otel.span.sampling_result=RECORD_AND_SAMPLE}\n"
	       "otel.sdk.span.started {span} cumulative monotonic 10 1000-2000 "
	       "{otel.span.parent.origin=none otel.span.sampling_result=DROP}\n"
	       "otel.sdk.processor.span.processed {span} cumulative monotonic 80 1000-2000 "
	       "{" PROCESSOR "}\n"
	       "otel.sdk.processor.span.processed {span} cumulative monotonic 2 1000-2000 "
	       "{" PROCESSOR " error.type=queue_full}\n"
	       "otel.sdk.processor.span.queue.size {span} cumulative level 3 1000-2000 {" PROCESSOR
	       "}\n"
	       "otel.sdk.processor.span.queue.capacity {span} cumulative level 2048 1000-2000 "
	       "{" PROCESSOR "}\n"
	       "otel.sdk.exporter.span.exported {span} cumulative monotonic 70 1000-2000 {" EXPORTER
	       "}\n"
	       "otel.sdk.exporter.span.exported {span} cumulative monotonic 1 1000-2000 {" EXPORTER
	       " error.type=rejected}\n"
	       "otel.sdk.exporter.span.exported {span} cumulative monotonic 4 1000-2000 {" EXPORTER
	       " error.type=retries}\n"
	       "otel.sdk.exporter.span.inflight {span} cumulative level 5 1000-2000 {" EXPORTER
	       "}\n");
}

Test(metrics_message, says_nothing_of_an_exporter_that_is_not_there)
{
	source.exporter = NULL;
	numbers.spans_started_root = 1;
	expect(encode_at(TEMPORALITY_CUMULATIVE, 2000),
	       RESOURCE "otel.sdk.span.started {span} cumulative monotonic 1 1000-2000 "
			"{otel.span.parent.origin=none "
			"otel.span.sampling_result=RECORD_AND_SAMPLE}\n");
	numbers.spans_started_root = 0;
	cr_expect_eq(encode_at(TEMPORALITY_CUMULATIVE, 2000).n, 0);
}

#define KEY(status)                                                                  \
	"{http.request.method=GET url.scheme=http http.response.status_code=" status \
	" network.protocol.version=1.1}\n"
#define STARTED(value, times)                                           \
	"otel.sdk.span.started {span} delta monotonic " value " " times \
	" {otel.span.parent.origin=none otel.span.sampling_result=RECORD_AND_SAMPLE}\n"

Test(metrics_message, sends_differences_to_what_has_arrived)
{
	source.exporter = NULL;
	source.past = &past;
	add(false, 200, "", 30 * MS);
	add(false, 500, "", 30 * MS);
	numbers.spans_started_root = 2;
	encode_at(TEMPORALITY_DELTA, 2000); /* got lost */
	add(false, 200, "", 60 * MS);
	numbers.spans_started_root = 3;
	expect(encode_at(TEMPORALITY_DELTA, 3000), RESOURCE
	       "http.server.request.duration s delta 2 0.09 0.05:1,0.075:1 "
	       "1000-3000 " KEY("200") "http.server.request.duration s delta 1 0.03 "
				       "0.05:1 1000-3000 " KEY("500") STARTED("3", "1000-3000"));
	metrics_sent(&source, 1);
	cr_expect_eq(encode_at(TEMPORALITY_DELTA, 4000).n, 0);
	add(false, 500, "", 1 * MS);
	numbers.spans_started_root = 10;
	expect(encode_at(TEMPORALITY_DELTA, 5000),
	       RESOURCE "http.server.request.duration s delta 1 0.001 0.005:1 3000-5000 " KEY("500")
		       STARTED("7", "3000-5000"));
}

/* Looked-up counters and levels are cumulative with this one. */
Test(metrics_message, knows_the_low_memory_preference)
{
	source.past = &past;
	source.exporter = NULL;
	numbers.spans_started_root = 2;
	add(false, 200, "", 30 * MS);
	encode_at(TEMPORALITY_LOWMEMORY, 2000);
	metrics_sent(&source, 1);
	add(false, 200, "", 30 * MS);
	expect(encode_at(TEMPORALITY_LOWMEMORY, 3000),
	       RESOURCE "http.server.request.duration s delta 1 0.03 0.05:1 2000-3000 " KEY(
		       "200") "otel.sdk.span.started {span} cumulative monotonic 2 1000-3000 "
			      "{otel.span.parent.origin=none "
			      "otel.span.sampling_result=RECORD_AND_SAMPLE}\n");
}

Test(metrics_message, puts_several_processes_into_one_request)
{
	static struct resource other;
	struct metrics_source both[3] = { source, source, source };
	struct bytes out;

	other.attributes[0] = (struct resource_attribute){ .key = BYTES("service.name"),
							   .value = BYTES("stock") };
	other.count = 1;
	both[0].counters = both[1].counters = both[2].counters = NULL;
	both[1].requests = NULL; /* nothing to tell: left out */
	both[2].resource = &other;
	add(true, 204, "", 1);
	cr_assert_eq(metrics_encode(&arena, both, 3, TEMPORALITY_CUMULATIVE, 2000, &out), 0);
	expect(out,
	       RESOURCE "http.client.request.duration s cumulative 1 1e-09 0.005:1 1000-2000 " KEY(
		       "204") "resource service.name=stock "
			      "https://opentelemetry.io/schemas/1.44.0\n"
			      "http.client.request.duration s cumulative 1 1e-09 0.005:1 "
			      "1000-2000 " KEY("204"));
}

Test(metrics_message, spells_the_same_in_json)
{
	struct bytes out;

	source.counters = NULL;
	add(false, 200, "/a", 5 * MS + 1);
	add(false, 200, "/a", 11500 * MS);
	cr_assert_eq(metrics_encode_json(&arena, &source, 1, TEMPORALITY_CUMULATIVE, 1ull << 60,
					 &out),
		     0);
	cr_expect(
		bytes_equal(out,
			    BYTES("{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":"
				  "\"service.name\",\"value\":{\"stringValue\":\"shop\"}}]},"
				  "\"scopeMetrics\":[{\"scope\":{\"name\":\"tagalong\",\"version\":"
				  "\"" TAGALONG_VERSION "\"},\"metrics\":[{"
				  "\"name\":\"http.server.request.duration\",\"description\":"
				  "\"How long requests took to be answered.\",\"unit\":\"s\","
				  "\"histogram\":{\"dataPoints\":[{\"startTimeUnixNano\":\"1000\","
				  "\"timeUnixNano\":\"1152921504606846976\",\"count\":\"2\","
				  "\"sum\":11.505000001,\"bucketCounts\":[\"0\",\"1\",\"0\",\"0\","
				  "\"0\",\"0\",\"0\",\"0\",\"0\",\"0\",\"0\",\"0\",\"0\",\"0\","
				  "\"1\"],\"explicitBounds\":[0.005,0.01,0.025,0.05,0.075,0.1,0.25,"
				  "0.5,0.75,1,2.5,5,7.5,10],\"attributes\":["
				  "{\"key\":\"http.request.method\",\"value\":{\"stringValue\":"
				  "\"GET\"}},{\"key\":\"url.scheme\",\"value\":{\"stringValue\":"
				  "\"http\"}},{\"key\":\"http.route\",\"value\":{\"stringValue\":"
				  "\"/a\"}},{\"key\":\"http.response.status_code\",\"value\":"
				  "{\"intValue\":\"200\"}},{\"key\":\"network.protocol.version\","
				  "\"value\":{\"stringValue\":\"1.1\"}}]}],"
				  "\"aggregationTemporality\":2}}],\"schemaUrl\":"
				  "\"https://opentelemetry.io/schemas/1.44.0\"}],\"schemaUrl\":"
				  "\"https://opentelemetry.io/schemas/1.44.0\"}]}")),
		"%.*s", (int)out.n, out.p);
	source.requests = NULL;
	source.counters = &numbers;
	source.past = &past;
	numbers.spans_started_root = 7;
	cr_assert_eq(metrics_encode_json(&arena, &source, 1, TEMPORALITY_DELTA, 2000, &out), 0);
	cr_expect(memmem(out.p, out.n,
			 BYTES_AND_SIZE("\"sum\":{\"dataPoints\":[{\"startTimeUnixNano\":\"1000\","
					"\"timeUnixNano\":\"2000\",\"asInt\":\"7\"")));
}

Test(metrics_message, needs_no_more_memory_than_there_is)
{
	char route[32];
	struct bytes out = { NULL, 0 };
	int err = -ENOMEM;

	for (unsigned i = 0; i < 300; i++) {
		snprintf(route, sizeof(route), "/r/%u", i);
		add(i % 2, 200, route, i * MS);
	}
	numbers.spans_processed = UINT64_MAX;
	for (size_t room = ARENA_CHUNK; err == -ENOMEM && room < 8 << 20; room += 50000) {
		arena_free(&arena);
		arena_init(&arena, room);
		err = metrics_encode(&arena, &source, 1, TEMPORALITY_CUMULATIVE, 2000, &out);
		cr_expect(err == 0 || !out.n);
	}
	cr_assert_eq(err, 0);
	cr_expect_gt(arena.mapped, 4 * ARENA_CHUNK);
}
