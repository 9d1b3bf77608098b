/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include "base/counters.h"

struct seen {
	unsigned n;
	uint64_t sum, exports;
	const char *last;
};

static void see(void *arg, const char *name, uint64_t value)
{
	struct seen *s = arg;

	s->n++;
	s->sum += value;
	s->last = name;
	if (strcmp(name, "exports") == 0)
		s->exports = value;
}

Test(counters, are_all_named_and_start_at_zero)
{
	struct seen s = { 0 };

	counters_each(see, &s);
	cr_assert_eq(s.n, sizeof(struct counters) / sizeof(uint64_t));
	cr_assert_eq(s.sum, 0);
}

Test(counters, count_and_go_back_to_zero_in_a_child)
{
	struct seen s = { 0 };

	count(exports);
	count_add(exports, 41);
	counters_each(see, &s);
	cr_assert_eq(s.exports, 42);
	cr_assert_eq(s.sum, 42);
	cr_assert_eq(counted(exports), 42);
	counters_reset();
	cr_assert_eq(counted(exports), 0);
}

Test(counters, go_on_in_memory_that_somebody_else_reads)
{
	struct counters shared = { 0 }, sum = { 0 };
	struct counters *before = atomic_load(&counters_place);
	struct seen s = { 0 };

	count_add(exports, 2);
	counters_move(&shared);
	count(exports);
	cr_assert_eq(atomic_load(&shared.exports), 3);
	cr_assert_eq(counted(exports), 3);
	/* a thread that had read the old place */
	atomic_fetch_add(&before->exports, 1);
	cr_assert_eq(counted(exports), 4);
	counters_each(see, &s);
	cr_assert_eq(s.exports, 4);
	counters_settle();
	cr_assert_eq(atomic_load(&shared.exports), 4);
	cr_assert_eq(counted(exports), 4);
	counters_add(&sum, &shared);
	counters_add(&sum, &shared);
	cr_assert_eq(atomic_load(&sum.exports), 8);
	counters_reset();
	count(exports);
	cr_assert_eq(atomic_load(&shared.exports), 4);
	cr_assert_eq(counted(exports), 1);
}
