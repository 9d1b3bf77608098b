/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf messages of others, read field by field without memory: views into bytes that may be
 * anything. */
#ifndef EXPORTER_WIRE_FIELD_H
#define EXPORTER_WIRE_FIELD_H

#include "base/bytes.h"

enum wire_type { WIRE_VARINT, WIRE_I64, WIRE_LEN, WIRE_I32 = 5 };

/* One field of any message. */
struct wire_field {
	uint64_t number;
	unsigned type;
	uint64_t varint;      /* of WIRE_VARINT */
	struct bytes content; /* of the others, a view */
};

/* The field at the front of *in, which moves past it: 0, or -EINVAL. */
int wire_field_read(struct bytes *in, struct wire_field *field);

#endif
