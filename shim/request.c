/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/request.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/counters.h"
#include "base/id.h"
#include "exporter/exporter.h"
#include "exporter/request_metrics.h"
#include "shim/block.h"
#include "shim/process_state.h"
#include "shim/propagate.h"
#include "shim/request_parts.h"
#include "shim/route.h"
#include "shim/sampler.h"
#include "shim/wire/url.h"

/* Everything kept of a head is a part of it, so it fits in a text as long as the head; in HTTP/2
 * with what the lines do not have: see start_size(). */
#define TEXT_SLACK 64

static struct bytes keep(struct exchange *e, struct bytes b)
{
	if (b.n > EXCHANGE_VALUE_MAX) {
		b.n = EXCHANGE_VALUE_MAX;
		count(attributes_cut);
	}
	return exchange_keep(e, b);
}

void request_keep_captured(struct exchange *e, const struct http1_head *head, struct bytes whole,
			   enum header_list list)
{
	struct captured_header *kept;
	struct http1_header header;
	size_t pos = head->headers;

	while (route_captures_any(list) && e->captures < EXCHANGE_CAPTURES &&
	       http1_next_header(head, whole, &pos, &header)) {
		if (!route_captures(list, header.name))
			continue;
		kept = &exchange_captured(e)[e->captures];
		kept->name = keep(e, header.name);
		kept->value = keep(e, header.value);
		if (kept->name.n)
			e->captures++;
	}
}

/* Where the request goes. RFC 9112 section 3.2.2: an absolute target overrides Host. */
static void split_target(struct exchange *e)
{
	struct bytes authority;

	if (url_parse_target(&e->url, e->target, bytes_equal(e->method, BYTES("CONNECT"))) < 0)
		e->url = (struct url_target){ .path = e->target };
	authority = e->url.authority.n ? e->url.authority : e->host;
	if (authority.n)
		url_split_host(&e->server_name, &e->server_port, authority);
}

static size_t kept_size(struct bytes b)
{
	return b.n < EXCHANGE_VALUE_MAX ? b.n : EXCHANGE_VALUE_MAX;
}

/* What stands in the start line of HTTP/1 is not part of a head that was laid out from a block. */
static size_t start_size(const struct http1_head *head)
{
	if (!head->http2)
		return 0;
	return kept_size(head->method) + kept_size(head->target) + kept_size(head->scheme);
}

static struct exchange *open_exchange(const struct http1_head *head, size_t more)
{
	struct exchange *e = exchange_open(head->length + start_size(head) + more + TEXT_SLACK);
	struct bytes known;

	if (!e)
		return NULL;
	known = route_known_method(head->method);
	e->method = known.n ? known : keep(e, head->method);
	e->target = keep(e, head->target);
	e->host = keep(e, head->field[HTTP1_HOST]);
	e->user_agent = keep(e, head->field[HTTP1_USER_AGENT]);
	split_target(e);
	e->minor = head->minor;
	if (head->http2)
		request_begin_http2(e, head);
	e->forks = atomic_load_explicit(&process_state.forks, memory_order_relaxed);
	e->start_monotonic = clock_monotonic_ns();
	e->start_ns = clock_realtime_at(e->start_monotonic);
	return e;
}

/* For the metrics of ourselves: spans begun, by where their parent is and whether they are
 * recorded.
 */
static void count_started(const struct exchange *e, bool has_parent)
{
	if (!exporter_request_metrics())
		return;
	if (!has_parent) {
		if (e->sampled)
			count(spans_started_root);
		else
			count(spans_unsampled_root);
	} else if (e->parent_remote) {
		if (e->sampled)
			count(spans_started_remote);
		else
			count(spans_unsampled_remote);
	} else {
		if (e->sampled)
			count(spans_started_local);
		else
			count(spans_unsampled_local);
	}
}

/* ---- server ---- */

static void extract(struct exchange *e, struct propagate_in *in, const struct http1_head *head,
		    struct bytes whole)
{
	bool texts = head->count[HTTP1_TRACESTATE] || head->count[HTTP1_BAGGAGE] ||
		     config.propagators & 1u << PROPAGATOR_JAEGER;
	size_t size = 0;
	char *room = texts ? block_get(2 * head->length + TEXT_SLACK, &size) : NULL;

