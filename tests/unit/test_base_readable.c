/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <sys/mman.h>
#include "base/readable.h"

#define PAGE 4096

static char *pages(unsigned n, int protection)
{
	char *map = mmap(NULL, n * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(map, MAP_FAILED);
	return map;
}

Test(readable, is_what_the_program_has)
{
	char local[3 * PAGE] = "x";

	cr_assert(memory_readable(local, sizeof(local)));
	cr_assert(memory_readable("text", 5));
	cr_assert(memory_readable(pages(20, PROT_READ), 20 * PAGE));
	cr_assert(memory_readable(NULL, 0));
	cr_assert(memory_readable((void *)1, 0));
}

Test(readable, is_not_what_nobody_has)
{
	cr_assert_not(memory_readable(NULL, 1));
	cr_assert_not(memory_readable((void *)1, 100));
	cr_assert_not(memory_readable((void *)PAGE, 100));
	cr_assert_not(memory_readable((void *)-1, 1));
	cr_assert_not(memory_readable((void *)-100, 200));
	cr_assert_not(memory_readable((void *)(UINTPTR_MAX / 2), 1));
	cr_assert_not(memory_readable(pages(1, PROT_NONE), 1));
}

Test(readable, is_seen_to_the_last_byte)
{
	char *map = pages(3, PROT_READ);

	cr_assert_eq(mprotect(map + 2 * PAGE, PAGE, PROT_NONE), 0);
	for (unsigned i = 0; i < 9; i++) {
		cr_assert(memory_readable(map + 2 * PAGE - i, i));
		cr_assert_not(memory_readable(map + 2 * PAGE - i, i + 1), "%u", i);
	}
	cr_assert(memory_readable(map, 2 * PAGE));
	cr_assert_not(memory_readable(map, 2 * PAGE + 1));
}

Test(readable, takes_no_page_for_another)
{
	char *map = pages(1024, PROT_READ), *none = pages(1024, PROT_NONE);

	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < 1024; i++) {
			cr_assert(memory_readable(map + i * PAGE + 5, 7));
			cr_assert_not(memory_readable(none + i * PAGE + 5, 7));
		}
}

/* What the word is compared with may stand there: nobody waits for long. */
Test(readable, does_not_wait, .timeout = 10)
{
	uint32_t *map = (uint32_t *)(void *)pages(1, PROT_READ | PROT_WRITE);

	map[0] = 0xfff7fbfdu;
	cr_assert(memory_readable(map, 4));
}

Test(readable, tells_what_may_be_written)
{
	char *map = pages(2, PROT_READ | PROT_WRITE);

	cr_assert(memory_writable(map + PAGE - 10, 70));
	for (size_t i = 0; i < 50; i++)
		cr_assert_eq(map[PAGE - 10 + i], 0);
	cr_assert_eq(map[PAGE + 60], 0);
	cr_assert_eq(mprotect(map + PAGE, PAGE, PROT_READ), 0);
	cr_assert(memory_writable(map + PAGE - 70, 70));
	cr_assert_not(memory_writable(map + PAGE - 69, 70));
	cr_assert_not(memory_writable(map + PAGE - 10, 70));
}
