/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/id.h"

#define MANY    20000
#define THREADS 4

static int compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, 8);
}

static bool all_zero(const uint8_t *p, size_t n)
{
	while (n--)
		if (*p++)
			return false;
	return true;
}

/* Sorts; the number of neighbours that are equal. */
static int count_twins(uint8_t (*ids)[8], size_t n)
{
	int twins = 0;

	qsort(ids, n, 8, compare_ids);
	for (size_t i = 1; i < n; i++)
		twins += memcmp(ids[i - 1], ids[i], 8) == 0;
	return twins;
}

Test(id, recognises_each_server_span_id_it_made)
{
	uint8_t id[8];

	id_init();
	for (int i = 0; i < MANY; i++) {
		id_new_span(id, ID_SERVER);
		cr_assert(id_is_own_server(id));
		cr_assert(!all_zero(id, 8));
	}
}

Test(id, does_not_take_client_span_ids_for_server_ones)
{
	uint8_t id[8];

	id_init();
	for (int i = 0; i < MANY; i++) {
		id_new_span(id, ID_OTHER);
		cr_assert(!id_is_own_server(id));
	}
}

Test(id, does_not_know_foreign_ids)
{
	uint8_t id[8] = { 0 };

	id_init();
	for (int i = 0; i < MANY; i++)
		id_new_span(id, ID_SERVER);
	memset(id, 0, sizeof(id));
	cr_assert(!id_is_own_server(id));
	for (uint64_t i = 1; i < 2000000; i++) { /* small numbers, as tests and humans choose */
		uint64_t n = __builtin_bswap64(i);

		memcpy(id, &n, 8);
		cr_assert(!id_is_own_server(id));
	}
}

Test(id, does_not_know_an_id_with_one_bit_changed)
{
	uint8_t id[8];

	id_init();
	for (int i = 0; i < MANY; i++) {
		id_new_span(id, ID_SERVER);
		id[i % 8] ^= (uint8_t)(1 << (i / 8 % 8));
		cr_assert(!id_is_own_server(id));
	}
}

Test(id, does_not_know_ids_of_another_key)
{
	static uint8_t ids[1000][8];

	id_init();
	for (int i = 0; i < 1000; i++)
		id_new_span(ids[i], ID_SERVER);
	id_init();
	for (int i = 0; i < 1000; i++)
		cr_assert(!id_is_own_server(ids[i]));
}

Test(id, does_not_know_ids_that_are_yet_to_be_made)
{
	uint8_t id[8];
	int pipes[2], status;

	id_init();
	cr_assert_eq(pipe(pipes), 0);
	if (fork() == 0) { /* without id_init_child(): goes on where the parent will */
		id_new_span(id, ID_SERVER);
		_exit(write(pipes[1], id, 8) == 8 ? 0 : 1);
	}
	cr_assert_eq(read(pipes[0], id, 8), 8);
	wait(&status);
	cr_assert(!id_is_own_server(id));
	{
		uint8_t mine[8];

		id_new_span(mine, ID_SERVER);
		cr_assert_arr_eq(mine, id, 8);
	}
	cr_assert(id_is_own_server(id));
}

Test(id, makes_no_span_id_twice)
{
	static uint8_t ids[MANY][8];

	id_init();
	for (int i = 0; i < MANY; i++)
		id_new_span(ids[i], i % 3 ? ID_SERVER : ID_OTHER);
	cr_assert_eq(count_twins(ids, MANY), 0);
}

Test(id, makes_no_trace_id_twice_not_even_in_its_halves)
{
	static uint8_t high[MANY][8], low[MANY][8];
	uint8_t id[16];

	id_init();
	for (int i = 0; i < MANY; i++) {
		id_new_trace(id);
		cr_assert(!all_zero(id + 8, 8));
		memcpy(high[i], id, 8);
		memcpy(low[i], id + 8, 8);
	}
	cr_assert_eq(count_twins(high, MANY), 0);
	cr_assert_eq(count_twins(low, MANY), 0);
}

