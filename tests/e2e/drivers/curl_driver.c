/* SPDX-License-Identifier: Apache-2.0 */
/* The libcurl transport alone, led by lines on standard input. Each command answers with one line:
 *   encoding | describe | send N [NAME] | attempt N | stop MS | failing
 *   post SECONDS-OF-BUDGET ITEMS HEX   (a body as it is) | quit
 * The first argument is the signal: traces (default) or metrics. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/id.h"
#include "exporter/curl/curl_transport.h"
#include "exporter/json.h"
#include "exporter/otlp.h"
#include "exporter/retry.h"

#define SPANS_MAX 2048
#define BODY_MAX  (1 << 20)

extern char **environ;

static _Atomic uint32_t stop;
static struct resource resource;
static struct arena arena;
static _Alignas(8) char rooms[SPANS_MAX][512];

static const struct record_head *make_span(char room[static 512], const char *name)
{
	struct record r;

	record_begin(&r, room, 512);
	r.head->kind = SPAN_SERVER;
	r.head->trace_flags = 1;
	id_new_trace(r.head->trace_id);
	id_new_span(r.head->span_id, ID_SERVER);
	r.head->start_ns = clock_realtime_ns() - 1000000;
	r.head->end_ns = clock_realtime_ns();
	record_put(&r, RECORD_NAME, bytes_of(name));
	record_put(&r, ATTRIBUTE_HTTP_REQUEST_METHOD, BYTES("GET"));
	record_put_int(&r, ATTRIBUTE_HTTP_RESPONSE_STATUS_CODE, 200);
	record_end(&r);
	return r.head;
}

static struct payload make_payload(struct curl_transport *t, unsigned n, const char *name)
{
	static const struct record_head *spans[SPANS_MAX];
	struct payload p = { OTLP_TRACES, curl_transport_encoding(t), n, { NULL, 0 } };

	for (unsigned i = 0; i < n && i < SPANS_MAX; i++)
		spans[i] = make_span(rooms[i], name);
	if (p.encoding == OTLP_JSON)
		json_encode(&arena, &resource, spans, n, &p.body);
	else
		otlp_encode(&arena, &resource, spans, n, &p.body);
	return p;
}

static void print_outcome(const struct outcome *o, bool final, uint64_t asked_ms, uint64_t began)
{
	static const char *const losses[] = { "none",          "response", "retries",
					      "undeliverable", "file",     "memory" };
	uint64_t now = clock_monotonic_ns();

	printf("{\"loss\": \"%s\", \"rejected\": %u, \"hold_off_ms\": %llu, \"final\": %s, "
	       "\"asked_ms\": %llu, \"took_ms\": %llu}\n",
	       losses[o->loss], o->rejected,
	       (unsigned long long)(o->hold_off_ns > now ? (o->hold_off_ns - now) / 1000000 : 0),
	       final ? "true" : "false", (unsigned long long)asked_ms,
	       (unsigned long long)(now - began) / 1000000);
}

static void deliver(struct curl_transport *t, const struct payload *p, bool retry,
		    uint64_t deadline_ns)
{
	uint64_t began = clock_monotonic_ns(), asked_ms = 0;
	struct outcome o;
	bool final = true;

	if (retry)
		curl_transport_send(t, p, deadline_ns, &o);
	else
		final = curl_transport_attempt(t, p, deadline_ns, &o, &asked_ms);
	print_outcome(&o, final, asked_ms, began);
	arena_reset(&arena);
}

static void *stop_later(void *ms)
{
	usleep((useconds_t)((uintptr_t)ms * 1000));
	atomic_store(&stop, 1);
	return NULL;
}

static void post(struct curl_transport *t, enum otlp_signal signal, unsigned budget, char *args)
{
	static char body[BODY_MAX];
	unsigned items = (unsigned)strtoul(args, &args, 10), byte;
	struct payload p = { signal, curl_transport_encoding(t), items, { body, 0 } };

	for (args++; p.body.n < BODY_MAX && sscanf(args, "%2x", &byte) == 1; args += 2)
		body[p.body.n++] = (char)byte;
	deliver(t, &p, true, clock_monotonic_ns() + budget * 1000000000ull);
}

static void obey(struct curl_transport *t, enum otlp_signal signal, char *line)
{
	uint64_t deadline = retry_deadline(clock_monotonic_ns(), config.otlp_timeout,
					   config.bsp_export_timeout);
	char command[32] = "", name[256] = "GET /users/{id}", text[512];
	struct text where = TEXT_ON(text);
	struct payload p;
	pthread_t thread;
	unsigned n = 0;
	int at = 0;

	sscanf(line, "%31s %u%n %255[^\n]", command, &n, &at, name);
	if (strcmp(command, "encoding") == 0) {
		printf("%s\n", curl_transport_encoding(t) == OTLP_JSON ? "json" : "protobuf");
	} else if (strcmp(command, "describe") == 0) {
		curl_transport_describe(t, &where);
		printf("%s\n", text_string(&where));
	} else if (strcmp(command, "failing") == 0) {
		printf("%d\n", curl_transport_failing(t));
	} else if (strcmp(command, "send") == 0 || strcmp(command, "attempt") == 0) {
		p = make_payload(t, n, name);
		deliver(t, &p, command[0] == 's', deadline);
	} else if (strcmp(command, "post") == 0) {
		post(t, signal, n, line + at);
	} else if (strcmp(command, "stop") == 0) {
		pthread_create(&thread, NULL, stop_later, (void *)(uintptr_t)n);
		pthread_detach(thread);
		printf("ok\n");
	} else {
		printf("what?\n");
	}
	fflush(stdout);
}

static void print_warning(void *arg, const char *message)
{
	(void)arg;
	fprintf(stderr, "warning: %s\n", message);
}

int main(int argc, char **argv)
{
	enum otlp_signal signal =
		argc > 1 && strcmp(argv[1], "metrics") == 0 ? OTLP_METRICS : OTLP_TRACES;
	struct curl_transport *t;
	char *line = NULL;
	size_t size = 0;

	clock_init();
	config_read(environ, NULL, NULL);
	id_init();
	resource_detect(&resource, environ);
	arena_init(&arena, 64 << 20);
	t = curl_transport_new(&config, signal, &stop, print_warning, NULL);
	printf("%d\n", t ? 0 : 1);
	fflush(stdout);
	while (t && getline(&line, &size, stdin) > 0 && strcmp(line, "quit\n") != 0)
		obey(t, signal, line);
	curl_transport_free(t);
	free(line);
	arena_free(&arena);
	return 0;
}
