/* SPDX-License-Identifier: Apache-2.0 */
/* Asks an OTLP/HTTP receiver whether it is one: an empty ExportTraceServiceRequest, from a child
 * process that cannot outlast its time, whatever the resolver does. */
#ifndef LAUNCHER_PROBE_H
#define LAUNCHER_PROBE_H

#include <stddef.h>
#include "exporter/endpoint.h"

enum probe_outcome {
	PROBE_ANSWER,        /* HTTP: status and content type are known */
	PROBE_NO_NAME,       /* text: the resolver's words */
	PROBE_NO_CONNECTION, /* error: errno */
	PROBE_SILENCE,       /* connected, but no answer in time */
	PROBE_CLOSED,        /* connected, and the connection was ended without an answer */
	PROBE_TLS,
	PROBE_HTTP2,   /* gRPC */
	PROBE_STRANGE, /* something else than HTTP */
	PROBE_FAILED   /* we could not ask; error: errno */
};

struct probe {
	enum probe_outcome outcome;
	int error;
	unsigned status;
	char content_type[128];
	char text[256];
};

struct probe probe_send(const struct endpoint *endpoint, long timeout_ms);

/* From the first bytes of an answer: fills in outcome, status and content type. */
void probe_read_answer(struct probe *probe, const char *answer, size_t n);

#endif
