/* SPDX-License-Identifier: Apache-2.0 */
/* A decoder's memory: given back whole, bounded, and gone at any moment. */
#include <pthread.h>
#include <sys/wait.h>
#include "hpack_blocks.h"
#include "shim/hpack_memory.h"

#define BLOCK_MAX 200000

static char block[BLOCK_MAX];

/* `count` entries of new names and of values of `n` bytes each for the table, in one block. */
static struct bytes entries(unsigned count, size_t n)
{
	static char value[BLOCK_MAX];
	size_t at = 0;

	memset(value, 'v', n);
	for (unsigned i = 0; i < count; i++) {
		char name[16];
		int length = snprintf(name, sizeof(name), "x-%u", i);
		size_t put = hpack_put(block + at, sizeof(block) - at,
				       (struct bytes){ name, (size_t)length },
				       (struct bytes){ value, n });

		cr_assert_gt(put, 0);
		block[at] = 0x40; /* with indexing */
		at += put;
	}
	return (struct bytes){ block, at };
}

static int read_all(struct hpack *h, struct bytes in)
{
	struct hpack_field f;
	size_t pos = 0;
	int result;

	while ((result = hpack_next(h, in, &pos, &f)) == 1)
		;
	return result;
}

/* A table of 64 KiB, announced in a block of its own. */
static struct hpack *open_large(void)
{
	struct hpack *h = hpack_open();
	char text[16];

	cr_assert_not_null(h);
	cr_assert_eq(hpack_limit_table(h, HPACK_TABLE_MAX), 0);
	cr_assert_eq(read_hex(h, "3f e1 ff 03", text, sizeof(text)), 0);
	return h;
}

Test(hpack_memory, comes_back_when_decoders_close)
{
	struct hpack *h[8];

	for (unsigned i = 0; i < COUNT(h); i++) {
		h[i] = open_large();
		cr_expect_eq(read_all(h[i], entries(i * 100, i * 20)), 0);
	}
	cr_expect_gt(hpack_memory_in_use(), 8 * 1024);
	for (unsigned i = 0; i < COUNT(h); i++)
		hpack_close(h[i]);
	cr_expect_eq(hpack_memory_in_use(), 0);
}

Test(hpack_memory, stays_bounded_with_the_largest_table)
{
	static const struct {
		unsigned count;
		size_t n;
	} tables[] = { { 2000, 0 },  { 1800, 30 }, { 700, 100 },
		       { 60, 1024 }, { 3, 30000 }, { 2, 65000 } };

	for (unsigned i = 0; i < COUNT(tables); i++) {
		struct hpack *h = open_large();

		for (unsigned again = 0; again < 3; again++)
			cr_expect_eq(read_all(h, entries(tables[i].count, tables[i].n)), 0);
		cr_expect_lt(h->memory.held, HPACK_HELD_MAX);
		hpack_close(h);
	}
	cr_expect_eq(hpack_memory_in_use(), 0);
}

/* Decodes under each limit until nothing is missing; each allocation fails once as the first. */
static void expect_recovery(struct bytes in)
{
	size_t limit = 0;
	int result;

	do {
		struct hpack *h = open_large();

		h->memory.limit = h->memory.held + limit;
		result = read_all(h, in);
		cr_expect(result == 0 || result == -ENOMEM, "%zu: %d", limit, result);
		cr_expect_eq(read_all(h, BYTES("\x82")), result, "%zu", limit);
		cr_expect_leq(h->memory.held, h->memory.limit);
		hpack_close(h);
		cr_expect_eq(hpack_memory_in_use(), 0, "%zu", limit);
		limit += 16;
	} while (result != 0 && limit < HPACK_HELD_MAX);
	cr_expect_gt(limit, 16);
}

Test(hpack_memory, may_be_missing_at_any_allocation)
{
	struct bytes coded = block_of("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf"
				      "1088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf"
				      "4488 25a8 49e9 5ba9 7d7f be");
	struct bytes usable = { coded.p + 4, coded.n - 4 }; /* not the fields of earlier requests */

	expect_recovery(usable);
	expect_recovery(entries(160, 10)); /* the ring grows */
	guard_free(coded);
}

