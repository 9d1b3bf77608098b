/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks of asyncio: each copies the context it is made in. What the copy is to carry is put there
 * for the time of the copying. */
#ifndef HOOKS_PYTHON_TASK_H
#define HOOKS_PYTHON_TASK_H

#include "base/image.h"

/* Stands in front of _asyncio.Task's initialization, once the module has been imported. With the
 * GIL. */
void python_task_find(void);

/* Stands in front of Future.set_result() in the module's object: false, it is not known. */
bool python_future_find(const struct image *m);

#endif
