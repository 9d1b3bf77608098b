/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "launcher/trace_file.h"

#define LINE                                                                                      \
	"{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":" \
	"{\"stringValue\":\"api\"}},{\"key\":\"host.name\",\"value\":{\"stringValue\":\"h\"}}]}," \
	"\"scopeSpans\":[{\"spans\":[{\"traceId\":\"4BF92F3577B34DA6A3CE929D0E0E4736\","          \
	"\"spanId\":"                                                                             \
	"\"00f067aa0ba902b7\",\"parentSpanId\":\"\",\"name\":\"GET /x\",\"kind\":3,"              \
	"\"startTimeUnixNano\":\"1000\",\"endTimeUnixNano\":2000,\"status\":{\"code\":2,"         \
	"\"message\":"                                                                            \
	"\"no\"},\"attributes\":[{\"key\":\"tagalong.link\",\"value\":{\"stringValue\":"          \
	"\"thread\"}},"                                                                           \
	"{\"key\":\"http.response.status_code\",\"value\":{\"intValue\":\"503\"}},{\"key\":"      \
	"\"server.address\",\"value\":{\"stringValue\":\"users\"}},{\"key\":\"url.full\","        \
	"\"value\":"                                                                              \
	"{\"stringValue\":\"http://users/"                                                        \
	"x\"}},{\"key\":\"new\",\"value\":{\"arrayValue\":{}}}]}]}]}]}"

static struct trace_store store;

static void set_up(void)
{
	trace_store_init(&store);
}

static void tear_down(void)
{
	trace_store_free(&store);
}

TestSuite(trace_file, .init = set_up, .fini = tear_down);

Test(trace_file, reads_what_a_span_says)
{
	const struct span *s;

	cr_assert_null(trace_line_parse(&store, LINE, strlen(LINE)));
	cr_assert_eq(store.span_count, 1);
	s = &store.spans[0];
	cr_assert_eq(s->trace_id[0], 0x4b);
	cr_assert_eq(s->span_id[7], 0xb7);
	cr_assert_str_eq(s->service, "api");
	cr_assert_str_eq(s->host, "h");
	cr_assert_str_eq(s->name, "GET /x");
	cr_assert_str_eq(s->link, "thread");
	cr_assert_str_eq(s->target, "http://users/x");
	cr_assert_str_eq(s->message, "no");
	cr_assert_eq(s->kind, KIND_CLIENT);
	cr_assert_eq(s->http_status, 503);
	cr_assert_eq(s->start_ns, 1000);
	cr_assert_eq(s->end_ns, 2000);
	cr_assert(s->error);
	cr_assert(store.traces[0].has_root);
}

/* Present, newer and older conventions; what is no status is none. */
Test(trace_file, reads_how_a_call_ended)
{
	static const struct {
		const char *attribute, *status;
	} all[] = {
		{ "rpc.response.status_code\",\"value\":{\"stringValue\":\"OK\"}}", "OK" },
		{ "rpc.status_code\",\"value\":{\"stringValue\":\"ABORTED\"}}", "ABORTED" },
		{ "rpc.grpc.status_code\",\"value\":{\"intValue\":\"5\"}}", "NOT_FOUND" },
		{ "rpc.grpc.status_code\",\"value\":{\"intValue\":14}}", "UNAVAILABLE" },
		{ "rpc.grpc.status_code\",\"value\":{\"intValue\":17}}", NULL },
		{ "rpc.grpc.status_code\",\"value\":{\"intValue\":-1}}", NULL },
		{ "rpc.response.status_code\",\"value\":{\"boolValue\":true}}", NULL },
	};
	char line[512];

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		const struct span *s;

		snprintf(line, sizeof(line),
			 "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":"
			 "\"4bf92f3577b34da6a3ce929d0e0e4736\",\"spanId\":\"00f067aa0ba902b7\","
			 "\"startTimeUnixNano\":\"1000\",\"attributes\":[{\"key\":\"%s]}]}]}]}",
			 all[i].attribute);
		cr_assert_null(trace_line_parse(&store, line, strlen(line)), "%s", line);
		s = &store.spans[store.span_count - 1];
		if (all[i].status)
			cr_expect_str_eq(s->rpc_status, all[i].status);
		else
			cr_expect_null(s->rpc_status);
	}
}

