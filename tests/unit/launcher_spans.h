/* SPDX-License-Identifier: Apache-2.0 */
/* Traces for the launcher's tests, written as one line a span. */
#ifndef TESTS_UNIT_LAUNCHER_SPANS_H
#define TESTS_UNIT_LAUNCHER_SPANS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "launcher/trace_tree.h"

#define START_NS UINT64_C(1000000000)

/* Adds a span of trace 1: id and parent are small numbers (0: none), times are microseconds. */
static inline struct span *add_span(struct trace_store *store, unsigned id, unsigned parent,
				    const char *service, unsigned kind, int64_t start,
				    int64_t length)
{
	struct span span = { .kind = (uint8_t)kind };

	span.trace_id[15] = 1;
	span.span_id[6] = (uint8_t)(id >> 8);
	span.span_id[7] = (uint8_t)id;
	span.parent_id[6] = (uint8_t)(parent >> 8);
	span.parent_id[7] = (uint8_t)parent;
	span.service = trace_store_string(store, service, strlen(service));
	span.name = trace_store_string(store, "GET", 3);
	span.start_ns = START_NS + (uint64_t)(start * 1000);
	span.end_ns = span.start_ns + (uint64_t)(length * 1000);
	trace_store_add(store, &span);
	return &store->spans[store->span_count - 1];
}

/* The ids in the order of the tree: "1 2 .3" (one dot a level, "?" before orphans). */
static inline const char *tree_text(const struct trace_tree *tree)
{
	static char text[4096];
	size_t n = 0;

	for (uint32_t i = 0; i < tree->count && n + 32 < sizeof(text); i++) {
		const struct tree_node *node = &tree->nodes[i];

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s%.*s%u", i ? " " : "",
				      node->orphan ? "?" : "", (int)node->depth, "..........",
				      node->span->span_id[6] * 256u + node->span->span_id[7]);
	}
	return text;
}

#endif
