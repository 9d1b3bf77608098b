/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/text.h"
#include "guard.h"

/* What printf makes of it must be what we make of it, for each size of buffer. */
static void __attribute__((format(printf, 1, 2))) same_as_printf(const char *format, ...)
{
	char expected[512];
	va_list args, again;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(expected, sizeof(expected), format, args);
	va_end(args);
	cr_assert(n >= 0 && (size_t)n < sizeof(expected));
	for (size_t size = 1; size <= (size_t)n + 2; size++) {
		struct bytes room = guard_copy(expected, size);
		struct text t = { .p = (char *)room.p, .size = size };
		va_list copy;

		va_copy(copy, again);
		text_vformat(&t, format, copy);
		va_end(copy);
		cr_assert_eq(t.cut, size < (size_t)n, "%s at %zu", format, size);
		cr_assert_eq(t.n, size < (size_t)n ? size : (size_t)n, "%s at %zu", format, size);
		cr_assert(memcmp(t.p, expected, t.n) == 0, "%s at %zu: %.*s, not %s", format, size,
			  (int)t.n, t.p, expected);
		guard_free(room);
	}
	va_end(again);
}

Test(text, formats_as_printf_does)
{
	same_as_printf("plain");
	same_as_printf("%s and %s", "one", "");
	same_as_printf("%c%c", 'a', '%');
	same_as_printf("%d %d %d %i", 0, INT_MAX, INT_MIN, -7);
	same_as_printf("%u %u", 0u, UINT_MAX);
	same_as_printf("%ld %ld %lu", LONG_MIN, LONG_MAX, ULONG_MAX);
	same_as_printf("%lld %lld %llu", LLONG_MIN, LLONG_MAX, ULLONG_MAX);
	same_as_printf("%zu %zx", SIZE_MAX, SIZE_MAX);
	same_as_printf("%x %X %lx %llx", 0u, 0xdeadbeefu, 0xabcul, ULLONG_MAX);
	same_as_printf("%hhx %hu %hhd", (unsigned char)0xab, (unsigned short)65535,
		       (signed char)-1);
	same_as_printf("100%%");
	same_as_printf("%.*s|%.*s|%.3s", 3, "abcdef", 0, "x", "abcdef");
	same_as_printf("%.*s", -1, "all of it");
	same_as_printf("%p", (void *)0x1234abcd);
}

Test(text, formats_widths_as_printf_does)
{
	same_as_printf("%02x%02x", 1u, 0xabu);
	same_as_printf("%03u.%09llu", 7u, 123ull);
	same_as_printf("%05d %05d %5d %-5d|", 42, -42, -42, -42);
	same_as_printf("%0*d %*d %-*d|", 4, 7, 4, 7, 4, 7);
	same_as_printf("%*d|", -4, 7);
	same_as_printf("%10s|%-10s|%2s", "right", "left", "too wide");
	same_as_printf("%-8.3s|%8.*s|", "abcdef", 2, "abcdef");
	same_as_printf("%016llx %08lx", 0x1234567890ull, 0xfful);
	same_as_printf("%3c|%-3c|", 'a', 'b');
	same_as_printf("%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", 2024, 1, 31, 23, 5, 9, 7u);
}

Test(text, ends_at_an_unknown_conversion)
{
	char room[64];
	struct text t = TEXT_ON(room);
	const char *volatile format = "before %k after %s"; /* hidden from the compiler's check */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
	text_format(&t, format, "x");
#pragma GCC diagnostic pop
	cr_assert_str_eq(text_string(&t), "before ");
	cr_assert(t.cut);
}

Test(text, ends_at_a_lone_percent)
{
	char room[64];
	struct text t = TEXT_ON(room);
	const char *volatile format = "half %";

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
	text_format(&t, format);
#pragma GCC diagnostic pop
	cr_assert_str_eq(text_string(&t), "half ");
}

Test(text, says_null_for_a_null_string)
{
	char room[64];
	struct text t = TEXT_ON(room);
	const char *volatile nothing = NULL;

	text_format(&t, "<%s> <%.2s>", nothing, nothing);
	cr_assert_str_eq(text_string(&t), "<(null)> <(n>");
}

Test(text, puts_all_of_a_piece_or_nothing)
{
	char room[4];
	struct text t = TEXT_ON(room);

	text_put(&t, BYTES("abc"));
	cr_assert(!t.cut);
	text_put(&t, BYTES("de"));
	cr_assert(t.cut);
	cr_assert_eq(t.n, 3);
}

Test(text, puts_nothing_after_a_cut)
{
	char room[8];
	struct text t = TEXT_ON(room);

	text_put_string(&t, "abcdef");
	text_put_u64(&t, 1234);
	text_put_char(&t, 'x');
	text_put_hex(&t, (const uint8_t *)"a", 1);
	text_put_i64(&t, -1);
	text_format(&t, "%d", 1);
	cr_assert(t.cut);
	cr_assert_str_eq(text_string(&t), "abcdef");
}

Test(text, fills_its_room_exactly)
{
	struct bytes room = guard_copy("xxxx", 4);
	struct text t = { .p = (char *)room.p, .size = 4 };

	text_put_hex(&t, (const uint8_t *)"\xab\x01", 2);
	cr_assert(!t.cut);
	cr_assert(bytes_equal(text_bytes(&t), BYTES("ab01")));
	cr_assert_str_eq(text_string(&t), "ab0");
	cr_assert(t.cut);
	guard_free(room);
}

Test(text, puts_the_ends_of_the_number_ranges)
{
	char room[128];
	struct text t = TEXT_ON(room);

	text_put_u64(&t, UINT64_MAX);
	text_put_char(&t, ' ');
	text_put_i64(&t, INT64_MIN);
	text_put_char(&t, ' ');
	text_put_i64(&t, 0);
	cr_assert_str_eq(text_string(&t), "18446744073709551615 -9223372036854775808 0");
}

Test(text, takes_no_room_at_all)
{
	struct text t = { 0 };

	text_put(&t, (struct bytes){ NULL, 0 });
	cr_assert(!t.cut);
	text_format(&t, "%s", "");
	cr_assert(!t.cut);
	text_put_char(&t, 'x');
	cr_assert(t.cut);
}

Test(text, cuts_a_value_of_64_kib)
{
	static char large[65536 + 1];
	char room[100];
	struct text t = TEXT_ON(room);

	memset(large, 'v', sizeof(large) - 1);
	text_format(&t, "value=%s!", large);
	cr_assert(t.cut);
	cr_assert_eq(t.n, sizeof(room));
	cr_assert(memcmp(room, "value=vvv", 9) == 0);
	t = TEXT_ON(room);
	text_format(&t, "%*d", 2000000000, 1);
	cr_assert(t.cut);
	cr_assert_eq(t.n, sizeof(room));
}

/* RFC 4648 section 10 */
Test(text, writes_base64)
{
	static const char *const padded[] = { "",         "Zg==",     "Zm8=",    "Zm9v",
					      "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };
	static const char *const bare[] = {
		"", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"
	};
	char room[16];

	for (size_t n = 0; n <= 6; n++) {
		struct text t = TEXT_ON(room);

		text_put_base64(&t, (const uint8_t *)"foobar", n, true);
		cr_expect_str_eq(text_string(&t), padded[n]);
		t = TEXT_ON(room);
		text_put_base64(&t, (const uint8_t *)"foobar", n, false);
		cr_expect_str_eq(text_string(&t), bare[n]);
	}
}
