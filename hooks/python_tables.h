/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of methods in extension modules: arrays of PyMethodDef, which the interpreter reads at
 * each call. Found by their names in the module's data, wherever a method is called from. */
#ifndef HOOKS_PYTHON_TABLES_H
#define HOOKS_PYTHON_TABLES_H

#include "base/image.h"

/* PyMethodDef, of the stable ABI. */
struct python_method {
	const char *name;
	void *function;
	int flags;
	const char *doc;
};

/* How a method is called: its flags. */
enum {
	PYTHON_VARARGS = 0x1,
	PYTHON_KEYWORDS = 0x2,
	PYTHON_NOARGS = 0x4,
	PYTHON_O = 0x8,
	PYTHON_FASTCALL = 0x80,
	PYTHON_METHOD = 0x200
};

#define PYTHON_METHODS_MAX 200 /* in one table */

/* The table in the object that has methods of all of these names (NULL ends them) and none of name
 * `without` (NULL: any), or NULL: there is none, or more than one, or it cannot be written to. */
struct python_method *python_table_find(const struct image *m, const char *const *names,
					const char *without);
struct python_method *python_table_method(struct python_method *table, const char *name);

#endif
