/* SPDX-License-Identifier: Apache-2.0 */
/* What a client library is given to carry on a call: with a library that writes requests on other
 * threads than those that ask, the caller's is where it is known whose request it is. */
#include "base/config.h"
#include "base/id.h"
#include "base/thread.h"
#include "exporter/exporter.h"
#include "shim/caller.h"
#include "shim/exchange.h"
#include "shim/flow.h"
#include "shim/link.h"
#include "shim/looks.h"
#include "shim/process_state.h"
#include "shim/propagate.h"
#include "shim/shim.h"

#define LOOKED_FOR 30 /* powers of two: so many looks at the most */

static _Atomic uint32_t requests; /* read so far */

void shim_when_calling(void (*fn)(void))
{
	looks_set(LOOK_CARRIERS, fn);
}

static void look_now(void)
{
	if (config.carriers != CARRIERS_OFF)
		looks_begin(LOOK_CARRIERS);
}

void caller_on_listen(void)
{
	if (!thread_enter())
		return;
	look_now();
	thread_leave();
}

/* A module may be loaded at any time, and is not announced: it is found by the next look, and they
 * become rare. */
void caller_on_request(void)
{
	uint32_t n = atomic_fetch_add_explicit(&requests, 1, memory_order_relaxed) + 1;

	if (!(n & (n - 1)) && n < 1u << LOOKED_FOR)
		look_now();
}

/* Who gets our id may send it anywhere, and only what travels as traceparent alone is known to be
 * replaced on the way. */
static bool may_carry(void)
{
	const unsigned known = 1u << PROPAGATOR_TRACECONTEXT | 1u << PROPAGATOR_BAGGAGE;

	return config.propagate_to[0] == '*' && !config.propagate_to[1] && !config.disabled &&
	       config.propagators & 1u << PROPAGATOR_TRACECONTEXT && !(config.propagators & ~known);
}

static size_t lines_of(const struct link *link, char *to, size_t room)
{
	const struct exchange *e = exchange_at(link->exchange);
	struct text lines = { .p = to, .size = room };
	struct bytes tracestate = exchange_text(&e->tracestate);
	struct bytes baggage = exchange_text(&e->baggage);

	/* Others may close the exchange: what was copied from it is good if it still stands. */
	if (!exchange_stands(e, link->generation))
		return 0;
	propagate_format(&lines, &link->parent, tracestate, baggage, false, BYTES("\0"), NULL);
	if (lines.cut) { /* the parent matters more */
		lines = (struct text){ .p = to, .size = room };
		baggage = tracestate = (struct bytes){ NULL, 0 };
		propagate_format(&lines, &link->parent, tracestate, baggage, false, BYTES("\0"),
				 NULL);
	}
	return exchange_stands(e, link->generation) ? lines.n : 0;
}

size_t shim_caller_lines(char *to, size_t room)
{
	struct link link;
	size_t n = 0;

	if (!fd_table.size || thread_state.vfork_child || process_is_new_child() ||
	    process_is_vm_child() || !thread_state.exchange || !thread_enter())
		return 0;
	if (may_carry() && link_for_caller(&link))
		n = lines_of(&link, to, room);
	if (n)
		process_flag_set(carries);
	thread_leave();
	return n;
}

size_t shim_flow_lines(const struct shim_flow *f, char *to, size_t room)
{
	char traceparent[TRACEPARENT_LEN + 1];
	struct text lines = { .p = to, .size = room };
	struct shim_flow request;
	struct link link = { .rule = LINK_RULE_FLOW };
	size_t n = 0;

	if (!flow_resolve(f, &request) || !shim_flow_traceparent(f, traceparent))
		return 0;
	link.parent = request.context;
	link.exchange = request.exchange;
	link.generation = request.generation;
	if (may_carry() && thread_enter()) {
		n = lines_of(&link, to, room);
		thread_leave();
	}
	if (n)
		return n;
	/* Answered long ago: what else came with it is gone. */
	text_put(&lines, BYTES("traceparent: "));
	text_put(&lines, (struct bytes){ traceparent, TRACEPARENT_LEN + 1 });
	return lines.cut ? 0 : lines.n;
}
