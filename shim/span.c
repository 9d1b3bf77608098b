/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/span.h"

#include "base/clock.h"
#include "base/config.h"
#include "exporter/exporter.h"
#include "shim/block.h"
#include "shim/link.h"
#include "shim/request.h"
#include "shim/route.h"
#include "shim/span_view.h"
#include "shim/stacktrace.h"
#include "shim/wire/url.h"

#define NAME_MAX_BYTES 256
#define URL_ROOM       768 /* on the stack of a program's thread; longer ones take a block */

static struct bytes version_text(const struct exchange *e)
{
	if (e->http2)
		return BYTES("2");
	return e->minor ? BYTES("1.1") : BYTES("1.0");
}

static struct bytes flavor_text(const struct exchange *e)
{
	return e->http2 ? BYTES("2.0") : version_text(e);
}

static struct bytes status_text(uint16_t status, char digits[static 3])
{
	digits[0] = (char)('0' + status / 100 % 10);
	digits[1] = (char)('0' + status / 10 % 10);
	digits[2] = (char)('0' + status % 10);
	return (struct bytes){ digits, 3 };
}

/* 5xx is an error of the server's; a client also calls 4xx one. */
static bool status_is_error(const struct exchange *e)
{
	return e->status_seen && (e->status >= 500 || (e->status >= 400 && !e->server));
}

static void put_outcome(struct span_view *v)
{
	struct exchange *e = v->e;

	if (e->status_seen)
		record_put_int(v->r, ATTRIBUTE_HTTP_RESPONSE_STATUS_CODE, e->status);
	span_put_if(v, ATTRIBUTE_ERROR_TYPE, v->error);
	if (v->error.n)
		v->r->head->status = STATUS_ERROR;
}

static void put_method(struct span_view *v)
{
	if (v->known_method.n) {
		span_put(v, ATTRIBUTE_HTTP_REQUEST_METHOD, v->known_method);
		return;
	}
	span_put(v, ATTRIBUTE_HTTP_REQUEST_METHOD, BYTES("_OTHER"));
	span_put(v, ATTRIBUTE_HTTP_REQUEST_METHOD_ORIGINAL, v->e->method);
}

static void put_peer(struct span_view *v)
{
	struct conn *c = v->c;

	if (c->unix_socket)
		span_put(v, ATTRIBUTE_NETWORK_TRANSPORT, BYTES("unix"));
	span_put_if(v, ATTRIBUTE_NETWORK_PEER_ADDRESS, bytes_of(c->peer));
	if (c->peer_port)
		record_put_int(v->r, ATTRIBUTE_NETWORK_PEER_PORT, c->peer_port);
	span_put(v, ATTRIBUTE_NETWORK_PROTOCOL_VERSION, version_text(v->e));
	span_put_if(v, ATTRIBUTE_TLS_PROTOCOL_VERSION, bytes_of(c->tls_version));
	span_put_if(v, ATTRIBUTE_TLS_CIPHER, bytes_of(c->tls_cipher));
	span_put_if(v, ATTRIBUTE_USER_AGENT_ORIGINAL, v->e->user_agent);
}

static void put_captured(struct span_view *v)
{
	struct exchange *e = v->e;
	const struct captured_header *captured = e->captures ? exchange_captured(e) : NULL;

	unsigned request = e->rpc ? RECORD_REQUEST_METADATA : RECORD_REQUEST_HEADER;
	unsigned response = e->rpc ? RECORD_RESPONSE_METADATA : RECORD_RESPONSE_HEADER;

	for (unsigned i = 0; i < e->captures; i++)
		record_put_header(v->r, i < e->captured_requests ? request : response,
				  captured[i].name, captured[i].value);
}

static void put_name(struct span_view *v)
{
	char room[NAME_MAX_BYTES];
	struct text name = TEXT_ON(room);

	route_put_span_name(&name, v->e->method, v->e->url.path);
	record_put(v->r, RECORD_NAME, text_bytes(&name));
}

/* Redaction makes values longer, by REDACTED at most each: twice the target and a host is enough
 * for all but hostile ones, which are cut. The block, to be put back, or NULL. */
static char *url_block(const struct span_view *v, struct text *t)
{
	size_t need = 2 * v->e->target.n + v->host.n + 64, size;
	char *block = need > URL_ROOM ? block_get(need, &size) : NULL;

	if (block)
		*t = (struct text){ .p = block, .size = size };
	return block;
}

static uint16_t standard_port(const struct span_view *v)
{
	return bytes_equal(v->scheme, BYTES("https")) ? 443 : 80;
}

