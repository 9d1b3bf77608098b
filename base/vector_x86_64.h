/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_VECTOR_X86_64_H
#define BASE_VECTOR_X86_64_H

typedef char sign16 __attribute__((vector_size(16)));

/* PMOVMSKB gathers the top bits. */
static inline unsigned vec16_first(vec16 hits)
{
	return (unsigned)__builtin_ctz((unsigned)__builtin_ia32_pmovmskb128((sign16)hits) |
				       1u << 16);
}

#endif
