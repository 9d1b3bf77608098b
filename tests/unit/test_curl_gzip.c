/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include "exporter/curl/gzip.h"
#include "guard.h"

static struct gzip_buffer packed, plain;

static void pack(struct bytes in)
{
	packed.n = 0;
	cr_assert_eq(gzip_compress(&packed, in), 0);
}

static int expand(struct bytes in, size_t max)
{
	struct bytes copy = guard_copy(in.p, in.n);
	int err;

	plain.n = 0;
	err = gzip_expand(&plain, copy, max);
	guard_free(copy);
	return err;
}

static struct bytes packed_bytes(void)
{
	return (struct bytes){ packed.p, packed.n };
}

Test(gzip, what_is_packed_comes_back)
{
	static char text[100000];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * i / 7 % 251);
	for (size_t n = 0; n <= sizeof(text); n = n * 3 + 1) {
		pack((struct bytes){ text, n });
		cr_assert_arr_eq(packed.p, "\x1f\x8b", 2);
		cr_assert_eq(expand(packed_bytes(), sizeof(text)), 0);
		cr_assert_eq(plain.n, n);
		cr_assert_arr_eq(plain.p, text, n);
	}
}

Test(gzip, appends_to_what_is_there)
{
	packed.n = 0;
	cr_assert_eq(gzip_reserve(&packed, 5), 0);
	memcpy(packed.p, "12345", 5);
	packed.n = 5;
	cr_assert_eq(gzip_compress(&packed, BYTES("abc")), 0);
	cr_assert_arr_eq(packed.p, "12345\x1f\x8b", 7);
	cr_assert_eq(expand((struct bytes){ packed.p + 5, packed.n - 5 }, 3), 0);
	cr_assert_arr_eq(plain.p, "abc", 3);
}

Test(gzip, refuses_what_is_cut_or_no_gzip)
{
	pack(BYTES("a text of some length, of some length, of some length"));
	for (size_t n = 0; n < packed.n; n++)
		cr_assert_eq(expand((struct bytes){ packed.p, n }, 1000), -EINVAL, "%zu", n);
	cr_assert_eq(expand(BYTES("plain text that is no gzip"), 1000), -EINVAL);
	for (size_t i = 0; i < packed.n; i++) {
		packed.p[i] ^= 0x55;
		expand(packed_bytes(), 1000);
		packed.p[i] ^= 0x55;
	}
}

Test(gzip, a_bomb_ends_at_the_limit)
{
	static char zeros[8 << 20];

	pack((struct bytes){ zeros, sizeof(zeros) });
	cr_assert_lt(packed.n, 10000);
	cr_assert_eq(expand(packed_bytes(), 4 << 20), -EFBIG);
	cr_assert_leq(plain.size, 16 << 20);
	cr_assert_eq(expand(packed_bytes(), 8 << 20), 0);
}