static uint16_t port_or_standard(const struct span_view *v)
{
	return v->port ? v->port : standard_port(v);
}

/* ---- server ---- */

/* http.target: the path and what url.query says. */
static void put_old_target(struct span_view *v, struct bytes query)
{
	char room[URL_ROOM];
	struct text target = TEXT_ON(room);
	char *block = url_block(v, &target);

	text_put(&target, v->e->url.path);
	if (query.n) {
		text_put_char(&target, '?');
		text_put(&target, query);
	}
	span_put(v, ATTRIBUTE_OLD_HTTP_TARGET, text_bytes(&target));
	block_put(block);
}

static void put_server(struct span_view *v)
{
	struct exchange *e = v->e;
	char room[URL_ROOM];
	struct text query = TEXT_ON(room);
	char *block = url_block(v, &query);

	span_put(v, ATTRIBUTE_URL_PATH, v->e->url.path);
	span_put(v, ATTRIBUTE_URL_SCHEME, v->scheme);
	if (v->e->url.query.n) {
		url_put_query_redacted(&query, v->e->url.query);
		span_put(v, ATTRIBUTE_URL_QUERY, text_bytes(&query));
	}
	span_put_if(v, ATTRIBUTE_HTTP_ROUTE, v->route);
	if (v->c->unix_socket && !v->host.n)
		v->host = bytes_of(v->c->peer);
	span_put_if(v, ATTRIBUTE_SERVER_ADDRESS, v->host);
	if (v->host.n && !v->port && !v->c->unix_socket)
		v->port = standard_port(v);
	if (v->host.n && v->port)
		record_put_int(v->r, ATTRIBUTE_SERVER_PORT, v->port);
	span_put_if(v, ATTRIBUTE_CLIENT_ADDRESS,
		    e->forwarded_client.n ? e->forwarded_client : bytes_of(v->c->peer));
	if (config.semconv & SEMCONV_HTTP_DUP) {
		put_old_target(v, text_bytes(&query));
		span_put(v, ATTRIBUTE_OLD_HTTP_SCHEME, v->scheme);
		span_put_if(v, ATTRIBUTE_OLD_HTTP_HOST, e->host);
	}
	block_put(block);
}

/* ---- client ---- */

static void put_client(struct span_view *v)
{
	char room[URL_ROOM];
	struct text url = TEXT_ON(room);
	char *block = url_block(v, &url);

	span_put_if(v, ATTRIBUTE_SERVER_ADDRESS, v->host);
	if (v->port || !v->c->unix_socket)
		record_put_int(v->r, ATTRIBUTE_SERVER_PORT, port_or_standard(v));
	url_put_full(&url, &v->e->url, v->scheme, v->host, v->port);
	span_put(v, ATTRIBUTE_URL_FULL, text_bytes(&url));
	span_put(v, ATTRIBUTE_TAGALONG_LINK, link_rule_name(v->e->link));
	link_count(v->e->link);
	if (config.semconv & SEMCONV_HTTP_DUP) {
		span_put(v, ATTRIBUTE_OLD_HTTP_URL, text_bytes(&url));
		span_put_if(v, ATTRIBUTE_OLD_NET_PEER_NAME, v->host);
		record_put_int(v->r, ATTRIBUTE_OLD_NET_PEER_PORT, port_or_standard(v));
	}
	block_put(block);
}

static void put_old_names(struct span_view *v)
{
	span_put(v, ATTRIBUTE_OLD_HTTP_METHOD, v->e->method);
	span_put(v, ATTRIBUTE_OLD_HTTP_FLAVOR, flavor_text(v->e));
	span_put_if(v, ATTRIBUTE_OLD_HTTP_USER_AGENT, v->e->user_agent);
	if (v->e->status_seen)
		record_put_int(v->r, ATTRIBUTE_OLD_HTTP_STATUS_CODE, v->e->status);
}

static void put_links(struct span_view *v)
{
	struct record_link link = { .remote = 0 };
	struct exchange *e = v->e;
	struct span_context received;

	shared_context_get(&received, &e->received);
	if (e->server && !e->parent_remote && trace_id_valid(received.trace_id)) {
		/* The edge does not trust its callers: a new trace, linked to theirs. */
		memcpy(link.trace_id, received.trace_id, 16);
		memcpy(link.span_id, received.span_id, 8);
		link.flags = received.flags;
		link.remote = 1;
		record_put_link(v->r, &link, (struct bytes){ NULL, 0 });
	}
	for (unsigned i = 0; e->links && i < e->links->count; i++) {
		const struct span_context *c = &e->links->context[i];

		memcpy(link.trace_id, c->trace_id, 16);
		memcpy(link.span_id, c->span_id, 8);
		link.flags = c->flags;
		record_put_link(v->r, &link, (struct bytes){ NULL, 0 });
	}
}

