/* SPDX-License-Identifier: Apache-2.0 */
/* The loaded objects, without dl_iterate_phdr(): for a moment at which the loader's lock must not
 * be waited for. Reads the list that the loader keeps for debuggers. */
#ifndef BASE_OBJECTS_H
#define BASE_OBJECTS_H

#include "base/image.h"

#define OBJECTS_MAX 4096 /* looked at in one walk */

/* fn(arg, image) for each object that has symbols, in load order, until it answers true. False:
 * there is no list, or the loader is changing it. */
bool objects_each(bool (*fn)(void *arg, const struct image *m), void *arg);

/* Loaders list an object, and say that all is settled, before they relocate it: until then nothing
 * of it may be called. They protect what is read-only afterwards last of all; an object that has no
 * such memory is taken for relocated. */
bool object_is_relocated(const struct image *m);

#endif
