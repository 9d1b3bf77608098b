/* SPDX-License-Identifier: Apache-2.0 */
/* The span of a call: names, attributes and status of the RPC semantic conventions 1.44.0, with
 * what gRPC adds to them. */
#include "base/config.h"
#include "shim/block.h"
#include "shim/link.h"
#include "shim/request.h"
#include "shim/rpc_names.h"
#include "shim/route.h"
#include "shim/span_view.h"

#define MESSAGE_ROOM 768 /* on the stack of a program's thread; longer ones take a block */
#define SYSTEM       BYTES("grpc")

/* How a call ended whose connection was lost, as a library of gRPC's would put it. */
static int status_of_loss(const struct exchange *e)
{
	bool by_us = bytes_equal(bytes_of(e->error), BYTES("aborted"));

	/* The caller went, or whoever was to answer. */
	return by_us != e->server ? request_given_up(e, e->end_monotonic) : GRPC_UNAVAILABLE;
}

static int status_of(const struct exchange *e)
{
	if (e->rpc_status != GRPC_NO_STATUS)
		return e->rpc_status;
	if (e->response_ended)
		return (int)grpc_status_of_http(e->status);
	/* A connection that could not be followed any further: who knows. */
	return e->error ? status_of_loss(e) : GRPC_NO_STATUS;
}

/* The conventions want a name only for methods that the server has. Callers can ask for anything:
 * what it refused as unknown, or more names than a program has, says nothing. A program's own
 * calls are few. */
static bool may_be_named(const struct span_view *v, struct bytes name)
{
	if (!v->e->server)
		return true;
	return v->status != GRPC_UNIMPLEMENTED && rpc_names_admit(name);
}

void span_rpc_look(struct span_view *v)
{
	struct grpc_method call;

	v->status = (int8_t)status_of(v->e);
	if (grpc_status_is_error(v->status, v->e->server))
		v->error = bytes_of(grpc_status_name((enum grpc_status)v->status));
	if (grpc_split_path(&call, v->e->url.path) && may_be_named(v, call.full))
		v->known_method = call.full;
	span_find_named_server(v);
	/* Of a name without port the peer's is as good as known. */
	if (!v->e->server && !v->port)
		v->port = v->c->peer_port;
}

static void put_method(struct span_view *v)
{
	struct bytes name = v->known_method.n ? v->known_method : SYSTEM, path = v->e->url.path;

	if (name.n > ROUTE_NAME_MAX)
		name.n = ROUTE_NAME_MAX;
	record_put(v->r, RECORD_NAME, name);
	span_put(v, ATTRIBUTE_RPC_SYSTEM_NAME, SYSTEM);
	if (v->known_method.n) {
		span_put(v, ATTRIBUTE_RPC_METHOD, v->known_method);
		return;
	}
	span_put(v, ATTRIBUTE_RPC_METHOD, BYTES("_OTHER"));
	if (path.n && path.p[0] == '/')
		path = (struct bytes){ path.p + 1, path.n - 1 };
	span_put(v, ATTRIBUTE_RPC_METHOD_ORIGINAL, path);
}

static void put_places(struct span_view *v)
{
	span_put_if(v, ATTRIBUTE_SERVER_ADDRESS, v->host);
	if (v->host.n && v->port)
		record_put_int(v->r, ATTRIBUTE_SERVER_PORT, v->port);
	span_put_if(v, ATTRIBUTE_NETWORK_PEER_ADDRESS, bytes_of(v->c->peer));
	if (v->c->peer_port)
		record_put_int(v->r, ATTRIBUTE_NETWORK_PEER_PORT, v->c->peer_port);
}

/* The description of an error. */
static void put_message(struct span_view *v)
{
	char room[MESSAGE_ROOM], *block = NULL, *to = room;
	size_t size = sizeof(room);

	if (!v->e->rpc_message.n)
		return;
	if (v->e->rpc_message.n > size)
		block = block_get(v->e->rpc_message.n, &size);
	if (block)
		to = block;
	else
		size = sizeof(room);
	size = grpc_decode_message(to, size, v->e->rpc_message);
	record_put(v->r, RECORD_STATUS_MESSAGE, (struct bytes){ to, size });
	block_put(block);
}

static void put_outcome(struct span_view *v)
{
	if (v->status != GRPC_NO_STATUS)
		span_put(v, ATTRIBUTE_RPC_RESPONSE_STATUS_CODE,
			 bytes_of(grpc_status_name((enum grpc_status)v->status)));
	if (!v->error.n)
		return;
	span_put(v, ATTRIBUTE_ERROR_TYPE, v->error);
	v->r->head->status = STATUS_ERROR;
	put_message(v);
}

/* rpc.method has one name and two meanings: the present one stays. */
static void put_old_names(struct span_view *v)
{
	struct grpc_method call;

	span_put(v, ATTRIBUTE_OLD_RPC_SYSTEM, SYSTEM);
	if (v->known_method.n && grpc_split_path(&call, v->e->url.path))
		span_put(v, ATTRIBUTE_OLD_RPC_SERVICE, call.service);
	if (v->status != GRPC_NO_STATUS)
		record_put_int(v->r, ATTRIBUTE_OLD_RPC_GRPC_STATUS_CODE, v->status);
}

void span_rpc_put(struct span_view *v)
{
	put_method(v);
	put_places(v);
	put_outcome(v);
	if (!v->e->server) {
		span_put(v, ATTRIBUTE_TAGALONG_LINK, link_rule_name(v->e->link));
		link_count(v->e->link);
	}
	if (config.semconv & SEMCONV_RPC_DUP)
		put_old_names(v);
}

void span_rpc_measure(const struct span_view *v, struct request_metrics *m)
{
	const struct exchange *e = v->e;
	struct request_key key = { .client = !e->server,
				   .rpc = true,
				   .status = (uint16_t)(v->status + 1) };

	key.text[REQUEST_METHOD] = v->known_method.n ? v->known_method : BYTES("_OTHER");
	key.text[REQUEST_ERROR] = v->error;
	if (!e->server) {
		key.text[REQUEST_ADDRESS] = v->host;
		key.port = v->host.n ? v->port : 0;
	}
	request_metrics_add(m, &key, e->end_monotonic - e->start_monotonic);
}
