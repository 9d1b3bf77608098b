/* SPDX-License-Identifier: Apache-2.0 */
/* Where spans (or metrics) go: the OTLP variables as one prepared HTTP request. Also used by
 * `tagalong doctor`.
 */
#ifndef EXPORTER_ENDPOINT_H
#define EXPORTER_ENDPOINT_H

#include "base/config.h"
#include "base/text.h"
#include "exporter/endpoint_url.h"

#define ENDPOINT_HEAD_MAX 16384

struct endpoint {
	char host[ENDPOINT_HOST_MAX + 1]; /* name or address, no brackets, terminated */
	uint16_t port;
	bool is_ipv6;
	bool is_https;
	const char *trouble; /* why this process cannot send there itself, or NULL */
	struct bytes target; /* the path in `head` */
	size_t head_n;
	/* The request up to and with "Content-Length: "; number, blank line and body follow. Last,
	 * as nobody clears it. */
	char head[ENDPOINT_HEAD_MAX];
};

typedef void (*endpoint_warn_fn)(void *arg, const char *message);

/* Fills *e from the configuration. What is not understood, and what works differently here (https,
 * grpc, http/json, gzip), gives one warning each; a URL that is not one gives the default. Header
 * values and userinfo never stand in a warning. */
void endpoint_read(struct endpoint *e, const struct config *c, endpoint_warn_fn warn, void *arg);

/* The same for metrics. */
void endpoint_read_metrics(struct endpoint *e, const struct config *c, endpoint_warn_fn warn,
			   void *arg);

/* "http://host:port/path", without userinfo and query. */
void endpoint_describe(const struct endpoint *e, struct text *t);

#endif
