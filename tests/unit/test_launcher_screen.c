/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include "guard.h"
#include "launcher/screen.h"

/* Opening a screen chooses the character tables. */
static void use_utf8(void)
{
	struct screen screen;

	setenv("LC_ALL", "C.UTF-8", 1);
	screen_open(&screen, stdout);
}

TestSuite(screen, .init = use_utf8);

static void assert_fits(const char *text, size_t columns, const char *want, size_t want_columns)
{
	char out[FIT_ROOM(64)];
	struct bytes b = guard_copy(text, strlen(text) + 1);
	size_t used = text_fit(out, sizeof(out), b.p, columns, true);

	cr_assert_str_eq(out, want, "'%s' in %zu: '%s'", text, columns, out);
	cr_assert_eq(used, want_columns, "'%s' in %zu: %zu columns", text, columns, used);
	guard_free(b);
}

Test(screen, keeps_what_fits)
{
	assert_fits("", 0, "", 0);
	assert_fits("", 5, "", 0);
	assert_fits("nginx", 5, "nginx", 5);
	assert_fits("nginx", 9, "nginx", 5);
}

Test(screen, cuts_with_an_ellipsis)
{
	assert_fits("nginx", 4, "ngi…", 4);
	assert_fits("nginx", 1, "…", 1);
	assert_fits("nginx", 0, "", 0);
}

Test(screen, never_cuts_inside_a_character)
{
	static const char *const text = "дом日本語é";
	char out[FIT_ROOM(64)];

	for (size_t columns = 0; columns < 12; columns++) {
		size_t used = text_fit(out, sizeof(out), text, columns, true);

		cr_assert_leq(used, columns);
		cr_assert_eq(text_columns(out), used);
		cr_assert_null(strstr(out, "\xef\xbf\xbd"), "%zu: %s", columns, out);
	}
}

Test(screen, counts_wide_and_combining_characters)
{
	cr_assert_eq(text_columns("日本"), 4);
	cr_assert_eq(text_columns("e\xcc\x81"), 1);
	assert_fits("日本語", 5, "日本…", 5);
	assert_fits("日本語", 4, "日…", 3);
	assert_fits("日本語", 2, "…", 1);
}

Test(screen, shows_no_control_characters)
{
	assert_fits("a\033[31mb", 20, "a\xef\xbf\xbd[31mb", 7);
	assert_fits("a\x07\x7f", 20, "a\xef\xbf\xbd\xef\xbf\xbd", 3);
	assert_fits("\xc2\x9b"
		    "31m",
		    20,
		    "\xef\xbf\xbd"
		    "31m",
		    4);
	/* right-to-left override */
	assert_fits("a\xe2\x80\xae"
		    "b",
		    20,
		    "a\xef\xbf\xbd"
		    "b",
		    3);
}

Test(screen, replaces_bytes_that_are_not_utf8)
{
	assert_fits("a\xff\xc3", 20, "a\xef\xbf\xbd\xef\xbf\xbd", 3);
	assert_fits("\xc0\x80", 20, "\xef\xbf\xbd\xef\xbf\xbd", 2);
	assert_fits("\xed\xa0\x80", 20, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 3);
	assert_fits("\xf0\x9f\x98", 20, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 3);
}

Test(screen, writes_ascii_only_when_asked)
{
	char out[FIT_ROOM(64)];

	text_fit(out, sizeof(out), "дe\xcc\x81\x1b", 20, false);
	cr_assert_str_eq(out, "?e?");
	text_fit(out, sizeof(out), "abcdef", 4, false);
	cr_assert_str_eq(out, "abc~");
}

Test(screen, stays_in_its_room_when_marks_pile_up)
{
	char text[4096], out[64];
	size_t n = 0;

	text[n++] = 'a';
	while (n + 2 < sizeof(text)) {
		text[n++] = '\xcc';
		text[n++] = '\x81';
	}
	text[n] = '\0';
	text_fit(out, sizeof(out), text, 10, true);
	cr_assert_lt(strlen(out), sizeof(out));
}

Test(screen, takes_its_width_from_columns)
{
	struct screen screen;

	setenv("COLUMNS", "61", 1);
	screen_open(&screen, stdout);
	cr_assert_eq(screen.width, 61);
	setenv("COLUMNS", "3", 1);
	screen_open(&screen, stdout);
	cr_assert_eq(screen.width, SCREEN_WIDTH_MIN);
	setenv("COLUMNS", "100000", 1);
	screen_open(&screen, stdout);
	cr_assert_eq(screen.width, SCREEN_WIDTH_MAX);
}

static void assert_wraps(unsigned width, unsigned indent, const char *text, const char *want)
{
	char *out = NULL;
	size_t n;
	struct screen screen = { .out = open_memstream(&out, &n), .width = width };

	screen_wrap(&screen, indent, text);
	fclose(screen.out);
	cr_assert_str_eq(out, want, "%s", out);
	free(out);
}

Test(screen, wraps_at_words)
{
	assert_wraps(44, 2, "one two three four five six seven eight nine",
		     "  one two three four five six seven eight\n  nine\n");
	assert_wraps(40, 0, "short\n\n  kept as it is, however long it may be for this\n",
		     "short\n\n  kept as it is, however long it may be for this\n");
}

Test(screen, leaves_long_words_whole)
{
	assert_wraps(40, 0, "see /a/very/long/path/that/does/not/fit/into/a/line/at/all ok",
		     "see\n/a/very/long/path/that/does/not/fit/into/a/line/at/all\nok\n");
}
