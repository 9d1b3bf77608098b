/* SPDX-License-Identifier: Apache-2.0 */
/* Writing header blocks: pure functions on bytes. */
#include "shim/hpack.h"

#include <string.h>

/* RFC 7541 appendix B: a one, and behind it the code of each byte. */
static const uint32_t codes[256] = {
	/* clang-format off */
	0x00003ff8, 0x00ffffd8, 0x1fffffe2, 0x1fffffe3, 0x1fffffe4, 0x1fffffe5,
	0x1fffffe6, 0x1fffffe7, 0x1fffffe8, 0x01ffffea, 0x7ffffffc, 0x1fffffe9,
	0x1fffffea, 0x7ffffffd, 0x1fffffeb, 0x1fffffec, 0x1fffffed, 0x1fffffee,
	0x1fffffef, 0x1ffffff0, 0x1ffffff1, 0x1ffffff2, 0x7ffffffe, 0x1ffffff3,
	0x1ffffff4, 0x1ffffff5, 0x1ffffff6, 0x1ffffff7, 0x1ffffff8, 0x1ffffff9,
	0x1ffffffa, 0x1ffffffb, 0x00000054, 0x000007f8, 0x000007f9, 0x00001ffa,
	0x00003ff9, 0x00000055, 0x000001f8, 0x00000ffa, 0x000007fa, 0x000007fb,
	0x000001f9, 0x00000ffb, 0x000001fa, 0x00000056, 0x00000057, 0x00000058,
	0x00000020, 0x00000021, 0x00000022, 0x00000059, 0x0000005a, 0x0000005b,
	0x0000005c, 0x0000005d, 0x0000005e, 0x0000005f, 0x000000dc, 0x000001fb,
	0x0000fffc, 0x00000060, 0x00001ffb, 0x000007fc, 0x00003ffa, 0x00000061,
	0x000000dd, 0x000000de, 0x000000df, 0x000000e0, 0x000000e1, 0x000000e2,
	0x000000e3, 0x000000e4, 0x000000e5, 0x000000e6, 0x000000e7, 0x000000e8,
	0x000000e9, 0x000000ea, 0x000000eb, 0x000000ec, 0x000000ed, 0x000000ee,
	0x000000ef, 0x000000f0, 0x000000f1, 0x000000f2, 0x000001fc, 0x000000f3,
	0x000001fd, 0x00003ffb, 0x000ffff0, 0x00003ffc, 0x00007ffc, 0x00000062,
	0x0000fffd, 0x00000023, 0x00000063, 0x00000024, 0x00000064, 0x00000025,
	0x00000065, 0x00000066, 0x00000067, 0x00000026, 0x000000f4, 0x000000f5,
	0x00000068, 0x00000069, 0x0000006a, 0x00000027, 0x0000006b, 0x000000f6,
	0x0000006c, 0x00000028, 0x00000029, 0x0000006d, 0x000000f7, 0x000000f8,
	0x000000f9, 0x000000fa, 0x000000fb, 0x0000fffe, 0x00000ffc, 0x00007ffd,
	0x00003ffd, 0x1ffffffc, 0x001fffe6, 0x007fffd2, 0x001fffe7, 0x001fffe8,
	0x007fffd3, 0x007fffd4, 0x007fffd5, 0x00ffffd9, 0x007fffd6, 0x00ffffda,
	0x00ffffdb, 0x00ffffdc, 0x00ffffdd, 0x00ffffde, 0x01ffffeb, 0x00ffffdf,
	0x01ffffec, 0x01ffffed, 0x007fffd7, 0x00ffffe0, 0x01ffffee, 0x00ffffe1,
	0x00ffffe2, 0x00ffffe3, 0x00ffffe4, 0x003fffdc, 0x007fffd8, 0x00ffffe5,
	0x007fffd9, 0x00ffffe6, 0x00ffffe7, 0x01ffffef, 0x007fffda, 0x003fffdd,
	0x001fffe9, 0x007fffdb, 0x007fffdc, 0x00ffffe8, 0x00ffffe9, 0x003fffde,
	0x00ffffea, 0x007fffdd, 0x007fffde, 0x01fffff0, 0x003fffdf, 0x007fffdf,
	0x00ffffeb, 0x00ffffec, 0x003fffe0, 0x003fffe1, 0x007fffe0, 0x003fffe2,
	0x00ffffed, 0x007fffe1, 0x00ffffee, 0x00ffffef, 0x001fffea, 0x007fffe2,
	0x007fffe3, 0x007fffe4, 0x00fffff0, 0x007fffe5, 0x007fffe6, 0x00fffff1,
	0x07ffffe0, 0x07ffffe1, 0x001fffeb, 0x000ffff1, 0x007fffe7, 0x00fffff2,
	0x007fffe8, 0x03ffffec, 0x07ffffe2, 0x07ffffe3, 0x07ffffe4, 0x0fffffde,
	0x0fffffdf, 0x07ffffe5, 0x01fffff1, 0x03ffffed, 0x000ffff2, 0x003fffe3,
	0x07ffffe6, 0x0fffffe0, 0x0fffffe1, 0x07ffffe7, 0x0fffffe2, 0x01fffff2,
	0x003fffe4, 0x003fffe5, 0x07ffffe8, 0x07ffffe9, 0x1ffffffd, 0x0fffffe3,
	0x0fffffe4, 0x0fffffe5, 0x001fffec, 0x01fffff3, 0x001fffed, 0x003fffe6,
	0x007fffe9, 0x003fffe7, 0x003fffe8, 0x00fffff3, 0x007fffea, 0x007fffeb,
	0x03ffffee, 0x03ffffef, 0x01fffff4, 0x01fffff5, 0x07ffffea, 0x00fffff4,
	0x07ffffeb, 0x0fffffe6, 0x07ffffec, 0x07ffffed, 0x0fffffe7, 0x0fffffe8,
	0x0fffffe9, 0x0fffffea, 0x0fffffeb, 0x1ffffffe, 0x0fffffec, 0x0fffffed,
	0x0fffffee, 0x0fffffef, 0x0ffffff0, 0x07ffffee,
	/* clang-format on */
};

