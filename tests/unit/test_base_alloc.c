/* SPDX-License-Identifier: Apache-2.0 */
/* The library's allocator for static archives, compiled here under other names. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define malloc  our_malloc
#define calloc  our_calloc
#define realloc our_realloc
#define free    our_free
#include "base/freestanding/alloc.c"
#undef malloc
#undef calloc
#undef realloc
#undef free

Test(alloc, keeps_pieces_of_all_sizes_apart)
{
	char *pieces[64];

	for (int i = 0; i < 64; i++) {
		size_t n = (size_t)i * i * 5;

		pieces[i] = our_malloc(n);
		cr_assert_not_null(pieces[i]);
		cr_assert_eq((uintptr_t)pieces[i] % 16, 0);
		memset(pieces[i], i, n);
	}
	for (int i = 0; i < 64; i++) {
		for (size_t k = 0; k < (size_t)i * i * 5; k++)
			cr_assert_eq(pieces[i][k], i);
		our_free(pieces[i]);
	}
}

Test(alloc, refuses_what_is_past_its_bounds)
{
	size_t n = 0;

	cr_assert_null(our_malloc(SIZE_MAX));
	cr_assert_null(our_malloc(BYTES_A_SIZE));
	cr_assert_null(our_calloc(SIZE_MAX / 2, 3));
	while (our_malloc(500000))
		n++;
	cr_assert_eq(n, 4);
}

Test(alloc, uses_again_what_was_freed)
{
	for (int i = 0; i < 100000; i++) {
		void *p = our_malloc(500000);

		cr_assert_not_null(p);
		our_free(p);
	}
}

Test(alloc, zeroes_what_calloc_gives)
{
	char *p = our_malloc(100);

	memset(p, 'x', 100);
	our_free(p);
	p = our_calloc(10, 10);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(p[i], 0);
}

Test(alloc, keeps_the_content_when_a_piece_grows)
{
	char *p = our_realloc(NULL, 10);

	memcpy(p, "123456789", 10);
	for (size_t n = 20; n < 400000; n *= 2) {
		p = our_realloc(p, n);
		cr_assert_not_null(p);
		cr_assert_str_eq(p, "123456789");
	}
	cr_assert_null(our_realloc(p, 1 << 30));
	cr_assert_str_eq(p, "123456789");
	our_free(p);
}

Test(alloc, ignores_what_is_not_its_own)
{
	char foreign;

	our_free(NULL);
	our_free(&foreign);
}
