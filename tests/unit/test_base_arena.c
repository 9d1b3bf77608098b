/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include "base/arena.h"

Test(arena, hands_out_aligned_memory_that_does_not_overlap)
{
	unsigned char *pieces[500];
	struct arena a;

	cr_assert_eq(arena_init(&a, 1 << 20), 0);
	for (size_t i = 0; i < 500; i++) {
		pieces[i] = arena_alloc(&a, i);
		cr_assert_not_null(pieces[i]);
		cr_assert_eq((uintptr_t)pieces[i] % 16, 0);
		memset(pieces[i], (int)i, i);
	}
	for (size_t i = 0; i < 500; i++)
		for (size_t k = 0; k < i; k++)
			cr_assert_eq(pieces[i][k], (unsigned char)i);
	arena_free(&a);
	cr_assert_eq(a.mapped, 0);
}

Test(arena, gives_two_pieces_to_two_requests_of_nothing)
{
	struct arena a;

	cr_assert_eq(arena_init(&a, ARENA_CHUNK), 0);
	cr_assert_neq(arena_alloc(&a, 0), arena_alloc(&a, 0));
	arena_free(&a);
}

Test(arena, never_maps_more_than_its_bound)
{
	struct arena a;
	size_t n = 0;

	cr_assert_eq(arena_init(&a, 4 * ARENA_CHUNK), 0);
	while (arena_alloc(&a, 1000))
		n++;
	cr_assert_eq(a.mapped, 4 * ARENA_CHUNK);
	cr_assert_geq(n, 4 * (ARENA_CHUNK / 1008 - 1));
	cr_assert_null(arena_alloc(&a, ARENA_CHUNK));
	cr_assert_null(arena_alloc(&a, SIZE_MAX));
	cr_assert_null(arena_alloc(&a, SIZE_MAX - 8));
	arena_free(&a);
}

Test(arena, has_room_for_pieces_larger_than_a_chunk)
{
	struct arena a;
	char *large, *small;

	cr_assert_eq(arena_init(&a, 1 << 20), 0);
	large = arena_alloc(&a, 300000);
	small = arena_alloc(&a, 16);
	cr_assert_not_null(large);
	cr_assert_not_null(small);
	memset(large, 'x', 300000);
	memset(small, 'y', 16);
	cr_assert_eq(large[299999], 'x');
	cr_assert_null(arena_alloc(&a, 900000));
	arena_free(&a);
}

Test(arena, starts_over_after_a_reset)
{
	struct arena a;

	cr_assert_eq(arena_init(&a, 8 * ARENA_CHUNK), 0);
	for (int round = 0; round < 1000; round++) {
		for (int i = 0; i < 70; i++)
			cr_assert_not_null(arena_alloc(&a, 5000));
		arena_reset(&a);
		cr_assert_eq(a.mapped, ARENA_CHUNK);
	}
	arena_free(&a);
	arena_reset(&a);
	cr_assert_not_null(arena_alloc(&a, 1));
	arena_free(&a);
}

Test(arena, keeps_no_oversized_first_chunk)
{
	struct arena a;

	cr_assert_eq(arena_init(&a, 1 << 20), 0);
	cr_assert_not_null(arena_alloc(&a, 200000));
	arena_reset(&a);
	cr_assert_eq(a.mapped, 0);
	cr_assert_not_null(arena_alloc(&a, 10));
	arena_free(&a);
}

Test(arena, refuses_a_bound_below_one_chunk)
{
	struct arena a;

	cr_assert_eq(arena_init(&a, ARENA_CHUNK - 1), -EINVAL);
	cr_assert_null(arena_alloc(&a, 1));
}
