/* SPDX-License-Identifier: Apache-2.0 */
/* Private to shim/span*.c: an exchange on its way into a record. */
#ifndef SHIM_SPAN_VIEW_H
#define SHIM_SPAN_VIEW_H

#include "exporter/record.h"
#include "exporter/request_metrics.h"
#include "shim/conn.h"
#include "shim/wire/grpc.h"

struct span_view {
	struct conn *c;
	struct exchange *e;
	struct record *r;
	bool looked;               /* what follows is known */
	struct bytes known_method; /* of a call: "pkg.Svc/Meth" */
	struct bytes host;         /* of the server, without port */
	uint16_t port;
	struct bytes scheme, route;
	struct bytes error; /* error.type, or empty */
	char digits[3];
	int8_t status; /* of a call: enum grpc_status or GRPC_NO_STATUS */
};

static inline void span_put(struct span_view *v, enum attribute key, struct bytes value)
{
	record_put(v->r, key, value);
}

static inline void span_put_if(struct span_view *v, enum attribute key, struct bytes value)
{
	if (value.n)
		record_put(v->r, key, value);
}

/* The server that was asked: by name, or the peer itself when a client named none. */
static inline void span_find_named_server(struct span_view *v)
{
	v->host = v->e->server_name;
	v->port = v->e->server_port;
	if (v->e->server || v->host.n)
		return;
	v->host = bytes_of(v->c->peer);
	v->port = v->c->peer_port;
}

/* span_rpc.c: calls of gRPC. */

/* What the span and the measurement have in common; e->end_monotonic is known. */
void span_rpc_look(struct span_view *v);
/* The call's part of the record. */
void span_rpc_put(struct span_view *v);
void span_rpc_measure(const struct span_view *v, struct request_metrics *m);

#endif