/* All objects of one size but a few are taken by somebody else. */
Test(hpack_memory, may_be_missing_at_the_start)
{
	static const size_t sizes[] = { sizeof(struct hpack), 240, 1024, 128 /* for none of it */ };
	static void *taken[1 << 18];
	struct hpack_memory other;

	for (unsigned i = 0; i < COUNT(sizes); i++) {
		struct hpack *h;
		unsigned n = 0;

		hpack_memory_begin(&other, UINT32_MAX);
		while (n < COUNT(taken) && (taken[n] = hpack_memory_get(&other, sizes[i])))
			n++;
		cr_assert_lt(n, COUNT(taken));
		h = hpack_open();
		cr_expect((h == NULL) == (sizes[i] != 128), "%zu", sizes[i]);
		hpack_close(h);
		while (n)
			hpack_memory_put(&other, taken[--n]);
		cr_expect_eq(other.held, 0);
		cr_expect_eq(hpack_memory_in_use(), 0);
	}
}

Test(hpack_memory, answers_as_an_allocator_does)
{
	struct hpack_memory m;
	char *p, *q;

	hpack_memory_begin(&m, 4096);
	p = m.functions.calloc(10, 10, m.functions.mem_user_data);
	cr_assert_not_null(p);
	for (unsigned i = 0; i < 100; i++)
		cr_expect_eq(p[i], 0);
	memset(p, 'x', 100);
	cr_expect_eq(m.functions.realloc(p, 120, m.functions.mem_user_data), p);
	q = m.functions.realloc(p, 1000, m.functions.mem_user_data);
	cr_assert_not_null(q);
	cr_expect(q[0] == 'x' && q[99] == 'x');
	cr_expect_eq(m.held, 1024);
	cr_expect_null(m.functions.realloc(q, 5000, m.functions.mem_user_data));
	cr_expect_null(m.functions.calloc(SIZE_MAX, 2, m.functions.mem_user_data));
	cr_expect_null(m.functions.malloc(1 << 20, m.functions.mem_user_data));
	m.functions.free(q, m.functions.mem_user_data);
	m.functions.free(NULL, m.functions.mem_user_data);
	q = m.functions.realloc(NULL, 10, m.functions.mem_user_data);
	cr_assert_not_null(q);
	m.functions.free(q, m.functions.mem_user_data);
	cr_expect_eq(m.held, 0);
}

/* Nobody is the first to need it: threads come at once. */
static pthread_barrier_t together;

static void *use_decoders(void *failures)
{
	pthread_barrier_wait(&together);
	for (unsigned i = 0; i < 200; i++) {
		struct hpack *h = hpack_open();
		char text[64];

		if (!h || read_hex(h, "40 01 61 01 62 be", text, sizeof(text)) != 0 ||
		    strcmp(text, "a: b\na: b\n") != 0)
			++*(unsigned *)failures;
		hpack_close(h);
	}
	return NULL;
}

Test(hpack_memory, is_shared_by_threads_from_the_start)
{
	pthread_t threads[8];
	unsigned failures[8] = { 0 };

	pthread_barrier_init(&together, NULL, 8);
	for (unsigned i = 0; i < 8; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, use_decoders, &failures[i]), 0);
	for (unsigned i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		cr_expect_eq(failures[i], 0);
	}
	cr_expect_eq(hpack_memory_in_use(), 0);
}

/* 0: what the decoder knew before the fork it still knows. */
static int go_on_in_child(struct hpack *h)
{
	char text[64];

	if (read_hex(h, "be 40 01 63 01 64", text, sizeof(text)) != 0)
		return 1;
	if (strcmp(text, "a: b\nc: d\n") != 0)
		return 2;
	hpack_close(h);
	return hpack_memory_in_use() == 0 ? 0 : 3;
}

Test(hpack_memory, is_copied_by_fork)
{
	struct hpack *h = hpack_open();
	char text[64];
	int status;
	pid_t pid;

	cr_assert_eq(read_hex(h, "40 01 61 01 62", text, sizeof(text)), 0);
	pid = fork();
	if (pid == 0)
		_exit(go_on_in_child(h));
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	cr_expect_eq(read_hex(h, "be", text, sizeof(text)), 0);
	cr_expect_str_eq(text, "a: b\n");
	hpack_close(h);
	cr_expect_eq(hpack_memory_in_use(), 0);
}
