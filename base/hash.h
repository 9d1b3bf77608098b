/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes for tables. Fast, and not meant to withstand who chooses the texts. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/bytes.h"

static inline uint64_t hash_mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

/* Eight bytes at a time: one multiplication takes as long as four others' instructions. The last
 * word overlaps its neighbour or, of short texts, is made of two halves. */
static inline uint64_t hash_bytes(uint64_t hash, struct bytes b)
{
	uint64_t word = 0;
	uint32_t low, high;

	if (b.n >= 8) {
		for (size_t i = 0; i + 8 < b.n; i += 8) {
			memcpy(&word, b.p + i, 8);
			hash = hash_mix(hash, word);
		}
		memcpy(&word, b.p + b.n - 8, 8);
	} else if (b.n >= 4) {
		memcpy(&low, b.p, 4);
		memcpy(&high, b.p + b.n - 4, 4);
		word = low | (uint64_t)high << 32;
	} else {
		for (size_t i = 0; i < b.n; i++)
			word = word << 8 | (uint8_t)b.p[i];
	}
	return hash_mix(hash, word);
}

#endif
