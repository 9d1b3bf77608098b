// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include "exporter/console.h"
#include "exporter/console_draw.h"
#include "otlp_fixture.h"

static struct arena arena;
static char drawn[4 << 20];

static const char *draw(const struct record_head *const *records, size_t n)
{
	FILE *f = tmpfile();
	ssize_t length;

	arena_free(&arena);
	arena_init(&arena, 8 << 20);
	cr_assert_eq(console_write(fileno(f), &arena, &fixture_resource, records, n), 0);
	length = pread(fileno(f), drawn, sizeof(drawn) - 1, 0);
	cr_assert_geq(length, 0);
	drawn[length] = 0;
	fclose(f);
	return drawn;
}

static void span(struct fixture *f, uint8_t trace, uint8_t id, uint8_t parent, const char *name)
{
	fixture_begin(f, trace, id);
	memset(f->r.head->parent_id, parent, 8);
	f->r.head->start_ns += id * 1000u;
	f->r.head->end_ns = f->r.head->start_ns + id * 1000u;
	record_put(&f->r, RECORD_NAME, bytes_of(name));
	fixture_end(f);
}

Test(console, draws_children_under_their_parents)
{
	static struct fixture f[7];
	const struct record_head *records[7];

	fixture_add("service.name", "shop", 0);
	/* children are committed before their parents, and traces mix */
	span(&f[0], 0x11, 3, 2, "grandchild");
	span(&f[1], 0x22, 9, 0, "other");
	span(&f[2], 0x11, 4, 1, "second");
	span(&f[3], 0x11, 2, 1, "first");
	span(&f[4], 0x11, 5, 4, "nephew");
	span(&f[5], 0x11, 1, 0, "root");
	span(&f[6], 0x22, 8, 7, "orphan");
	for (int i = 0; i < 7; i++)
		records[i] = f[i].r.head;
	cr_assert_str_eq(draw(records, 7), "trace 11111111111111111111111111111111  shop\n"
					   "  SERVER root  1.00 us\n"
					   "  |- SERVER first  2.00 us\n"
					   "  |  `- SERVER grandchild  3.00 us\n"
					   "  `- SERVER second  4.00 us\n"
					   "     `- SERVER nephew  5.00 us\n"
					   "trace 22222222222222222222222222222222  shop\n"
					   "  SERVER orphan  8.00 us  parent=0707070707070707\n"
					   "  SERVER other  9.00 us\n");
}

Test(console, shows_status_link_and_key_attributes)
{
	struct record_link link = { .trace_id = { 1 }, .span_id = { 1 } };
	static struct fixture f[2];
	const struct record_head *records[2];

	for (int i = 0; i < 2; i++) {
		fixture_begin(&f[i], 0x11, (uint8_t)(0x21 + i));
		fixture_put_usual(&f[i].r);
		records[i] = f[i].r.head;
	}
	f[1].r.head->status = STATUS_ERROR;
	f[1].r.head->kind = SPAN_CLIENT;
	memset(f[1].r.head->parent_id, 0x21, 8);
	record_put(&f[1].r, ATTRIBUTE_ERROR_TYPE, BYTES("timeout"));
	record_put(&f[1].r, RECORD_STATUS_MESSAGE, BYTES("no answer"));
	record_put(&f[1].r, ATTRIBUTE_TAGALONG_LINK, BYTES("thread"));
	record_put_link(&f[1].r, &link, BYTES(""));
	fixture_end(&f[0]);
	fixture_end(&f[1]);
#define VALUES                                                                     \
	"url.path=/users/4711  server.address=api.example.com  server.port=8080  " \
	"client.address=192.0.2.33  user_agent.original=curl/7.88.1\n"
	cr_assert_str_eq(draw(records, 2),
			 "trace 11111111111111111111111111111111  \n"
			 "  SERVER GET /users/{id} 200  1.50 ms\n"
			 "  |  " VALUES
			 "  `- CLIENT GET /users/{id} 200  1.50 ms  ERROR timeout: no "
			 "answer  link=thread  links=1\n"
			 "        " VALUES);
}

Test(console, shows_how_a_call_ended)
{
	static struct fixture f[2];
	const struct record_head *records[2];

	for (int i = 0; i < 2; i++) {
		fixture_begin(&f[i], 0x11, (uint8_t)(0x21 + i));
		record_put(&f[i].r, RECORD_NAME, BYTES("shop.v1.Cart/Add"));
		record_put(&f[i].r, ATTRIBUTE_RPC_METHOD, BYTES("shop.v1.Cart/Add"));
		record_put(&f[i].r, ATTRIBUTE_RPC_RESPONSE_STATUS_CODE, BYTES("NOT_FOUND"));
		record_put(&f[i].r, ATTRIBUTE_SERVER_ADDRESS, BYTES("shop"));
		records[i] = f[i].r.head;
	}
	memset(f[1].r.head->parent_id, 0x21, 8);
	f[1].r.head->kind = SPAN_CLIENT;
	f[1].r.head->status = STATUS_ERROR;
	record_put(&f[1].r, ATTRIBUTE_ERROR_TYPE, BYTES("NOT_FOUND"));
	record_put(&f[1].r, RECORD_STATUS_MESSAGE, BYTES("no cart"));
	fixture_end(&f[0]);
	fixture_end(&f[1]);
	cr_assert_str_eq(
		strchr(draw(records, 2), '\n') + 1,
		"  SERVER shop.v1.Cart/Add NOT_FOUND  1.50 ms\n"
		"  |  server.address=shop\n"
		"  `- CLIENT shop.v1.Cart/Add NOT_FOUND  1.50 ms  ERROR NOT_FOUND: no cart\n"
		"        server.address=shop\n");
}

