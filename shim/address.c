/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/address.h"

void address_put_v4(struct text *out, const uint8_t address[static 4])
{
	for (unsigned i = 0; i < 4; i++) {
		if (i)
			text_put_char(out, '.');
		text_put_u64(out, address[i]);
	}
}

/* The longest run of two or more zero groups is written "::" (RFC 5952 section 4.2). */
static void find_zeros(const uint16_t group[static 8], unsigned *start, unsigned *length)
{
	*start = 8;
	*length = 1;
	for (unsigned i = 0; i < 8; i++) {
		unsigned n = 0;

		while (i + n < 8 && group[i + n] == 0)
			n++;
		if (n > *length) {
			*start = i;
			*length = n;
		}
		i += n;
	}
}

void address_put_v6(struct text *out, const uint8_t address[static 16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	uint16_t group[8];
	unsigned start, length;

	if (memcmp(address, mapped, sizeof(mapped)) == 0) {
		address_put_v4(out, address + 12);
		return;
	}
	for (unsigned i = 0; i < 8; i++)
		group[i] = (uint16_t)(address[2 * i] << 8 | address[2 * i + 1]);
	find_zeros(group, &start, &length);
	for (unsigned i = 0; i < 8; i++) {
		if (i == start) {
			text_put_string(out, "::");
			i += length - 1;
			continue;
		}
		if (i && i != start + length)
			text_put_char(out, ':');
		text_format(out, "%x", group[i]);
	}
}
