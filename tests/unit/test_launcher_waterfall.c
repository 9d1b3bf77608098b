/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include "launcher/waterfall.h"
#include "launcher_spans.h"

static struct trace_store store;
static struct screen screen;

static void set_up(void)
{
	setenv("LC_ALL", "C.UTF-8", 1);
	screen_open(&screen, stdout);
	trace_store_init(&store);
}

static void tear_down(void)
{
	trace_store_free(&store);
}

TestSuite(waterfall, .init = set_up, .fini = tear_down);

static void assert_duration(uint64_t ns, const char *want)
{
	char text[DURATION_TEXT];

	duration_format(text, ns, true);
	cr_assert_str_eq(text, want, "%llu: %s", (unsigned long long)ns, text);
}

Test(waterfall, writes_durations_with_three_digits)
{
	assert_duration(0, "0 ns");
	assert_duration(989, "989 ns");
	assert_duration(1000, "1.00 µs");
	assert_duration(12345, "12.3 µs");
	assert_duration(999949, "1.00 ms");
	assert_duration(1500000, "1.50 ms");
	assert_duration(24100000, "24.1 ms");
	assert_duration(99960000, "100 ms");
	assert_duration(999500000, "1.00 s");
	assert_duration(61000000000, "61.0 s");
	assert_duration(125000000000, "2 m 05 s");
	assert_duration(7260000000000, "2 h 01 m");
	assert_duration(UINT64_MAX, "5124095 h 34 m");
}

static struct bar placed(int64_t start, int64_t length, unsigned halves)
{
	struct trace_tree tree;
	struct bar bar;

	trace_store_free(&store);
	trace_store_init(&store);
	add_span(&store, 1, 0, "a", KIND_SERVER, 0, 100);
	add_span(&store, 2, 1, "a", KIND_CLIENT, start, length);
	trace_tree_build(&tree, &store, &store.traces[0]);
	bar = bar_place(&tree, &tree.nodes[1], halves);
	trace_tree_free(&tree);
	return bar;
}

Test(waterfall, places_bars_by_time)
{
	struct bar bar = placed(50, 25, 40);

	cr_assert_eq(bar.from, 20);
	cr_assert_eq(bar.to, 30);
	bar = placed(0, 100, 40);
	cr_assert_eq(bar.from, 0);
	cr_assert_eq(bar.to, 40);
}

Test(waterfall, gives_each_span_at_least_half_a_column)
{
	struct bar bar = placed(100, 0, 40);

	cr_assert_eq(bar.from, 39);
	cr_assert_eq(bar.to, 40);
	bar = placed(0, 0, 40);
	cr_assert_eq(bar.from, 0);
	cr_assert_eq(bar.to, 1);
}

static char *drawn(unsigned width)
{
	struct trace_tree tree;
	char *out = NULL;
	size_t n;

	screen.width = width;
	screen.out = open_memstream(&out, &n);
	trace_tree_build(&tree, &store, &store.traces[0]);
	waterfall_draw(&screen, &tree);
	trace_tree_free(&tree);
	fclose(screen.out);
	return out;
}

static void assert_lines_fit(unsigned width)
{
	char *out = drawn(width), *rest = out;

	for (char *line; (line = strsep(&rest, "\n"));) {
		cr_assert_leq(text_columns(line), width, "%u: %s", width, line);
		cr_assert(*line == '\0' || line[strlen(line) - 1] != ' ', "'%s'", line);
	}
	free(out);
}

Test(waterfall, fits_every_width)
{
	struct span *span;

	add_span(&store, 1, 0, "дом-сервис-с-длинным-именем", KIND_SERVER, 0, 1000);
	span = add_span(&store, 2, 1, "日本語サービス", KIND_CLIENT, 10, 900);
	span->link = "process";
	add_span(&store, 200, 1, "short", KIND_CLIENT, 10, 900)->link = "only";
	span->error = true;
	span->error_type = "a.very.long.error.type.of.somebody";
	for (unsigned i = 3; i < 90; i++)
		add_span(&store, i, i - 1, "deep", KIND_INTERNAL, 10 + i, 700 - i);
	add_span(&store, 100, 99, "lost", KIND_CONSUMER, 10, 3000000000)->http_status = 200;
	for (unsigned width = SCREEN_WIDTH_MIN; width <= SCREEN_WIDTH_MAX; width++)
		assert_lines_fit(width);
	screen.unicode = false;
	for (unsigned width = SCREEN_WIDTH_MIN; width < 140; width += 7)
		assert_lines_fit(width);
}

Test(waterfall, marks_errors_and_names_them)
{
	char text[STATUS_TEXT];
	struct span span = { .http_status = 200 };

	status_format(text, &span, true);
	cr_assert_str_eq(text, "200");
	span.error = true;
	status_format(text, &span, true);
	cr_assert_str_eq(text, "✗ 200");
	span.error_type = "timeout";
	status_format(text, &span, true);
	cr_assert_str_eq(text, "✗ timeout");
	span.http_status = 503;
	status_format(text, &span, true);
	cr_assert_str_eq(text, "✗ 503");
	span.http_status = 0;
	span.error_type = NULL;
	status_format(text, &span, false);
	cr_assert_str_eq(text, "! error");
	span = (struct span){ .http_status = 200, .rpc_status = "OK" };
	status_format(text, &span, true);
	cr_assert_str_eq(text, "OK");
	span.rpc_status = "NOT_FOUND"; /* of a server: the caller's mistake */
	status_format(text, &span, true);
	cr_assert_str_eq(text, "NOT_FOUND");
	span.error = true;
	span.error_type = "NOT_FOUND";
	status_format(text, &span, true);
	cr_assert_str_eq(text, "✗ NOT_FOUND");
}
