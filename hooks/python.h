/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOOKS_PYTHON_H
#define HOOKS_PYTHON_H

#include <stdbool.h>

/* Stands in front of what Python's sockets do, if this is a Python that is known. True: there may
 * be more to find later. */
bool hook_python_look(void);

#endif