	propagate_extract(in, head, whole, room, room ? size : 0);
	/* What the caller says of itself goes no further where it is not trusted. */
	if (config.trust_inbound)
		exchange_set_texts(e,
				   in->valid ? exchange_keep(e, text_bytes(&in->tracestate))
					     : (struct bytes){ NULL, 0 },
				   exchange_keep(e, text_bytes(&in->baggage)), in->debug);
	block_put(room);
}

/* Our context: the caller's trace or a new one, and whether it is recorded. */
static void begin_server_context(struct exchange *e, const struct propagate_in *in)
{
	struct span_context own = { .flags = TRACE_FLAG_RANDOM };
	bool continued = in->valid && config.trust_inbound;

	if (in->valid)
		shared_context_set(&e->received, &in->context);
	if (e->excluded) {
		if (continued)
			own = in->context;
		shared_context_set(&e->context, &own);
		return;
	}
	if (continued) {
		own = in->context;
		memcpy(e->parent_id, in->context.span_id, 8);
		e->parent_remote = true;
		own.flags &= TRACE_FLAG_RANDOM;
	} else {
		id_new_trace(own.trace_id);
	}
	if (!in->valid && in->decision != PROPAGATE_UNDECIDED && config.trust_inbound)
		e->sampled = in->decision == PROPAGATE_RECORD;
	else
		e->sampled = sampler_decide(own.trace_id,
					    continued && in->decision != PROPAGATE_UNDECIDED,
					    in->context.flags & TRACE_FLAG_SAMPLED);
	if (e->sampled)
		own.flags |= TRACE_FLAG_SAMPLED;
	e->traceparent = in->traceparent;
	id_new_span(own.span_id, ID_SERVER);
	shared_context_set(&e->context, &own);
	count_started(e, continued);
}

struct exchange *request_open_server(struct conn *c, int fd, const struct http1_head *head,
				     struct bytes whole)
{
	struct exchange *e = open_exchange(head, 0);
	struct propagate_in in;

	if (!e)
		return NULL;
	e->server = true;
	extract(e, &in, head, whole);
	e->excluded = config.disabled;
	if (config.exclude_paths[0] && route_excluded(e->url.path)) {
		e->excluded = true;
		count(exchanges_excluded);
	}
	begin_server_context(e, &in);
	if (head->count[HTTP1_FORWARDED] || head->count[HTTP1_X_FORWARDED_FOR] ||
	    head->count[HTTP1_X_FORWARDED_PROTO] || head->count[HTTP1_X_FORWARDED_HOST]) {
		struct url_forwarded f = url_parse_forwarded(head->field[HTTP1_FORWARDED],
							     head->field[HTTP1_X_FORWARDED_FOR],
							     head->field[HTTP1_X_FORWARDED_PROTO],
							     head->field[HTTP1_X_FORWARDED_HOST]);
		e->forwarded_client = keep(e, f.client);
		e->forwarded_proto = keep(e, f.proto);
		e->forwarded_host = keep(e, f.host);
	}
	if (e->sampled)
		request_keep_captured(e, head, whole, request_list(e, HEADERS_SERVER_REQUEST));
	e->captured_requests = e->captures;
	conn_learn_peer(c, fd);
	count(exchanges_server);
	if (!e->sampled && !e->excluded)
		count(exchanges_unsampled);
	return e;
}

/* ---- client ---- */

bool request_may_carry(const struct conn *c, const struct exchange *e)
{
	if (bytes_equal(e->method, BYTES("CONNECT")))
		return false;
	return route_propagates_to(e->server_name.n ? e->server_name : bytes_of(c->peer)) &&
	       !c->peer_is_metadata;
}

static bool goes_to_collector(const struct conn *c, const struct exchange *e)
{
	return exporter_is_endpoint(e->server_name, e->server_port ? e->server_port : 80) ||
	       (c->peer[0] && exporter_is_endpoint(bytes_of(c->peer), c->peer_port));
}

/* tracestate and baggage of the exchange the parent comes from, which another thread may own: where
 * they stand is read before it was closed, and what was copied is dropped if it was by then. */
