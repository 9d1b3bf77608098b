// SPDX-License-Identifier: Apache-2.0
#include "exporter/utf8.h"

/* Of a sequence's first byte: its length, and where the second byte must lie (RFC 3629 section 4:
 * no overlong forms, no surrogates, nothing above U+10FFFF). */
static size_t sequence_length(unsigned char first, unsigned char *low, unsigned char *high)
{
	*low = 0x80;
	*high = 0xbf;
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if (first >= 0xe0 && first <= 0xef) {
		if (first == 0xe0)
			*low = 0xa0;
		if (first == 0xed)
			*high = 0x9f;
		return 3;
	}
	if (first >= 0xf0 && first <= 0xf4) {
		if (first == 0xf0)
			*low = 0x90;
		if (first == 0xf4)
			*high = 0x8f;
		return 4;
	}
	return 1; /* no sequence starts so */
}

/* How many bytes at p[0..n) are one character, or the maximal part of one that is broken. */
static size_t sequence_take(const unsigned char *p, size_t n, bool *good)
{
	unsigned char low, high;
	size_t length = sequence_length(p[0], &low, &high), i = 1;

	if (i < length && i < n && p[1] >= low && p[1] <= high)
		for (i = 2; i < length && i < n && (p[i] & 0xc0) == 0x80;)
			i++;
	*good = length > 1 && i == length;
	return i;
}

size_t utf8_clean(char *to, struct bytes b, size_t max_chars)
{
	const unsigned char *p = (const unsigned char *)b.p;
	size_t n = 0;

	for (size_t i = 0; i < b.n && max_chars; max_chars--) {
		size_t taken = 1;
		bool good;

		if (p[i] && p[i] < 0x80) {
			to[n++] = (char)p[i++];
			continue;
		}
		taken = sequence_take(p + i, b.n - i, &good);
		memcpy(to + n, good ? b.p + i : "\xef\xbf\xbd", good ? taken : 3);
		n += good ? taken : 3;
		i += taken;
	}
	return n;
}
