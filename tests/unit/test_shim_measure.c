/* SPDX-License-Identifier: Apache-2.0 */
/* What is measured of requests: all of them, once, whatever becomes of their spans. */
#include <sys/wait.h>
#include "base/counters.h"
#include "exporter/request_metrics.h"
#include "call_fixture.h"

static int peer;

/* Nobody listens there. */
#define ON "OTEL_METRICS_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://127.0.0.1:1/"

struct seen {
	unsigned series;
	uint64_t count;
	char text[1024];
};

static bool note(void *arg, const struct request_view *v)
{
	static const char *const names[REQUEST_TEXTS] = { "method", "scheme", "route", "error",
							  "address" };
	struct seen *s = arg;
	size_t n = strlen(s->text);

	s->series++;
	s->count += v->count;
	n += (size_t)snprintf(s->text + n, sizeof(s->text) - n, "%s%s %u %u %u",
			      v->key.rpc ? "rpc-" : "", v->key.client ? "client" : "server",
			      v->key.version, v->key.status, v->key.port);
	for (unsigned i = 0; i < REQUEST_TEXTS; i++)
		if (v->key.text[i].n)
			n += (size_t)snprintf(s->text + n, sizeof(s->text) - n, " %s=%.*s",
					      names[i], (int)v->key.text[i].n, v->key.text[i].p);
	return true;
}

static struct seen look(void)
{
	struct seen s = { .series = 0 };

	cr_assert_not_null(request_metrics_wanted());
	request_metrics_each(request_metrics_wanted(), note, &s);
	return s;
}

static void expect_one(uint64_t count, const char *text)
{
	struct seen s = look();

	cr_expect_eq(s.count, count);
	cr_expect_str_eq(s.text, text);
}

static void serve(const char *request, const char *response)
{
	int fd = fixture_socket(&peer, true, false);

	program_reads(fd, peer, request);
	program_writes(fd, response);
	fixture_close(fd, peer);
}

Test(measure, counts_a_request_that_is_sampled_and_one_that_is_not, .fini = spans_stop)
{
	spans_start_with(ON);
	serve(REQUEST, RESPONSE);
	serve("GET / HTTP/1.1\r\nHost: a\r\ntraceparent: 00-" PARENT_TRACE "-" PARENT_SPAN
	      "-00\r\n\r\n",
	      RESPONSE);
	cr_expect_eq(spans_read(), 1);
	expect_one(2, "server 11 200 0 method=GET scheme=http");
	cr_expect_eq(counted(spans_started_root), 1);
	cr_expect_eq(counted(spans_unsampled_remote), 1);
}

Test(measure, counts_nothing_unless_it_is_asked_to, .fini = spans_stop)
{
	spans_start(NULL);
	serve(REQUEST, RESPONSE);
	cr_expect_null(request_metrics_wanted());
	cr_expect_eq(counted(spans_started_root), 0);
}

Test(measure, leaves_excluded_paths_out, .fini = spans_stop)
{
	spans_start_with(ON, "TAGALONG_EXCLUDE_PATHS=/health*");
	serve("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", RESPONSE);
	cr_expect_eq(look().count, 0);
	cr_expect_eq(counted(spans_started_root), 0);
}

Test(measure, leaves_requests_out_that_the_program_traces, .fini = spans_stop)
{
	int fd;

	spans_start_with(ON);
	fd = fixture_socket(&peer, false, false);
	program_writes(fd, "GET / HTTP/1.1\r\nHost: a\r\ntraceparent: " PARENT "\r\n\r\n");
	program_reads(fd, peer, RESPONSE);
	cr_expect_eq(look().count, 0);
}

Test(measure, counts_an_event_stream_once, .fini = spans_stop)
{
	int fd;

	spans_start_with(ON);
	fd = fixture_socket(&peer, true, false);
	program_reads(fd, peer, REQUEST);
	program_writes(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
	cr_expect_eq(look().count, 1);
	program_writes(fd, "data: 2\n\n");
	program_closes(fd);
	cr_expect_eq(look().count, 1);
	cr_expect_eq(spans_read(), 1);
}

Test(measure, says_what_the_span_says_of_errors, .fini = spans_stop)
{
	spans_start_with(ON);
	serve(REQUEST, "HTTP/1.1 503 N\r\nContent-Length: 0\r\n\r\n");
	expect_one(1, "server 11 503 0 method=GET scheme=http error=503");
}

Test(measure, names_the_server_a_client_asked, .fini = spans_stop)
{
	int fd;

	spans_start_with(ON);
	fd = fixture_socket(&peer, false, false);
	program_writes(fd, "BREW /pot HTTP/1.1\r\nHost: stock:8080\r\n\r\n");
	program_reads(fd, peer, "HTTP/1.1 418 T\r\nContent-Length: 0\r\n\r\n");
	expect_one(1, "client 11 418 8080 method=_OTHER error=418 address=stock");
}

Test(measure, takes_of_a_server_what_callers_cannot_make_up, .fini = spans_stop)
{
	spans_start_with(ON, "TAGALONG_ROUTES=/u/{id}");
	serve("BREW /u/7 HTTP/1.0\r\nHost: x\r\nX-Forwarded-Proto: gopher\r\n"
	      "X-Forwarded-Host: y:9\r\n\r\n",
	      RESPONSE);
	expect_one(1, "server 10 200 0 method=_OTHER scheme=http route=/u/{id}");
	serve("BREW /u/7 HTTP/1.0\r\nHost: x\r\nX-Forwarded-Proto: HTTPS\r\n\r\n", RESPONSE);
	cr_expect_not_null(strstr(look().text, "scheme=https"));
}

Test(measure, counts_calls_among_calls, .fini = spans_stop)
{
	spans_start_with(ON);
	call_make(true, "0");
	expect_one(1, "rpc-server 0 1 0 method=shop.v1.Cart/Add");
}

Test(measure, tells_the_server_and_the_error_of_a_clients_call, .fini = spans_stop)
{
	spans_start_with(ON, "OTEL_TRACES_SAMPLER=always_off");
	call_make(false, "14");
	cr_expect_eq(spans_read(), 0);
	expect_one(1, "rpc-client 0 15 50051 method=shop.v1.Cart/Add error=UNAVAILABLE "
		      "address=shop.example");
}

Test(measure, counts_what_a_server_does_not_have_as_one_kind, .fini = spans_stop)
{
	spans_start_with(ON);
	call_make(true, "12");
	expect_one(1, "rpc-server 0 13 0 method=_OTHER error=UNIMPLEMENTED");
}

Test(measure, knows_the_version_of_http2, .fini = spans_stop)
{
	struct call call;

	spans_start_with(ON);
	call = stream_begin(true, "GET /x", "https", "host: a.example\r\n");
	call_answer(&call, 200, "");
	call_end(&call);
	expect_one(1, "server 20 200 0 method=GET scheme=https");
}

Test(measure, starts_empty_in_a_child, .fini = spans_stop)
{
	const struct request_key key = { .version = 11 };
	int status;
	pid_t pid;

	spans_start_with(ON);
	serve(REQUEST, RESPONSE);
	pid = fork();
	if (pid == 0) {
		shim_fork_child();
		if (!request_metrics_wanted() || look().count != 0)
			_exit(1);
		/* Not serve(): the worker it starts is more than ThreadSanitizer bears in a child.
		 */
		request_metrics_add(request_metrics_wanted(), &key, 1);
		_exit(look().count == 1 ? 0 : 2);
	}
	waitpid(pid, &status, 0);
	cr_expect_eq(status, 0);
	cr_expect_eq(look().count, 1);
}