static unsigned length_of_code(uint32_t code)
{
	return 31 - (unsigned)__builtin_clz(code);
}

size_t hpack_huffman_bits(struct bytes text)
{
	size_t bits = 0;

	for (size_t i = 0; i < text.n; i++)
		bits += length_of_code(codes[(uint8_t)text.p[i]]);
	return bits;
}

size_t hpack_huffman_put(char *to, size_t room, struct bytes text)
{
	uint64_t waiting = 0; /* its lowest `bits` bits are to be written */
	unsigned bits = 0;
	size_t n = 0;

	if ((hpack_huffman_bits(text) + 7) / 8 > room)
		return 0;
	for (size_t i = 0; i < text.n; i++) {
		uint32_t code = codes[(uint8_t)text.p[i]];
		unsigned length = length_of_code(code);

		waiting = waiting << length | (code ^ 1u << length);
		for (bits += length; bits >= 8; bits -= 8)
			to[n++] = (char)(waiting >> (bits - 8));
	}
	if (bits) /* section 5.2: the most significant bits of the code of EOS, which is all ones */
		to[n++] = (char)(waiting << (8 - bits) | 0xff >> bits);
	return n;
}

/* A string's length, not Huffman coded (RFC 7541 sections 5.1 and 5.2): at most INTEGER_MAX bytes.
 */
#define INTEGER_MAX 11

static size_t put_length(char to[static INTEGER_MAX], size_t n)
{
	size_t at = 1;

	if (n < 127) {
		to[0] = (char)n;
		return 1;
	}
	to[0] = 127;
	for (n -= 127; n >= 128; n >>= 7)
		to[at++] = (char)(n | 0x80);
	to[at++] = (char)n;
	return at;
}

size_t hpack_put(char *to, size_t room, struct bytes name, struct bytes value)
{
	char name_length[INTEGER_MAX], value_length[INTEGER_MAX], *at = to;
	size_t n = put_length(name_length, name.n), v = put_length(value_length, value.n), whole;

	if (__builtin_add_overflow(name.n, value.n, &whole) ||
	    __builtin_add_overflow(whole, 1 + n + v, &whole) || whole > room)
		return 0;
	*at++ = 0; /* a literal without indexing, its name a string */
	memcpy(at, name_length, n);
	memcpy(at += n, name.p, name.n);
	memcpy(at += name.n, value_length, v);
	memcpy(at + v, value.p, value.n);
	return whole;
}
