/* SPDX-License-Identifier: Apache-2.0 */
/* Where objects are kept: as many as are open at once say how much memory is used, not as many as
 * there ever were. The objects are addresses, of a library that knows nothing of them. */
#include <criterion/criterion.h>
#include "base/counters.h"
#include "shim/tls.h"
#include "shim_fixture.h"

#define APART 1000 /* bytes from one object to the next */

static int no(const void *ssl)
{
	(void)ssl;
	return 0;
}

static int yes(const void *ssl)
{
	(void)ssl;
	return 1;
}

static unsigned long no_options(const void *ssl)
{
	(void)ssl;
	return 0;
}

static const struct shim_tls_library library = {
	.is_server = no, .in_init = yes, .in_before = no, .get_options = no_options
};

static void start(void)
{
	fixture_start(NULL);
	cr_assert(shim_tls_start());
}

TestSuite(tls_places, .init = start, .timeout = 60);

static const void *object(size_t n)
{
	return (const void *)(uintptr_t)(0x10000 + n * APART);
}

static int number_of(size_t n)
{
	struct tls_place *p = tls_place(&library, object(n));

	cr_assert(p, "%zu", n);
	cr_assert_eq(tls_place(&library, object(n)), p);
	return tls_number(p) - TLS_FIRST;
}

Test(tls_places, many_that_come_and_go_use_the_memory_of_few)
{
	int highest = 0;

	for (size_t i = 0; i < 100000; i++) {
		int n = number_of(i);

		highest = n > highest ? n : highest;
		if (i >= 100)
			shim_tls_end(object(i - 100), true);
	}
	cr_assert_lt(highest, 512);
	cr_assert_eq(counted(untracked_memory), 0);
}

Test(tls_places, each_of_many_open_at_once_has_its_own)
{
	static bool taken[TLS_PLACES];
	size_t open = 8000;

	for (size_t i = 0; i < open; i++) {
		int n = number_of(i);

		cr_assert(!taken[n], "%zu", i);
		taken[n] = true;
	}
	for (size_t i = 0; i < open; i += 2)
		shim_tls_end(object(i), true);
	/* What was found further on, since all before was taken, is found there still. */
	for (size_t i = 1; i < open; i += 2)
		cr_assert(taken[number_of(i)], "%zu", i);
	cr_assert_eq(counted(untracked_memory), 0);
}
