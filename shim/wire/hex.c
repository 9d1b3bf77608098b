/* SPDX-License-Identifier: Apache-2.0 */
/* Hex digits by sixteen, which ids come in. The vectors are the compiler's own: one text for every
 * little-endian processor.
 * Pure: bytes in, bytes out. No memory, no globals, no I/O, nothing read past the view. */
#include <errno.h>
#include "base/vector.h"
#include "shim/wire/traceparent.h"

#define malloc wire_code_must_not_allocate

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the first digit of a byte is taken for the low half of its lane"
#endif

#define STEP 8 /* bytes at a time, twice as many digits */

typedef uint8_t vec8 __attribute__((vector_size(8)));
typedef uint16_t lanes8 __attribute__((vector_size(16)));

/* Two digits, the first in the low half. */
static int parse_step(uint8_t *out, const char *hex)
{
	vec16 x, known;
	uint64_t half[2];
	lanes8 pair;
	vec8 b;

	__builtin_memcpy(&x, hex, sizeof(x));
	known = (vec16)((x - '0' < 10) | (x - 'a' < 6));
	__builtin_memcpy(half, &known, sizeof(known));
	if ((half[0] & half[1]) != UINT64_MAX)
		return -EINVAL;
	x = (x & 0x0f) + ((x >> 6) & 1) * 9;
	pair = (lanes8)x;
	b = __builtin_convertvector(pair << 4 | pair >> 8, vec8);
	__builtin_memcpy(out, &b, sizeof(b));
	return 0;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -EINVAL;
}

int hex_parse(uint8_t *out, size_t n, struct bytes hex)
{
	size_t i = 0;

	if (hex.n != 2 * n)
		return -EINVAL;
	for (; n - i >= STEP; i += STEP)
		if (parse_step(out + i, hex.p + 2 * i) < 0)
			return -EINVAL;
	for (; i < n; i++) {
		int high = digit_value(hex.p[2 * i]), low = digit_value(hex.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static void format_step(char *to, const uint8_t *from)
{
	lanes8 pair;
	vec16 x;
	vec8 b;

	__builtin_memcpy(&b, from, sizeof(b));
	pair = __builtin_convertvector(b, lanes8);
	x = (vec16)(pair >> 4 | (pair & 0x0f) << 8);
	x += '0' + ((vec16)(x > 9) & ('a' - '9' - 1));
	__builtin_memcpy(to, &x, sizeof(x));
}

char *hex_format(char *to, const uint8_t *from, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (; n >= STEP; n -= STEP, from += STEP, to += 2 * STEP)
		format_step(to, from);
	for (; n; n--, from++) {
		*to++ = digits[*from >> 4];
		*to++ = digits[*from & 15];
	}
	return to;
}
