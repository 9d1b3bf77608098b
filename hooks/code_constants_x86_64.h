/* SPDX-License-Identifier: Apache-2.0 */
/* Included by hooks/code_constants.h only. */
#ifndef HOOKS_CODE_CONSTANTS_X86_64_H
#define HOOKS_CODE_CONSTANTS_X86_64_H

#include <string.h>

/* The address that an instruction at this place would name, or 0. What is no instruction may look
 * like one: the caller looks at what is there. Reads 7 bytes. */
static inline uintptr_t code_constant(const uint8_t *at)
{
	int32_t value;

	memcpy(&value, at + 3, sizeof(value));
	if (at[0] == 0x48 && at[1] == 0xc7 && at[2] == 0x06) /* mov $value,(%rsi) */
		return (uintptr_t)(intptr_t)value;
	if ((at[0] & 0xfb) == 0x48 && at[1] == 0x8d && (at[2] & 0xc7) == 0x05)
		return (uintptr_t)(at + 7) + (uintptr_t)(intptr_t)value; /* lea value(%rip),reg */
	return 0;
}

#endif
