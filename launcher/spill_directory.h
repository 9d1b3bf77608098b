/* SPDX-License-Identifier: Apache-2.0 */
/* The directory that segments lie in, perhaps those of several owners. */
#ifndef LAUNCHER_SPILL_DIRECTORY_H
#define LAUNCHER_SPILL_DIRECTORY_H

#include "launcher/spill_file.h"

struct spill_names {
	struct spill_name *all; /* oldest first; free() it */
	size_t count;
};

/* A descriptor of it; a missing one is made (0700), its parent is not. -EACCES, -EROFS: nothing can
 * be written there. Anything else: another negative errno. */
int spill_directory_open(const char *path);

/* True when `path` still leads to the directory that this descriptor is. */
bool spill_directory_is_at(int directory, const char *path);

/* Every segment's name, whosever it is. 0 or a negative errno. */
int spill_directory_list(int directory, struct spill_names *names);

#endif
