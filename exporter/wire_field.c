/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/wire_field.h"

#include <errno.h>

static int read_varint(struct bytes *in, uint64_t *value)
{
	*value = 0;
	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t byte;

		if (!in->n)
			return -EINVAL;
		byte = (uint8_t)*in->p;
		in->p++, in->n--;
		*value |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
		if (!(byte & 0x80))
			return 0;
	}
	return -EINVAL; /* more than ten bytes */
}

int wire_field_read(struct bytes *in, struct wire_field *field)
{
	uint64_t tag, n;

	if (read_varint(in, &tag) < 0 || tag >> 3 == 0 || tag >> 3 > 536870911)
		return -EINVAL;
	*field = (struct wire_field){ .number = tag >> 3, .type = tag & 7 };
	switch (field->type) {
	case WIRE_VARINT:
		return read_varint(in, &field->varint);
	case WIRE_I64:
		n = 8;
		break;
	case WIRE_I32:
		n = 4;
		break;
	case WIRE_LEN:
		if (read_varint(in, &n) < 0)
			return -EINVAL;
		break;
	default: /* groups are not in proto3 */
		return -EINVAL;
	}
	if (n > in->n)
		return -EINVAL;
	field->content = (struct bytes){ in->p, (size_t)n };
	in->p += n;
	in->n -= (size_t)n;
	return 0;
}
