/* SPDX-License-Identifier: Apache-2.0 */
/* Pure: bytes in, bytes out. No memory, no globals, no I/O, nothing read past the view. */
#include <errno.h>
#include "shim/wire/traceparent.h"

#define malloc wire_code_must_not_allocate

/* Value of a lower-case hex digit, with HEX_DIGIT set so that 0 stands for everything else. */
#define HEX_DIGIT 0x10
static const uint8_t hex_digit[256] = {
	['0'] = 0x10, ['1'] = 0x11, ['2'] = 0x12, ['3'] = 0x13, ['4'] = 0x14, ['5'] = 0x15,
	['6'] = 0x16, ['7'] = 0x17, ['8'] = 0x18, ['9'] = 0x19, ['a'] = 0x1a, ['b'] = 0x1b,
	['c'] = 0x1c, ['d'] = 0x1d, ['e'] = 0x1e, ['f'] = 0x1f,
};

int hex_parse(uint8_t *out, size_t n, struct bytes hex)
{
	const uint8_t *digits = (const uint8_t *)hex.p;
	unsigned all = HEX_DIGIT;

	if (hex.n != 2 * n)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		all &= hex_digit[digits[2 * i]] & hex_digit[digits[2 * i + 1]];
	if (!(all & HEX_DIGIT))
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(hex_digit[digits[2 * i]] << 4 |
				   (hex_digit[digits[2 * i + 1]] & 0x0f));
	return 0;
}
