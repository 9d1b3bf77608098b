/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP-JSON: one TracesData object on one line, as the OTLP file exporter writes it; and any other
 * message of otlp.proto. */
#ifndef EXPORTER_JSON_H
#define EXPORTER_JSON_H

#include "exporter/record.h"
#include "exporter/resource.h"

struct arena;
struct ProtobufCMessage;

/* The line for n records (n > 0), line end included; *out lies in the arena. The same content as
 * otlp_encode() gives, limits included. 0 or -ENOMEM (*out untouched). */
int json_encode(struct arena *a, const struct resource *r, const struct record_head *const *records,
		size_t n, struct bytes *out);

/* One message, without a line end; *out lies in the arena. 0 or -ENOMEM (*out untouched). */
int json_encode_message(struct arena *a, const struct ProtobufCMessage *m, struct bytes *out);

#endif
