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

#define IMPORTS_MAX 20 /* of one library */

/* The functions of one library. Once found they stay: the objects that call it keep it loaded, and
 * another copy is left alone. */
struct imported {
	const char *known_by; /* a function that no other library has */
	/* Learns the library and fills as many as count says; false: it is not known. What the
	 * library does not have gets "" as its name, and 0. */
	bool (*find)(struct import *imports, const struct image *m);
	unsigned count;
	struct import import[IMPORTS_MAX];
};

/* Stands in the imports of each loaded object that calls the library. By one thread at a time; what
 * was replaced before is left as it is. */
void imports_look(struct imported *library);

#endif