static void put_head(struct record_head *h, struct exchange *e)
{
	struct span_context own;

	shared_context_get(&own, &e->context);
	h->kind = e->server ? SPAN_SERVER : SPAN_CLIENT;
	h->trace_flags = own.flags;
	h->parent_remote = e->parent_remote;
	memcpy(h->trace_id, own.trace_id, 16);
	memcpy(h->span_id, own.span_id, 8);
	memcpy(h->parent_id, e->parent_id, 8);
	h->start_ns = e->start_ns;
	h->end_ns = e->start_ns + (e->end_monotonic - e->start_monotonic);
}

static void find_server(struct span_view *v)
{
	struct exchange *e = v->e;

	if (e->server && e->forwarded_host.n &&
	    url_split_host(&v->host, &v->port, e->forwarded_host) == 0)
		return;
	span_find_named_server(v);
}

static void look_http(struct span_view *v)
{
	struct exchange *e = v->e;

	v->known_method = route_known_method(e->method);
	find_server(v);
	v->scheme = e->server && e->forwarded_proto.n ? e->forwarded_proto
		    : e->url.scheme.n                 ? e->url.scheme
		    : v->c->tls                       ? BYTES("https")
						      : BYTES("http");
	if (e->server)
		v->route = route_find(e->url.path);
	if (e->error)
		v->error = bytes_of(e->error);
	else if (status_is_error(e))
		v->error = status_text(e->status, v->digits);
}

/* What the span and the measurement have in common. */
static void look(struct span_view *v)
{
	struct exchange *e = v->e;

	v->looked = true;
	if (!e->end_monotonic)
		e->end_monotonic = clock_monotonic_ns();
	if (e->rpc)
		span_rpc_look(v);
	else
		look_http(v);
}

static void put_http(struct span_view *v)
{
	put_name(v);
	put_method(v);
	if (v->e->server)
		put_server(v);
	else
		put_client(v);
	put_outcome(v);
	put_peer(v);
	if (config.semconv & SEMCONV_HTTP_DUP)
		put_old_names(v);
}

/* v->r is the record of w. */
static void write_span(struct span_view *v, struct ring_writer *w)
{
	struct exchange *e = v->e;

	if (!exporter_begin(w))
		return;
	if (!v->looked)
		look(v);
	put_head(v->r->head, e);
	if (e->rpc)
		span_rpc_put(v);
	else
		put_http(v);
	put_captured(v);
	if (e->tracestate.n)
		record_put(v->r, RECORD_TRACE_STATE, e->tracestate);
	put_links(v);
	stacktrace_put(v->r, v->r->head->status == STATUS_ERROR,
		       e->end_monotonic - e->start_monotonic);
	exporter_commit(w);
}

/* The server's own address is left out, as the conventions advise, and of the schemes that callers
 * may claim only two are told apart: whatever they write, the kinds of requests stay few. */
static void measure(const struct span_view *v, struct request_metrics *m)
{
	const struct exchange *e = v->e;
	struct request_key key = { .client = !e->server,
				   .version = (uint8_t)(e->http2 ? 20 : 10 + e->minor),
				   .status = e->status_seen ? e->status : 0 };

	key.text[REQUEST_METHOD] = v->known_method.n ? v->known_method : BYTES("_OTHER");
	key.text[REQUEST_ERROR] = v->error;
	if (e->server) {
		key.text[REQUEST_SCHEME] = bytes_equal_nocase(v->scheme, BYTES("https"))
						   ? BYTES("https")
						   : BYTES("http");
		key.text[REQUEST_ROUTE] = v->route;
	} else {
		key.text[REQUEST_ADDRESS] = v->host;
		if (v->port || !v->c->unix_socket)
			key.port = port_or_standard(v);
	}
	request_metrics_add(m, &key, e->end_monotonic - e->start_monotonic);
}

void span_end(struct conn *c, struct exchange *e)
{
	struct request_metrics *m = exporter_request_metrics();
	struct ring_writer w;
	struct span_view v = { .c = c, .e = e, .r = &w.record };
	bool sampled = e->sampled;

	if (e->server)
		exchange_set_candidate(e, false);
	if (e->measured || e->excluded)
		m = NULL;
	if (!sampled && !m)
		return;
	e->sampled = false;
	e->measured = true;
	if (m) {
		look(&v);
		if (e->rpc)
			span_rpc_measure(&v, m);
		else
			measure(&v, m);
	}
	if (sampled)
		write_span(&v, &w);
}
