/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOOKS_GNUTLS_H
#define HOOKS_GNUTLS_H

#include "hooks/imports.h"

#define GNUTLS_IMPORTS 16

/* Stands in the imports of each object that calls GnuTLS, and does not call us yet. */
void hook_gnutls_look(void);

/* Learns the library: struct imported. */
bool hook_gnutls_find(struct import *imports, const struct image *m);

#endif
