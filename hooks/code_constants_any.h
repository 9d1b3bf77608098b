/* SPDX-License-Identifier: Apache-2.0 */
/* A processor whose instructions are not read. Included by hooks/code_constants.h only. */
#ifndef HOOKS_CODE_CONSTANTS_ANY_H
#define HOOKS_CODE_CONSTANTS_ANY_H

static inline uintptr_t code_constant(const uint8_t *at)
{
	(void)at;
	return 0;
}

#endif