Test(console, writes_nothing_that_steers_a_terminal)
{
	static struct fixture f;
	const struct record_head *record = (void *)f.room;

	span(&f, 1, 1, 0,
	     "\x1b[31mred\r\n\a\xc2\x9b"
	     "2J \xff \xc3\xa9");
	cr_assert_str_eq(strchr(draw(&record, 1), '\n') + 1,
			 "  SERVER ?[31mred?????2J \xef\xbf\xbd \xc3\xa9  1.00 us\n");
}

Test(console, writes_durations_to_three_digits)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = { { 0, "  0 ns" },
		      { 999, "  999 ns" },
		      { 1000, "  1.00 us" },
		      { 12345, "  12.3 us" },
		      { 999999, "  999 us" },
		      { 1234567, "  1.23 ms" },
		      { 59900000000, "  59.9 s" },
		      { 7200000000000, "  7200 s" } };
	static struct fixture f;
	const struct record_head *record = (void *)f.room;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		span(&f, 1, 1, 0, "x");
		f.r.head->end_ns = f.r.head->start_ns + cases[i].ns;
		cr_assert_not_null(strstr(draw(&record, 1), cases[i].text), "%s", drawn);
	}
	f.r.head->end_ns = f.r.head->start_ns - 1;
	cr_assert_not_null(strstr(draw(&record, 1), "  0 ns"));
}

Test(console, survives_spans_that_are_each_others_parents)
{
	static struct fixture f[4];
	const struct record_head *records[4];
	unsigned lines = 0;

	span(&f[0], 1, 1, 2, "a");
	span(&f[1], 1, 2, 1, "b");
	span(&f[2], 1, 3, 3, "self");
	span(&f[3], 1, 2, 1, "b again");
	for (int i = 0; i < 4; i++)
		records[i] = f[i].r.head;
	draw(records, 4);
	for (const char *p = drawn; (p = strchr(p, '\n')); p++)
		lines++;
	cr_assert_eq(lines, 5, "%s", drawn);
}

Test(console, draws_deep_and_wide_traces_without_recursion)
{
	enum { N = 3000 };
	static struct fixture *f;
	static const struct record_head *records[N];
	unsigned lines = 0;

	f = calloc(N, sizeof(*f));
	for (uint16_t i = 0; i < N; i++) {
		uint16_t id = i + 1, parent = i < N / 2 ? i : 7;

		span(&f[i], 1, 1, 0, "x");
		memset(f[i].r.head->span_id, 0, 8);
		memset(f[i].r.head->parent_id, 0, 8);
		memcpy(f[i].r.head->span_id, &id, 2);
		memcpy(f[i].r.head->parent_id, &parent, 2);
		f[i].r.head->start_ns += id;
		records[N - 1 - i] = f[i].r.head;
	}
	draw(records, N);
	for (const char *p = drawn; (p = strchr(p, '\n')); p++)
		lines++;
	cr_assert_eq(lines, N + 1);
	free(f);
}

Test(console, waits_a_while_for_a_full_pipe_and_no_longer)
{
	int fds[2];

	fixture_batch();
	arena_init(&arena, 1 << 20);
	cr_assert_eq(pipe2(fds, O_NONBLOCK), 0);
	while (write(fds[1], drawn, 4096) > 0)
		;
	cr_assert_eq(console_write(fds[1], &arena, &fixture_resource, fixture_records, 1), -EAGAIN);
	close(fds[0]);
	cr_assert_eq(console_write(fds[1], &arena, &fixture_resource, fixture_records, 1), -EPIPE);
	close(fds[1]);
	cr_assert_eq(console_write(fds[1], &arena, &fixture_resource, fixture_records, 1), -EBADF);
}

Test(console, says_when_memory_is_out)
{
	int fd = open("/dev/null", O_WRONLY), err = -1;
	unsigned failed = 0;

	fixture_batch();
	for (size_t left = 30000; err; left += 64) {
		arena_left(&arena, left);
		err = console_write(fd, &arena, &fixture_resource, fixture_records, FIXTURE_SPANS);
		cr_assert(err == 0 || err == -ENOMEM);
		failed += err != 0;
		cr_assert_lt(left, ARENA_CHUNK);
	}
	cr_assert_gt(failed, 10);
	close(fd);
}
