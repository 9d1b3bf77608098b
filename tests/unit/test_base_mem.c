/* SPDX-License-Identifier: Apache-2.0 */
/* The library's own mem functions, compiled here under other names beside libc's. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "guard.h"

#define memcpy  our_memcpy
#define memmove our_memmove
#define memset  our_memset
#define memcmp  our_memcmp
#define memchr  our_memchr
#define strlen  our_strlen
#define strcmp  our_strcmp
#define strncmp our_strncmp
#include "base/freestanding/mem.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strcmp
#undef strncmp

#define LONGEST 200

static char text[4 * LONGEST];

static void fill(void)
{
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7 + i / 256);
}

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

Test(mem, copies_every_length_up_to_the_guard_page)
{
	fill();
	for (size_t n = 0; n <= LONGEST; n++) {
		struct bytes from = guard_copy(text, n), to = guard_copy(text + LONGEST, n);

		cr_assert_eq(our_memcpy((char *)to.p, from.p, n), to.p);
		cr_assert(memcmp(to.p, text, n) == 0, "%zu", n);
		guard_free(from);
		guard_free(to);
	}
}

Test(mem, touches_nothing_beside_what_it_copies)
{
	char room[LONGEST + 2];

	fill();
	for (size_t n = 0; n <= LONGEST; n++) {
		memset(room, '#', sizeof(room));
		our_memcpy(room + 1, text, n);
		cr_assert_eq(room[0], '#');
		cr_assert_eq(room[n + 1], '#');
		our_memset(room + 1, 0, n);
		cr_assert_eq(room[0], '#');
		cr_assert_eq(room[n + 1], '#');
	}
}

Test(mem, moves_overlapping_areas_by_every_distance)
{
	char ours[4 * LONGEST], theirs[4 * LONGEST];

	fill();
	for (size_t n = 0; n <= LONGEST; n++) {
		for (size_t distance = 0; distance <= n + 1; distance++) {
			memcpy(ours, text, sizeof(text));
			memcpy(theirs, text, sizeof(text));
			our_memmove(ours + distance, ours, n);
			memmove(theirs + distance, theirs, n);
			cr_assert(memcmp(ours, theirs, sizeof(ours)) == 0, "up %zu %zu", n,
				  distance);
			our_memmove(ours, ours + distance, n);
			memmove(theirs, theirs + distance, n);
			cr_assert(memcmp(ours, theirs, sizeof(ours)) == 0, "down %zu %zu", n,
				  distance);
		}
	}
}

Test(mem, sets_every_length)
{
	for (size_t n = 0; n <= LONGEST; n++) {
		struct bytes b = guard_copy(text, n);

		cr_assert_eq(our_memset((char *)b.p, 0x1a5, n), b.p);
		for (size_t i = 0; i < n; i++)
			cr_assert_eq((uint8_t)b.p[i], 0xa5);
		guard_free(b);
	}
}

Test(mem, compares_as_libc_does_wherever_the_difference_is)
{
	fill();
	for (size_t n = 0; n <= LONGEST; n++) {
		struct bytes a = guard_copy(text, n), b = guard_copy(text, n);

		cr_assert_eq(our_memcmp(a.p, b.p, n), 0);
		for (size_t i = 0; i < n; i++) {
			((char *)b.p)[i] ^= (char)0x80;
			if (i + 1 < n) /* a later, contrary difference does not count */
				((char *)b.p)[i + 1] ^= (char)0xff;
			cr_assert_eq(sign(our_memcmp(a.p, b.p, n)), sign(memcmp(a.p, b.p, n)));
			((char *)b.p)[i] ^= (char)0x80;
			if (i + 1 < n)
				((char *)b.p)[i + 1] ^= (char)0xff;
		}
		guard_free(a);
		guard_free(b);
	}
}

Test(mem, finds_the_first_of_a_character)
{
	char zeros[LONGEST] = { 0 };

	for (size_t n = 0; n <= LONGEST; n++) {
		struct bytes b = guard_copy(zeros, n);

		cr_assert_null(our_memchr(b.p, 0xfe, n));
		for (size_t i = 0; i < n; i++) {
			((char *)b.p)[i] = (char)0xfe;
			if (i + 3 < n)
				((char *)b.p)[i + 3] = (char)0xfe;
			cr_assert_eq(our_memchr(b.p, 0xfe, n), b.p + i);
			((char *)b.p)[i] = 0;
			if (i + 3 < n)
				((char *)b.p)[i + 3] = 0;
		}
		guard_free(b);
	}
}

Test(mem, measures_and_compares_strings)
{
	static const char *const some[] = { "", "a", "ab", "abc", "abd", "b", "\xff", "ab\x80" };

	for (size_t i = 0; i < 8; i++) {
		struct bytes a = guard_copy(some[i], strlen(some[i]) + 1);

		cr_assert_eq(our_strlen(a.p), strlen(some[i]));
		for (size_t k = 0; k < 8; k++) {
			struct bytes b = guard_copy(some[k], strlen(some[k]) + 1);

			cr_assert_eq(sign(our_strcmp(a.p, b.p)), sign(strcmp(a.p, b.p)));
			for (size_t n = 0; n < 5; n++)
				cr_assert_eq(sign(our_strncmp(a.p, b.p, n)),
					     sign(strncmp(a.p, b.p, n)));
			guard_free(b);
		}
		guard_free(a);
	}
}