Test(trace_file, calls_a_line_cut_anywhere_damaged)
{
	for (size_t n = 0; n < strlen(LINE); n++)
		cr_assert_not_null(trace_line_parse(&store, LINE, n), "%zu", n);
	cr_assert_eq(store.span_count, 0);
}

Test(trace_file, says_what_is_wrong_with_a_line)
{
	static const char *const wrong[][2] = {
		{ "[]", "it has no resourceSpans" },
		{ "{}", "it has no resourceSpans" },
		{ "{\"resourceSpans\":{}}", "it has no resourceSpans" },
		{ "nonsense", "it is not JSON" },
		{ "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{}]}]}]}",
		  "a span without a valid traceId" },
		{ "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":"
		  "\"00000000000000000000000000000000\"}]}]}]}",
		  "a span without a valid traceId" },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert_str_eq(trace_line_parse(&store, wrong[i][0], strlen(wrong[i][0])),
				 wrong[i][1]);
}

Test(trace_file, bears_values_of_other_types)
{
	static const char *const odd[] = {
		"{\"resourceSpans\":[]}",
		"{\"resourceSpans\":[1,null,\"x\",{\"resource\":7,\"scopeSpans\":\"x\"}]}",
		"{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":7},{\"spans\":[]},8]}]}",
		"{\"resourceMetrics\":[]}",
	};

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		cr_assert_null(trace_line_parse(&store, odd[i], strlen(odd[i])), "%s", odd[i]);
}

static unsigned long damaged_line;

static void remember(void *arg, unsigned long line, const char *what)
{
	(void)arg;
	(void)what;
	damaged_line = line;
}

static void append(const char *path, const char *text)
{
	FILE *out = fopen(path, "a");

	fputs(text, out);
	fclose(out);
}

Test(trace_file, follows_a_file_that_grows_shrinks_and_is_replaced)
{
	char path[] = "/tmp/tagalong-test-XXXXXX";
	struct trace_file file;

	close(mkstemp(path));
	cr_assert_eq(trace_file_open(&file, path, &store, false), 0);
	file.damage = remember;
	cr_assert_eq(trace_file_read_all(&file), 0);
	append(path, LINE "\nbroken\n" LINE);
	cr_assert_eq(trace_file_read_all(&file), 0);
	cr_assert_eq(store.span_count, 1);
	cr_assert_eq(damaged_line, 2);
	append(path, "\n");
	trace_file_read_all(&file);
	cr_assert_eq(store.span_count, 2);
	cr_assert_eq(truncate(path, 0), 0);
	append(path, LINE "\n");
	trace_file_read_all(&file);
	trace_file_read_all(&file);
	cr_assert_eq(store.span_count, 3);
	unlink(path);
	trace_file_read_all(&file);
	append(path, LINE "\n" LINE "\n" LINE "\n" LINE "\n" LINE "\n");
	trace_file_read_all(&file);
	trace_file_read_all(&file);
	cr_assert_eq(store.span_count, 8);
	cr_assert_eq(file.damaged, 1);
	trace_file_close(&file);
	unlink(path);
}

Test(trace_file, takes_a_whole_last_line_and_leaves_a_torn_one)
{
	char path[] = "/tmp/tagalong-test-XXXXXX";
	struct trace_file file;

	close(mkstemp(path));
	append(path, LINE "\n" LINE);
	trace_file_open(&file, path, &store, false);
	trace_file_read_all(&file);
	cr_assert(!trace_file_finish(&file));
	cr_assert_eq(store.span_count, 2);
	trace_file_close(&file);
	append(path, "\n{\"resourceSpans\":[{");
	trace_file_open(&file, path, &store, false);
	trace_file_read_all(&file);
	cr_assert(trace_file_finish(&file));
	cr_assert_eq(store.span_count, 4);
	cr_assert_eq(file.damaged, 0);
	trace_file_close(&file);
	unlink(path);
}

Test(trace_file, waits_for_files_only_when_asked)
{
	struct trace_file file;

	cr_assert_eq(trace_file_open(&file, "/nonexistent/x", &store, false), -ENOENT);
	cr_assert_eq(trace_file_open(&file, "/nonexistent/x", &store, true), 0);
	cr_assert_eq(trace_file_read_all(&file), 0);
	cr_assert_eq(trace_file_open(&file, "/tmp", &store, true), -EISDIR);
}
