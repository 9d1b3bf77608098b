/* SPDX-License-Identifier: Apache-2.0 */
/* The spans of one trace as a tree, in the order they are shown: parents before children, siblings
 * by start. */
#ifndef LAUNCHER_TRACE_TREE_H
#define LAUNCHER_TRACE_TREE_H

#include "launcher/trace_store.h"

struct tree_node {
	const struct span *span;
	uint32_t parent; /* index among the nodes, NO_INDEX for roots and orphans */
	uint32_t depth;
	bool last;        /* of its siblings */
	bool orphan;      /* names a parent that is not here */
	int64_t shift_ns; /* added to its times, to make up for another host's clock */
};

struct trace_tree {
	const struct trace *trace;
	struct tree_node *nodes;
	uint32_t count;
	uint64_t start_ns, end_ns; /* with shifts */
	uint32_t errors, orphans, services, duplicates, shifted;
	int64_t widest_shift_ns;
};

/* Spans that came twice count once; of a circle of parents the earliest span becomes an orphan.
 * Good as long as the store gains nothing. */
void trace_tree_build(struct trace_tree *tree, const struct trace_store *store,
		      const struct trace *trace);
void trace_tree_free(struct trace_tree *tree);

static inline uint64_t node_start(const struct tree_node *node)
{
	return node->span->start_ns + (uint64_t)node->shift_ns;
}

static inline uint64_t node_end(const struct tree_node *node)
{
	return node->span->end_ns + (uint64_t)node->shift_ns;
}

#endif