static void inherit_texts(struct exchange *e, const struct link *link)
{
	const struct exchange *parent;
	struct bytes tracestate, baggage;
	bool debug;

	if (link->rule == LINK_RULE_PROCESS) {
		exchange_set_texts(e, exchange_keep(e, process_state.parent_tracestate),
				   exchange_keep(e, process_state.parent_baggage), false);
		return;
	}
	if (!link->generation)
		return;
	parent = exchange_at(link->exchange);
	tracestate = exchange_text(&parent->tracestate);
	baggage = exchange_text(&parent->baggage);
	debug = atomic_load_explicit(&parent->debug, memory_order_acquire);
	if (!exchange_stands(parent, link->generation))
		return;
	tracestate = exchange_keep(e, tracestate);
	baggage = exchange_keep(e, baggage);
	if (exchange_stands(parent, link->generation))
		exchange_set_texts(e, tracestate, baggage, debug);
}

static size_t inherited_size(const struct link *link)
{
	const struct exchange *parent;
	size_t n;

	if (link->rule == LINK_RULE_PROCESS)
		return process_state.parent_tracestate.n + process_state.parent_baggage.n;
	if (!link->generation)
		return 0;
	parent = exchange_at(link->exchange);
	n = exchange_text(&parent->tracestate).n + exchange_text(&parent->baggage).n;
	return n <= TRACESTATE_MAX + BAGGAGE_MAX ? n : 0;
}

static void begin_client_context(struct exchange *e, const struct link *link)
{
	struct span_context own = { .flags = TRACE_FLAG_RANDOM };
	bool parent_sampled = link->has_parent && link->parent.flags & TRACE_FLAG_SAMPLED;

	if (link->has_parent) {
		own = link->parent;
		own.flags &= TRACE_FLAG_RANDOM;
		memcpy(e->parent_id, link->parent.span_id, 8);
		e->parent_remote = link->parent_remote;
	} else {
		id_new_trace(own.trace_id);
	}
	e->sampled = sampler_decide(own.trace_id, link->has_parent, parent_sampled);
	if (e->sampled)
		own.flags |= TRACE_FLAG_SAMPLED;
	id_new_span(own.span_id, ID_OTHER);
	shared_context_set(&e->context, &own);
	count_started(e, link->has_parent);
}

/* A request that could not be linked says which requests were open. */
static void note_candidates(struct exchange *e)
{
	struct link_candidates found;
	size_t size;

	link_candidates(&found);
	if (!found.count)
		return;
	e->links = block_get(sizeof(found), &size);
	if (e->links)
		*e->links = found;
}

struct exchange *request_open_client(struct conn *c, int fd, const struct http1_head *head,
				     struct bytes whole, struct link *link)
{
	struct exchange *e;

	conn_learn_peer(c, fd);
	link_find(link, c, head);
	if (!link->leave && !link->rewrite && propagate_head_carries_context(head))
		link->leave = true;
	e = open_exchange(head, link->leave ? 0 : inherited_size(link));
	if (!e)
		return NULL;
	if (link->leave || goes_to_collector(c, e)) {
		/* An exchange all the same, so that its response is followed: no span, no header.
		 */
		link->leave = true;
		count(exchanges_left_to_program);
		e->excluded = true;
		return e;
	}
	e->link = link->rule;
	inherit_texts(e, link);
	if (config.disabled) {
		/* Only what came in is passed on. */
		e->excluded = true;
		shared_context_set(&e->context, &link->parent);
	} else {
		begin_client_context(e, link);
	}
	if (e->sampled) {
		request_keep_captured(e, head, whole, request_list(e, HEADERS_CLIENT_REQUEST));
		if (link->rule == LINK_RULE_NONE)
			note_candidates(e);
	}
	e->captured_requests = e->captures;
	return e;
}

void request_note_response(struct exchange *e, const struct http1_head *head, struct bytes whole)
{
	e->status = head->status;
	e->response_minor = head->minor;
	e->status_seen = true;
	if (e->rpc)
		request_note_status(e, head);
	if (e->sampled)
		request_keep_captured(e, head, whole, request_response_list(e));
}
