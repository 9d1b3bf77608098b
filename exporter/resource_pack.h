/* SPDX-License-Identifier: Apache-2.0 */
/* A resource as bytes without pointers, for another process to read. */
#ifndef EXPORTER_RESOURCE_PACK_H
#define EXPORTER_RESOURCE_PACK_H

#include "exporter/resource.h"

#define RESOURCE_PACKED_MAX 16384

/* Writes what fits, attribute by attribute; the number of bytes. */
size_t resource_pack(const struct resource *r, char *room, size_t size);

/* Fills *r from bytes that anybody may have written: what is not sane ends it. Key and value are
 * copied. True when all of it was read and service.name is among it. */
bool resource_unpack(struct resource *r, struct bytes packed);

#endif
