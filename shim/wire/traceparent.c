/* SPDX-License-Identifier: Apache-2.0 */
/* The traceparent header: W3C Trace Context level 2, section 3.2.
 * Pure: bytes in, bytes out. No memory, no globals, no I/O, nothing read past the view. */
#include <errno.h>
#include "shim/wire/traceparent.h"

#define malloc            wire_code_must_not_allocate

#define TRACE_FLAGS_KNOWN (TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM)

/* "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" */
enum { AT_VERSION = 0, AT_TRACE_ID = 3, AT_SPAN_ID = 36, AT_FLAGS = 53 };

static bool span_id_valid(const uint8_t id[static 8])
{
	uint64_t v;

	memcpy(&v, id, 8);
	return v != 0;
}

/* A version we do not know must begin like version 00; its unknown flag bits are not ours. */
static bool version_fits(uint8_t version, struct bytes value)
{
	if (version == 0xff)
		return false;
	if (value.n == TRACEPARENT_LEN)
		return true;
	return version != 0 && value.p[TRACEPARENT_LEN] == '-';
}

int traceparent_parse(struct span_context *out, struct bytes value)
{
	struct span_context c;
	const char *p;
	uint8_t version;

	value = bytes_trim(value);
	p = value.p;
	if (value.n < TRACEPARENT_LEN || p[2] != '-' || p[35] != '-' || p[52] != '-')
		return -EINVAL;
	if (hex_parse(&version, 1, (struct bytes){ p + AT_VERSION, 2 }) ||
	    hex_parse(c.trace_id, 16, (struct bytes){ p + AT_TRACE_ID, 32 }) ||
	    hex_parse(c.span_id, 8, (struct bytes){ p + AT_SPAN_ID, 16 }) ||
	    hex_parse(&c.flags, 1, (struct bytes){ p + AT_FLAGS, 2 }))
		return -EINVAL;
	if (!version_fits(version, value) || !trace_id_valid(c.trace_id) ||
	    !span_id_valid(c.span_id))
		return -EINVAL;
	c.flags &= TRACE_FLAGS_KNOWN;
	*out = c;
	return 0;
}

void traceparent_format(char text[static TRACEPARENT_LEN + 1], const struct span_context *context)
{
	uint8_t flags = context->flags & TRACE_FLAGS_KNOWN;
	char *to = text;

	*to++ = '0';
	*to++ = '0';
	*to++ = '-';
	to = hex_format(to, context->trace_id, 16);
	*to++ = '-';
	to = hex_format(to, context->span_id, 8);
	*to++ = '-';
	to = hex_format(to, &flags, 1);
	*to = '\0';
}
