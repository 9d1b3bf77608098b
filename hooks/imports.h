/* SPDX-License-Identifier: Apache-2.0 */
/* The slots through which a loaded object calls functions of a library. Standing there reaches the
 * object's calls, and adds no symbol that a probe could find. */
#ifndef HOOKS_IMPORTS_H
#define HOOKS_IMPORTS_H

#include "base/image.h"

struct import {
	const char *name;
	uintptr_t theirs, ours;
	bool shared; /* other objects have a function of that name: calls may be meant for it */
};

/* Puts ours in place of theirs in the slots of the object, as far as these hold what is expected:
 * theirs, or, where only the library has that name, the object's own code that asks the loader for
 * it. The memory is left protected as it was; what the loader is still working on is left alone.
 * Returns how many slots were changed. */
unsigned imports_replace(const struct image *m, const struct import *imports, unsigned count);

#endif
