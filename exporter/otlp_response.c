// SPDX-License-Identifier: Apache-2.0
/* What a receiver answers, read without memory: views into its bytes, which may be anything. */
#include "exporter/otlp.h"

#include "base/raw.h"

enum wire_type { WIRE_VARINT, WIRE_I64, WIRE_LEN, WIRE_I32 = 5 };

/* One field of any message. */
struct wire_field {
	uint64_t number;
	unsigned type;
	uint64_t varint;      /* of WIRE_VARINT */
	struct bytes content; /* of WIRE_LEN */
};

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

/* The field at the front of *in, which moves past it: 0 or -EINVAL. */
static int read_field(struct bytes *in, struct wire_field *field)
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

/* ExportTracePartialSuccess: rejected_spans = 1, error_message = 2. */
static int read_partial_success(struct bytes in, int64_t *rejected, struct bytes *message)
{
	struct wire_field field;

	while (in.n) {
		if (read_field(&in, &field) < 0)
			return -EINVAL;
		if (field.number == 1 && field.type == WIRE_VARINT)
			*rejected = (int64_t)field.varint;
		if (field.number == 2 && field.type == WIRE_LEN)
			*message = field.content;
	}
	return 0;
}

int otlp_parse_response(struct bytes body, int64_t *rejected, struct bytes *message)
{
	struct bytes said = { NULL, 0 };
	struct wire_field field;
	int64_t refused = 0;

	while (body.n) { /* ExportTraceServiceResponse: partial_success = 1 */
		if (read_field(&body, &field) < 0)
			return -EINVAL;
		if (field.number == 1 && field.type == WIRE_LEN &&
		    read_partial_success(field.content, &refused, &said) < 0)
			return -EINVAL;
	}
	*rejected = refused > 0 ? refused : 0;
	*message = said;
	return 0;
}

struct bytes otlp_status_message(struct bytes body)
{
	struct bytes said = { NULL, 0 };
	struct wire_field field;

	while (body.n) { /* google.rpc.Status: message = 2 */
		if (read_field(&body, &field) < 0)
			return (struct bytes){ NULL, 0 };
		if (field.number == 2 && field.type == WIRE_LEN)
			said = field.content;
	}
	return said;
}
