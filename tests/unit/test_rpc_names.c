/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include "shim/rpc_names.h"

#define THREADS 4

static bool admit(unsigned i)
{
	char name[32];
	int n = snprintf(name, sizeof(name), "shop.v1.Cart/Get%u", i);

	return rpc_names_admit((struct bytes){ name, (size_t)n });
}

Test(rpc_names, admits_the_first_thousand_for_good)
{
	for (unsigned i = 0; i < RPC_NAMES_MAX; i++)
		cr_assert(admit(i), "%u", i);
	for (unsigned i = RPC_NAMES_MAX; i < 3 * RPC_NAMES_MAX; i++)
		cr_assert_not(admit(i), "%u", i);
	for (unsigned i = 0; i < RPC_NAMES_MAX; i++)
		cr_assert(admit(i), "%u", i);
}

static void *admit_many(void *from)
{
	unsigned *admitted = from, first = *admitted;

	*admitted = 0;
	for (unsigned i = 0; i < 2 * RPC_NAMES_MAX; i++)
		*admitted += admit(first + i);
	return NULL;
}

/* All name the same 2,000, from another start each. */
Test(rpc_names, admits_no_more_to_threads_that_ask_at_once)
{
	pthread_t thread[THREADS];
	unsigned from[THREADS], admitted = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		from[i] = i * RPC_NAMES_MAX / THREADS;
		cr_assert_eq(pthread_create(&thread[i], NULL, admit_many, &from[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	for (unsigned i = 0; i < 3 * RPC_NAMES_MAX; i++)
		admitted += admit(i);
	cr_expect_leq(admitted, RPC_NAMES_MAX);
	cr_expect_geq(admitted, RPC_NAMES_MAX - THREADS, "%u", admitted);
}