/* Each bit is set about half the time, and neighbours differ in about half their bits. */
Test(id, looks_random_in_every_bit)
{
	int set[24][8] = { 0 }, changed = 0;
	uint8_t id[24], before[24] = { 0 };

	id_init();
	for (int i = 0; i < MANY; i++) {
		id_new_trace(id);
		id_new_span(id + 16, ID_SERVER);
		for (int k = 0; k < 24; k++) {
			changed += __builtin_popcount(id[k] ^ before[k]);
			for (int bit = 0; bit < 8; bit++)
				set[k][bit] += id[k] >> bit & 1;
		}
		memcpy(before, id, sizeof(id));
	}
	for (int k = 0; k < 24; k++)
		for (int bit = 0; bit < 8; bit++)
			cr_assert(abs(set[k][bit] - MANY / 2) < MANY / 20, "byte %d bit %d: %d", k,
				  bit, set[k][bit]);
	cr_assert(changed > MANY * 95 && changed < MANY * 97, "%d", changed);
}

struct from_child {
	uint8_t span[8], trace[16];
	bool knows_parent, knows_own, knows_later;
};

/* What a forked child makes and knows; `ids` were made before the fork. */
static struct from_child ask_child(uint8_t id[8], const uint8_t *later)
{
	struct from_child answer;
	int pipes[2], status;
	pid_t pid;

	cr_assert_eq(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		id_init_child();
		id_new_span(answer.span, ID_SERVER);
		id_new_trace(answer.trace);
		answer.knows_parent = id_is_own_server(id);
		answer.knows_own = id_is_own_server(answer.span);
		answer.knows_later = later && id_is_own_server(later);
		_exit(write(pipes[1], &answer, sizeof(answer)) == sizeof(answer) ? 0 : 1);
	}
	cr_assert_eq(read(pipes[0], &answer, sizeof(answer)), sizeof(answer));
	waitpid(pid, &status, 0);
	close(pipes[0]);
	close(pipes[1]);
	return answer;
}

Test(id, lets_a_child_know_its_parents_ids_and_make_its_own)
{
	struct from_child one, two;
	uint8_t id[8];

	id_init();
	id_new_span(id, ID_SERVER);
	one = ask_child(id, NULL);
	two = ask_child(id, one.span);
	cr_assert(one.knows_parent && one.knows_own);
	cr_assert(two.knows_parent && two.knows_own);
	cr_assert(!two.knows_later, "a sibling's id is not one of ours");
	cr_assert(!id_is_own_server(one.span), "a child's id is not its parent's");
	cr_assert(memcmp(one.span, two.span, 8) != 0);
	cr_assert(memcmp(one.trace, two.trace, 16) != 0);
}

Test(id, remembers_sixteen_forebears)
{
	static uint8_t ids[40][8];

	id_init();
	for (int i = 0; i < 40; i++) { /* as in a chain of forks */
		id_new_span(ids[i], ID_SERVER);
		id_init_child();
	}
	for (int i = 0; i < 40; i++)
		cr_assert_eq(id_is_own_server(ids[i]), i >= 40 - 16, "%d", i);
}

Test(id, does_not_waste_memory_of_forebears_on_idle_ones)
{
	uint8_t id[8];

	id_init();
	id_new_span(id, ID_SERVER);
	for (int i = 0; i < 100; i++)
		id_init_child();
	cr_assert(id_is_own_server(id));
}

static uint8_t made[THREADS][MANY][8];

static void *make_ids(void *arg)
{
	uint8_t(*ids)[8] = arg, trace[16];

	for (int i = 0; i < MANY; i++) {
		id_new_span(ids[i], ID_SERVER);
		id_new_trace(trace);
		if (!id_is_own_server(ids[i]) || id_random() == 0)
			return (void *)1;
	}
	return NULL;
}

Test(id, makes_no_id_twice_in_several_threads)
{
	pthread_t threads[THREADS];

	id_init();
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, make_ids, made[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		void *bad;

		pthread_join(threads[i], &bad);
		cr_assert_null(bad);
	}
	cr_assert_eq(count_twins(made[0], (size_t)THREADS * MANY), 0);
}

Test(id, writes_uuids_of_version_4)
{
	char one[37], two[37];

	id_init();
	for (int i = 0; i < 1000; i++) {
		id_new_uuid(one);
		id_new_uuid(two);
		cr_assert(strcmp(one, two) != 0);
		cr_assert_eq(strlen(one), 36);
		cr_assert_eq(strspn(one, "0123456789abcdef-"), 36);
		cr_assert(one[8] == '-' && one[13] == '-' && one[18] == '-' && one[23] == '-');
		cr_assert_eq(one[14], '4');
		cr_assert_not_null(strchr("89ab", one[19]));
	}
}
