// SPDX-License-Identifier: Apache-2.0
/* What a receiver answers, read without memory: views into its bytes, which may be anything. */
#include "exporter/otlp.h"

#include <errno.h>
#include "exporter/wire_field.h"

/* ExportTracePartialSuccess: rejected_spans = 1, error_message = 2. */
static int read_partial_success(struct bytes in, int64_t *rejected, struct bytes *message)
{
	struct wire_field field;

	while (in.n) {
		if (wire_field_read(&in, &field) < 0)
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
		if (wire_field_read(&body, &field) < 0)
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
		if (wire_field_read(&body, &field) < 0)
			return (struct bytes){ NULL, 0 };
		if (field.number == 2 && field.type == WIRE_LEN)
			said = field.content;
	}
	return said;
}
