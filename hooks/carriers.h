/* SPDX-License-Identifier: Apache-2.0 */
/* Client libraries that write requests on other threads than those that ask. Where a program calls
 * them, the caller's request is known: our id is given along, and the wire knows it again. */
#ifndef HOOKS_CARRIERS_H
#define HOOKS_CARRIERS_H

#include "hooks/imports.h"

/* Stands in the imports of each object that calls such a library, and was not looked at before. */
void hook_carriers_look(void);

/* Learn the library: struct imported. */
bool carry_grpc_find(struct import *imports, const struct image *m);
bool carry_curl_find(struct import *imports, const struct image *m);

#define CARRY_GRPC_IMPORTS 4

#endif
