/* SPDX-License-Identifier: Apache-2.0 */
/* Header blocks as hexadecimal text, and what was read from them as lines. */
#ifndef TESTS_UNIT_HPACK_BLOCKS_H
#define TESTS_UNIT_HPACK_BLOCKS_H

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include "guard.h"
#include "shim/hpack.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static inline unsigned digit_of(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10;
}

/* Lower case digits, spaces between bytes or not. Ends at a guard page: guard_free() it. */
static inline struct bytes block_of(const char *hex)
{
	char bytes[512];
	size_t n = 0;

	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		cr_assert_lt(n, sizeof(bytes));
		bytes[n++] = (char)(digit_of(hex[0]) << 4 | digit_of(hex[1]));
		hex++;
	}
	return guard_copy(bytes, n);
}

/* The result of the last hpack_next(); "name: value\n" for each field in `text`. */
static inline int read_block(struct hpack *h, struct bytes block, char *text, size_t size)
{
	struct hpack_field f;
	size_t pos = 0, n = 0;
	int result;

	*text = '\0';
	while ((result = hpack_next(h, block, &pos, &f)) == 1 && n < size)
		n += (size_t)snprintf(text + n, size - n, "%.*s: %.*s\n", (int)f.name.n, f.name.p,
				      (int)f.value.n, f.value.p);
	return result;
}

static inline int read_hex(struct hpack *h, const char *hex, char *text, size_t size)
{
	struct bytes block = block_of(hex);
	int result = read_block(h, block, text, size);

	guard_free(block);
	return result;
}

#endif
