/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include "guard.h"
#include "shim/wire/http1.h"

static const char *const names[HTTP1_FIELD_COUNT] = {
#define FIELD(id, name) name,
	HTTP1_FIELDS(FIELD)
#undef FIELD
};

/* Parses "GET / HTTP/1.1\r\n" lines "\r\n" at a guard page; *in must be freed. */
static struct http1_head parse_lines(const char *lines, struct bytes *in)
{
	static char text[8192];
	struct http1_head head;
	int n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n%s\r\n", lines);

	*in = guard_copy(text, (size_t)n);
	cr_assert_eq(http1_parse_request(&head, *in, 0), n, "%s", lines);
	return head;
}

static bool is_value(struct bytes value, const char *text)
{
	return bytes_equal(value, bytes_of(text));
}

Test(http1_fields, finds_each_field_in_any_case)
{
	for (unsigned id = 0; id < HTTP1_FIELD_COUNT; id++) {
		for (unsigned form = 0; form < 3; form++) {
			char line[64];
			struct bytes in;
			struct http1_head head;
			bool number = id == HTTP1_CONTENT_LENGTH;

			sprintf(line, "%s:  %s \r\n", names[id], number ? "7" : "chunked");
			for (char *c = line; *c != ':'; c++)
				*c = (char)(form == 0 || (form == 1 && c != line) ? *c
										  : toupper(*c));
			head = parse_lines(line, &in);
			for (unsigned other = 0; other < HTTP1_FIELD_COUNT; other++)
				cr_expect_eq(head.count[other], other == id, "%s", line);
			cr_expect(is_value(head.field[id], number ? "7" : "chunked"), "%s", line);
			guard_free(in);
		}
	}
}

Test(http1_fields, takes_no_other_name_for_one)
{
	for (unsigned id = 0; id < HTTP1_FIELD_COUNT; id++) {
		for (size_t i = 0; names[id][i]; i++) {
			char line[64];
			struct bytes in;
			struct http1_head head;

			sprintf(line, "%s: 7\r\n", names[id]);
			line[i] = line[i] == '-' ? '_' : (char)(line[i] ^ 1);
			if (isalnum(line[i]) == 0 && line[i] != '_')
				line[i] = 'q';
			head = parse_lines(line, &in);
			for (unsigned other = 0; other < HTTP1_FIELD_COUNT; other++)
				cr_expect_eq(head.count[other], 0, "%s", line);
			guard_free(in);
		}
	}
}

Test(http1_fields, keeps_the_first_value_and_counts_the_rest)
{
	char lines[300 * 10 + 1] = "";
	struct bytes in;
	struct http1_head head = parse_lines("Host: a\r\nhost: b\r\nHOST:\r\n", &in);

	cr_expect(is_value(head.field[HTTP1_HOST], "a"));
	cr_expect_eq(head.count[HTTP1_HOST], 3);
	guard_free(in);

	head = parse_lines("Baggage:\r\nBaggage: a=b\r\n", &in);
	cr_expect_eq(head.field[HTTP1_BAGGAGE].n, 0);
	cr_expect_eq(head.count[HTTP1_BAGGAGE], 2);
	guard_free(in);

	for (unsigned i = 0; i < 300; i++)
		strcpy(lines + 7 * i, "b3: 1\r\n");
	head = parse_lines(lines, &in);
	cr_expect_eq(head.count[HTTP1_B3], 255);
	guard_free(in);
}

Test(http1_fields, keeps_continuation_lines_in_the_value)
{
	struct bytes in;
	struct http1_head head =
		parse_lines("Tracestate: a=1,\r\n  b=2\r\n\t\r\nHost:\r\n h\r\n", &in);

	cr_expect(is_value(head.field[HTTP1_TRACESTATE], "a=1,\r\n  b=2"));
	cr_expect(is_value(head.field[HTTP1_HOST], "h"));
	cr_expect_eq(head.header_count, 2);
	cr_expect_not(head.framing_bad);
	guard_free(in);
}

Test(http1_fields, walks_the_header_lines)
{
	static const char *const expected[][2] = {
		{ "A", "1" }, { "b-B", "two words" }, { "C", "x\r\n y" }, { "D", "" }, { "E", ":" }
	};
	struct bytes in;
	struct http1_head head =
		parse_lines("A:1\r\nb-B: \ttwo words\t \r\nC:x\r\n y\r\nD:   \r\nE::\r\n", &in);
	struct http1_header header;
	size_t pos = head.headers, i = 0;

	for (; http1_next_header(&head, in, &pos, &header); i++) {
		cr_assert_lt(i, 5);
		cr_expect(is_value(header.name, expected[i][0]), "%zu", i);
		cr_expect(is_value(header.value, expected[i][1]), "%zu", i);
	}
	cr_expect_eq(i, 5);
	cr_expect_eq(head.header_count, 5);
	cr_expect_eq(pos, head.blank);
	cr_expect_not(http1_next_header(&head, in, &pos, &header));
	guard_free(in);
}

Test(http1_fields, walks_nothing_when_there_is_nothing)
{
	struct bytes in;
	struct http1_head head = parse_lines("", &in);
	struct http1_header header;
	size_t pos = head.headers;

	cr_expect_eq(head.headers, head.blank);
	cr_expect_not(http1_next_header(&head, in, &pos, &header));
	guard_free(in);
}

Test(http1_fields, tells_whether_a_list_holds_a_token)
{
	static const struct {
		const char *value, *token;
		bool holds;
	} lists[] = {
		{ "close", "close", true },
		{ "CLOSE", "close", true },
		{ "keep-alive, Close", "close", true },
		{ "keep-alive,\tclose ", "close", true },
		{ "close;q=1, x", "close", true },
		{ " , ,close,", "close", true },
		{ "x,\r\n close", "close", true },
		{ "closed", "close", false },
		{ "clos", "close", false },
		{ "close x", "close", false },
		{ "x;close", "close", false },
		{ "", "close", false },
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		struct bytes value = guard_copy(lists[i].value, strlen(lists[i].value));

		cr_expect_eq(http1_list_has(value, bytes_of(lists[i].token)), lists[i].holds, "%s",
			     lists[i].value);
		guard_free(value);
	}
	cr_expect_not(http1_list_has((struct bytes){ NULL, 0 }, BYTES("close")));
}

Test(http1_fields, reads_connection_and_expect)
{
	struct bytes in;
	struct http1_head head = parse_lines("Connection: Upgrade\r\nconnection: x, Keep-Alive\r\n"
					     "Expect: 100-Continue\r\n",
					     &in);

	cr_expect(head.upgrade && head.keep_alive && !head.close && head.expect_continue);
	guard_free(in);
	head = parse_lines("Connection: close\r\nExpect: 200-ok\r\n", &in);
	cr_expect(!head.upgrade && !head.keep_alive && head.close && !head.expect_continue);
	guard_free(in);
	cr_assert_gt(http1_parse_request(&head,
					 BYTES("PUT / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"),
					 0),
		     0);
	cr_expect_not(head.expect_continue);
}
