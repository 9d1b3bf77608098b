/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP protobuf: an ExportTraceServiceRequest out of records, and what the receiver answers. */
#ifndef EXPORTER_OTLP_H
#define EXPORTER_OTLP_H

#include "exporter/record.h"
#include "exporter/resource.h"

#define OTLP_SCHEMA_URL "https://opentelemetry.io/schemas/1.44.0"

struct arena;

/* The request for n records (n > 0) that passed record_check(); *out lies in the arena. Limits on
 * attributes, links and value lengths are those of `config`. 0, -ENOMEM, or -EFAULT when protobuf-c
 * found itself broken (*out untouched). */
int otlp_encode(struct arena *a, const struct resource *r, const struct record_head *const *records,
		size_t n, struct bytes *out);

/* Reads an ExportTraceServiceResponse from a hostile body. 0: *rejected spans were refused (0 on
 * success; never negative) and *message, a view into body, says why (empty: nothing to say).
 * -EINVAL: not such a message (both untouched). An empty body is a success. */
int otlp_parse_response(struct bytes body, int64_t *rejected, struct bytes *message);

/* The message of a google.rpc.Status, which comes with 4xx and 5xx; empty when there is none. */
struct bytes otlp_status_message(struct bytes body);

#endif
