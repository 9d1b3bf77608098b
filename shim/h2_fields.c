/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/h2_fields.h"

#include "base/counters.h"
#include "base/id.h"
#include "shim/carrier.h"
#include "shim/propagate.h"
#include "shim/request.h"

#define TRACEPARENT_NAME BYTES("traceparent")
#define LINES_ROOM       512 /* all formats but tracestate and baggage */

/* The fields that propagate_format() leaves out when a head has them stand side by side in
 * HTTP1_FIELDS. */
#define FIRST     HTTP1_TRACEPARENT
#define LOOKED_AT (HTTP1_UBER_TRACE_ID - FIRST + 1)

static uint16_t fields_of(const struct http1_head *head)
{
	uint16_t has = 0;

	for (unsigned i = 0; i < LOOKED_AT; i++)
		has |= (uint16_t)((head->count[FIRST + i] != 0) << i);
	return has;
}

/* ---- the plan ---- */

/* What stands in the peer's table is not what the program means, if it was replaced there. */
static void plan_restore(struct h2_ahead_entry *entry, const struct h2_block *b,
			 struct h2_decoded *d)
{
	struct span_context meant;

	if (entry->form != HPACK_INDEXED || !b->c->h2->value_in_table ||
	    d->head.head.count[HTTP1_TRACEPARENT] != 1 ||
	    traceparent_parse(&meant, d->head.head.field[HTTP1_TRACEPARENT]) < 0)
		return;
	shared_context_set(&d->opened->received, &meant);
	entry->action = H2_RESTORE;
}

static bool is_replaceable(const struct http1_head *head)
{
	return carrier_is_traceparent() && head->count[HTTP1_TRACEPARENT] == 1 &&
	       head->field[HTTP1_TRACEPARENT].n == TRACEPARENT_LEN;
}

static void plan_replace(struct h2_ahead_entry *entry, struct h2_decoded *d)
{
	if (is_replaceable(&d->head.head))
		entry->action = H2_REPLACE;
	else
		h2_fields_leave(d->opened);
}

/* Our id is not for this host: as in HTTP/1 (inject_head.c) it gets what the caller had sent, or
 * ids of zeros. */
static void plan_withhold(struct h2_ahead_entry *entry, const struct h2_block *b,
			  struct h2_decoded *d)
{
	struct span_context before = { .flags = 0 };

	if (!id_is_own_server(d->link.found.span_id)) {
		plan_restore(entry, b, d);
		return;
	}
	if (!is_replaceable(&d->head.head))
		return;
	link_received(&before, &d->link.found);
	shared_context_set(&d->opened->received, &before);
	entry->action = H2_RESTORE;
}

void h2_fields_leave(struct exchange *e)
{
	if (!e->sampled)
		return;
	/* Our server span's id leaves: it is the next server's parent. */
	e->sampled = false;
	count(exchanges_left_to_program);
}

void h2_fields_plan(struct h2_ahead_entry *entry, const struct h2_block *b, struct h2_decoded *d)
{
	struct exchange *e = d->opened;
	struct span_context own;

	e->stream_state |= H2_STREAM_UNSENT;
	entry->exchange = exchange_index(e);
	entry->generation = atomic_load_explicit(&e->generation, memory_order_relaxed);
	entry->at = (uint32_t)d->head.traceparent_place.at;
	entry->end = (uint32_t)d->head.traceparent_place.end;
	entry->form = d->head.traceparent_place.form;
	entry->list = (uint32_t)d->head.list_size;
	entry->has = fields_of(&d->head.head);
	shared_context_get(&own, &e->context);
	if (d->link.leave) {
		plan_restore(entry, b, d);
	} else if (!request_may_carry(b->c, e)) {
		count(inject_skipped_target);
		if (d->link.rewrite)
			plan_withhold(entry, b, d);
	} else if (d->link.rewrite) {
		plan_replace(entry, d);
	} else if (trace_id_valid(own.trace_id)) {
		entry->action = H2_INSERT;
	}
}

struct exchange *h2_fields_owner(const struct h2_ahead_entry *entry)
{
	struct exchange *e;

	if (entry->action == H2_LEAVE)
		return NULL;
	e = exchange_at(entry->exchange);
	return atomic_load_explicit(&e->generation, memory_order_relaxed) == entry->generation
		       ? e
		       : NULL;
}

/* ---- the texts ---- */

void h2_fields_replacement(char to[static H2_TRACEPARENT_LITERAL],
			   const struct h2_ahead_entry *entry, const struct exchange *e)
{
	/* RFC 7541 section 6.2: literals with a literal name. */
	static const uint8_t first[] = {
		[HPACK_INDEXED] = 0x00,
		[HPACK_INDEXING] = 0x40,
		[HPACK_WITHOUT_INDEXING] = 0x00,
		[HPACK_NEVER_INDEXED] = 0x10,
	};
	char value[TRACEPARENT_LEN + 1];
	struct span_context context;

	shared_context_get(&context, entry->action == H2_RESTORE ? &e->received : &e->context);
	traceparent_format(value, &context);
	hpack_put(to, H2_TRACEPARENT_LITERAL, TRACEPARENT_NAME,
		  (struct bytes){ value, TRACEPARENT_LEN });
	to[0] = (char)first[entry->form];
}

size_t h2_fields_room(const struct exchange *e)
{
	/* Jaeger has a field for each entry of the baggage. The lines first stand behind the
	 * literals that are made of them. */
	return 2 * (LINES_ROOM + e->tracestate.n + 4 * e->baggage.n);
}

/* What nearly all requests lack, and no more. */
static size_t put_traceparent(char *to, size_t room, const struct span_context *own, size_t *list)
{
	char value[TRACEPARENT_LEN + 1];
	size_t n;

	traceparent_format(value, own);
	n = hpack_put(to, room, TRACEPARENT_NAME, (struct bytes){ value, TRACEPARENT_LEN });
	if (n)
		*list += TRACEPARENT_NAME.n + TRACEPARENT_LEN + 32;
	return n;
}

size_t h2_fields_put(char *to, size_t room, const struct h2_ahead_entry *entry,
		     const struct exchange *e, size_t *list)
{
	struct text lines = { .p = to + room / 2, .size = room - room / 2 };
	struct http1_head has;
	struct span_context own;
	struct bytes rest;
	size_t n = 0;

	shared_context_get(&own, &e->context);
	if (!entry->has && propagate_is_traceparent(e->tracestate, e->baggage))
		return put_traceparent(to, room / 2, &own, list);
	has = (struct http1_head){ .request = true };
	for (unsigned i = 0; i < LOOKED_AT; i++)
		has.count[FIRST + i] = entry->has >> i & 1;
	propagate_format(&lines, &own, e->tracestate, e->baggage, e->debug, BYTES("\n"), &has);
	rest = text_bytes(&lines);
	while (rest.n) {
		struct bytes value = bytes_split(&rest, '\n'), name = bytes_split(&value, ':');
		size_t put;

		for (size_t i = 0; i < name.n; i++) /* RFC 9113 section 8.2: lower case */
			lines.p[name.p + i - lines.p] = ascii_lower(name.p[i]);
		value = bytes_trim(value);
		put = hpack_put(to + n, room / 2 - n, name, value);
		if (put)
			*list += name.n + value.n + 32;
		n += put;
	}
	return n;
}

bool h2_fields_allowed(size_t before, size_t after, uint32_t announced)
{
	static const uint32_t usual[] = { 8192, 16384, 32768, 65536 };

	if (after > announced)
		return false;
	for (unsigned i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (before <= usual[i] && usual[i] != announced)
			return after <= usual[i];
	return true;
}
