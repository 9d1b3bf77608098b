/* SPDX-License-Identifier: Apache-2.0 */
/* What compilers and static archives expect to find, without a libc. Hidden, so that nobody else's
 * calls end here. Blocks of 16 bytes by vectors that every processor of ours has; short and ragged
 * ends by two moves that overlap. */
#include <stddef.h>
#include <stdint.h>
#include "base/vector.h"

/* GCC would see the loops for what they are and make calls to these very functions of them. (For
 * clang the Makefile says -fno-builtin.) */
#ifndef __clang__
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

#define HIDDEN __attribute__((visibility("hidden")))

typedef uint64_t word __attribute__((aligned(1), may_alias));
typedef uint32_t half __attribute__((aligned(1), may_alias));
typedef uint16_t quarter __attribute__((aligned(1), may_alias));
typedef uint8_t block __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t lanes __attribute__((vector_size(16)));

#define BLOCK sizeof(block)

void *memcpy(void *restrict to, const void *restrict from, size_t n) HIDDEN;
void *memmove(void *to, const void *from, size_t n) HIDDEN;
void *memset(void *p, int c, size_t n) HIDDEN;
int memcmp(const void *p, const void *q, size_t n) HIDDEN;
void *memchr(const void *p, int c, size_t n) HIDDEN;
size_t strlen(const char *s) HIDDEN;
int strcmp(const char *a, const char *b) HIDDEN;
int strncmp(const char *a, const char *b, size_t n) HIDDEN;

/* n <= 16. All is read before anything is written, so the two may overlap. */
static inline void move_short(char *to, const char *from, size_t n)
{
	if (n >= 8) {
		uint64_t first = *(const word *)from, last = *(const word *)(from + n - 8);

		*(word *)to = first;
		*(word *)(to + n - 8) = last;
	} else if (n >= 4) {
		uint32_t first = *(const half *)from, last = *(const half *)(from + n - 4);

		*(half *)to = first;
		*(half *)(to + n - 4) = last;
	} else if (n >= 2) {
		uint16_t first = *(const quarter *)from, last = *(const quarter *)(from + n - 2);

		*(quarter *)to = first;
		*(quarter *)(to + n - 2) = last;
	} else if (n) {
		*to = *from;
	}
}

/* n > 16. The last block is read before the first is written: with `to` below `from` the two areas
 * may overlap. */
static inline void move_up(char *to, const char *from, size_t n)
{
	block last = *(const block *)(from + n - BLOCK);
	char *end = to + n - BLOCK;

	for (; to < end; to += BLOCK, from += BLOCK)
		*(block *)to = *(const block *)from;
	*(block *)end = last;
}

/* The same from the far end, with `to` above `from`. */
static inline void move_down(char *to, const char *from, size_t n)
{
	block first = *(const block *)from;

	for (; n > BLOCK; n -= BLOCK)
		*(block *)(to + n - BLOCK) = *(const block *)(from + n - BLOCK);
	*(block *)to = first;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	if (n <= BLOCK)
		move_short(to, from, n);
	else
		move_up(to, from, n);
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	if (n <= BLOCK)
		move_short(to, from, n);
	else if ((uintptr_t)to - (uintptr_t)from >= n) /* below it, or past its end */
		move_up(to, from, n);
	else
		move_down(to, from, n);
	return to;
}

void *memset(void *p, int c, size_t n)
{
	uint64_t pattern = (uint8_t)c * 0x0101010101010101ull;
	lanes both = { pattern, pattern };
	char *at = p, *end = at + n;

	if (n >= BLOCK) {
		for (; at + BLOCK <= end; at += BLOCK)
			*(block *)at = (block)both;
		*(block *)(end - BLOCK) = (block)both;
	} else if (n >= 8) {
		*(word *)at = pattern;
		*(word *)(end - 8) = pattern;
	} else {
		while (at < end)
			*at++ = (char)c;
	}
	return p;
}

/* Of two words that differ. Both processors are little endian: the first byte is the lowest. */
static inline int order(uint64_t a, uint64_t b)
{
	return __builtin_bswap64(a) < __builtin_bswap64(b) ? -1 : 1;
}

/* All of 4 to 8 bytes, the earlier ones lower. */
static inline uint64_t ends(const uint8_t *p, size_t n)
{
	return *(const half *)p | (uint64_t)(*(const half *)(p + n - 4)) << 32;
}

int memcmp(const void *p, const void *q, size_t n)
{
	const uint8_t *a = p, *b = q;
	size_t at = 0;

	for (; at + 8 <= n; at += 8)
		if (*(const word *)(a + at) != *(const word *)(b + at))
			return order(*(const word *)(a + at), *(const word *)(b + at));
	if (at < n && n >= 8) { /* the rest, together with bytes known to be equal */
		uint64_t last = *(const word *)(a + n - 8), other = *(const word *)(b + n - 8);

		return last == other ? 0 : order(last, other);
	}
	if (at < n && n >= 4)
		return ends(a, n) == ends(b, n) ? 0 : order(ends(a, n), ends(b, n));
	for (; at < n; at++)
		if (a[at] != b[at])
			return a[at] < b[at] ? -1 : 1;
	return 0;
}

/* The lowest of eight bytes that equals those of `pattern`; 8: none. Bytes above a hit may seem to
 * be hits too: only the lowest counts. */
static inline size_t first_of_word(const uint8_t *p, uint64_t pattern)
{
	uint64_t x = *(const word *)p ^ pattern;
	uint64_t hits = (x - 0x0101010101010101ull) & ~x & 0x8080808080808080ull;

	return hits ? (size_t)__builtin_ctzll(hits) / 8 : 8;
}

void *memchr(const void *p, int c, size_t n)
{
	const uint8_t *at = p, *end = at + n;
	uint64_t pattern = (uint8_t)c * 0x0101010101010101ull;
	size_t hit;

	for (; (size_t)(end - at) >= BLOCK; at += BLOCK) {
		hit = vec16_first((vec16)(*(const block *)at == (uint8_t)c));
		if (hit < BLOCK)
			return (void *)(at + hit);
	}
	if (at == end)
		return NULL;
	if (n >= BLOCK) { /* the rest, together with bytes that are known to be others */
		hit = vec16_first((vec16)(*(const block *)(end - BLOCK) == (uint8_t)c));
		return hit < BLOCK ? (void *)(end - BLOCK + hit) : NULL;
	}
	if (n >= 8) {
		hit = first_of_word(at, pattern);
		if (hit < 8)
			return (void *)(at + hit);
		hit = first_of_word(end - 8, pattern);
		return hit < 8 ? (void *)(end - 8 + hit) : NULL;
	}
	for (; at < end; at++)
		if (*at == (uint8_t)c)
			return (void *)at;
	return NULL;
}

size_t strlen(const char *s)
{
	const char *at = s;

	while (*at)
		at++;
	return (size_t)(at - s);
}

int strcmp(const char *a, const char *b)
{
	for (; *a && *a == *b; a++)
		b++;
	return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; a++, b++, n--)
		if (*a != *b || !*a)
			return (unsigned char)*a - (unsigned char)*b;
	return 0;
}
