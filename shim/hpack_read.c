/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/hpack_read.h"

/* ---- representations ---- */

/* An integer with a prefix of so many bits (section 5.1), of 32 bits at most; *at goes on behind
 * it. UINT64_MAX: not whole, or larger. */
static inline uint64_t read_integer(struct bytes block, size_t *at, unsigned bits)
{
	uint64_t mask = (1u << bits) - 1, n;
	uint8_t byte;

	if (*at >= block.n)
		return UINT64_MAX;
	n = (uint8_t)block.p[(*at)++] & mask;
	if (__builtin_expect(n < mask, 1))
		return n;
	for (unsigned shift = 0; shift < 32 && *at < block.n; shift += 7) {
		byte = (uint8_t)block.p[(*at)++];
		n += (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return n <= UINT32_MAX ? n : UINT64_MAX;
	}
	return UINT64_MAX;
}

static inline bool read_string(struct hpack_string *s, struct bytes block, size_t *at)
{
	uint64_t n;

	s->huffman = *at < block.n && (block.p[*at] & 0x80);
	n = read_integer(block, at, 7);
	s->at = *at;
	if (n > block.n - *at)
		return false;
	s->n = (size_t)n;
	*at += (size_t)n;
	return true;
}

/* What a representation is stands in its first bits, the prefix behind them. */
static inline unsigned form_of(uint8_t first, uint8_t *form)
{
	if (first & 0x80) {
		*form = HPACK_INDEXED;
		return 7;
	}
	if (first & 0x40) {
		*form = HPACK_INDEXING;
		return 6;
	}
	*form = first & 0x10 ? HPACK_NEVER_INDEXED : HPACK_WITHOUT_INDEXING;
	return 4;
}

static inline bool is_size_update(char first)
{
	return (first & 0xe0) == 0x20;
}

bool hpack_represented(struct hpack_representation *r, struct bytes block, size_t from)
{
	size_t at = from;
	uint64_t index;

	while (at < block.n && is_size_update(block.p[at]))
		read_integer(block, &at, 5);
	r->at = at;
	if (at >= block.n)
		return false;
	index = read_integer(block, &at, form_of((uint8_t)block.p[at], &r->form));
	if (index > UINT32_MAX)
		return false;
	r->index = (uint32_t)index;
	r->name = r->value = (struct hpack_string){ 0 };
	if (r->form == HPACK_INDEXED) {
		r->end = at;
		return true;
	}
	if (!r->index && !read_string(&r->name, block, &at))
		return false;
	if (!read_string(&r->value, block, &at))
		return false;
	r->end = at;
	return true;
}

/* ---- the static Huffman code (appendix B) ---- */

/* Its codes ascend with their length, so that the first bits tell both. Those of up to eight bits,
 * by the first eight; behind them NUL. */
static const char of_eight_bits[] =
	"000000001111111122222222aaaaaaaacccccccceeeeeeeeiiiiiiiioooooooosssssssstttttttt"
	"    %%%%----....////3333444455556666777788889999====AAAA____bbbbddddffffgggghhhhllll"
	"mmmmnnnnpppprrrruuuu::BBCCDDEEFFGGHHIIJJKKLLMMNNOOPPQQRRSSTTUUVVWWYYjjkkqqvvwwxxyyzz"
	"&*,;XZ\0";

_Static_assert(sizeof(of_eight_bits) == 256, "one for each");

/* Their lengths by the first five bits; the last is 8 or more. */
static const uint8_t lengths[32] = { 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6,
				     6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7, 8 };

#define EIGHT_BITS_END 0xfe /* here longer ones begin */
#define TOO_LONG       65   /* more than there can be bits at hand */

/* Those of 10 to 15 bits: the first sixteen bits are below `below`. What is longer still is no
 * ASCII, or a control character. Its length, and the byte behind it. */
static unsigned read_longer(unsigned first)
{
	static const struct {
		uint16_t begins, below;
		uint8_t length;
		char text[7];
	} rows[] = {
		{ 0xfe00, 0xff40, 10, "!\"()?" }, { 0xff40, 0xffa0, 11, "'+|" },
		{ 0xffa0, 0xffc0, 12, "#>" },     { 0xffc0, 0xfff0, 13, "\0$@[]~" },
		{ 0xfff0, 0xfff8, 14, "^}" },     { 0xfff8, 0xfffe, 15, "<`{" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (first < rows[i].below)
			return rows[i].length << 8 |
			       (uint8_t)rows[i]
				       .text[(first - rows[i].begins) >> (16 - rows[i].length)];
	return TOO_LONG << 8;
}

/* Bits of the code, the next one first; behind them zeros, or ones when there is no more. */
struct window {
	uint64_t bits;
	unsigned n;
	const uint8_t *p, *end;
};

static inline void fill(struct window *w)
{
	uint64_t eight;

	if (w->end - w->p >= 8) {
		__builtin_memcpy(&eight, w->p, sizeof(eight));
		w->bits |= __builtin_bswap64(eight) >> w->n;
		w->p += (63 - w->n) / 8;
		w->n |= 56;
		return;
	}
	for (; w->n <= 56 && w->p < w->end; w->n += 8)
		w->bits |= (uint64_t)*w->p++ << (56 - w->n);
	if (w->p == w->end && w->n < 64)
		w->bits |= UINT64_MAX >> w->n;
}

/* The most bits that are taken at a time. */
#define AT_A_TIME 15

ssize_t hpack_huffman_get(char *to, struct bytes code)
{
	struct window w = { .p = (const uint8_t *)code.p, .end = (const uint8_t *)code.p + code.n };
	char *at = to;

	for (;;) {
		unsigned first, length;
		char symbol;

		if (w.n < AT_A_TIME)
			fill(&w);
		first = (unsigned)(w.bits >> 56);
		symbol = of_eight_bits[first];
		length = lengths[first >> 3];
		if (__builtin_expect(first >= EIGHT_BITS_END, 0)) {
			length = read_longer((unsigned)(w.bits >> 48));
			symbol = (char)length;
			length >>= 8;
		}
		if (length > w.n)
			break;
		*at++ = symbol;
		w.bits <<= length;
		w.n -= length;
	}
	/* Section 5.2: padding is shorter than a byte, and all ones. */
	return w.n >= 8 || w.bits != UINT64_MAX ? -1 : at - to;
}
