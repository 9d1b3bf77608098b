/* SPDX-License-Identifier: Apache-2.0 */
/* For every little-endian processor with 64-bit words. */
#ifndef BASE_VECTOR_ANY_H
#define BASE_VECTOR_ANY_H

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the lowest address is taken for the lowest bits"
#endif

typedef uint64_t halves __attribute__((vector_size(16)));

static inline unsigned vec16_first(vec16 hits)
{
	halves half = (halves)hits;

	if (half[0])
		return (unsigned)__builtin_ctzll(half[0]) / 8;
	return half[1] ? 8 + (unsigned)__builtin_ctzll(half[1]) / 8 : 16;
}

#endif
