/* SPDX-License-Identifier: Apache-2.0 */
/* Has names of Python's, and a function of libc's to call. */
#include <stdlib.h>

void hold(void);
void (*const held_here)(void) = hold;

void *PyContextVar_New(const char *name, void *value);
const char *Py_GetVersion(void);

void *PyContextVar_New(const char *name, void *value)
{
	(void)name;
	return value;
}

const char *Py_GetVersion(void)
{
	return getenv("NO SUCH") ? "?" : "3.11.2 (main)";
}
