/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include "launcher/trace_tree.h"

/* Spans of the trace by start, with their places in the tree, while it is made. */
struct draft {
	const struct span *span;
	uint32_t parent, first_child, last_child, next_sibling;
	bool orphan, placed;
};

struct draft_set {
	struct draft *drafts;
	uint32_t count;
	uint32_t *buckets; /* span ids: index + 1 */
	uint32_t mask;
};

static int by_start(const void *a, const void *b)
{
	const struct span *x = ((const struct draft *)a)->span,
			  *y = ((const struct draft *)b)->span;

	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	/* The one that lasts longer is more likely the parent. */
	if (x->end_ns != y->end_ns)
		return x->end_ns > y->end_ns ? -1 : 1;
	return memcmp(x->span_id, y->span_id, sizeof(x->span_id));
}

static uint32_t *find_bucket(const struct draft_set *set, const uint8_t id[8])
{
	uint64_t h;
	uint32_t at;

	memcpy(&h, id, sizeof(h));
	at = (uint32_t)((h * 0x9e3779b97f4a7c15u) >> 32) & set->mask;
	while (set->buckets[at] &&
	       memcmp(set->drafts[set->buckets[at] - 1].span->span_id, id, 8) != 0)
		at = (at + 1) & set->mask;
	return &set->buckets[at];
}

static void gather(struct draft_set *set, const struct trace_store *store,
		   const struct trace *trace)
{
	set->drafts = must_have(calloc(trace->count + 1, sizeof(*set->drafts)));
	for (uint32_t s = trace->first; s != NO_INDEX; s = store->spans[s].next)
		set->drafts[set->count++] = (struct draft){ .span = &store->spans[s],
							    .parent = NO_INDEX,
							    .first_child = NO_INDEX,
							    .last_child = NO_INDEX,
							    .next_sibling = NO_INDEX };
	qsort(set->drafts, set->count, sizeof(*set->drafts), by_start);
	set->mask = 15;
	while (set->mask < set->count * 2)
		set->mask = set->mask * 2 + 1;
	set->buckets = must_have(calloc(set->mask + 1, sizeof(*set->buckets)));
}

/* A span exported twice (a retry whose first answer was lost) is one span. */
static void find_ids(struct draft_set *set, struct trace_tree *tree)
{
	for (uint32_t i = 0; i < set->count; i++) {
		uint32_t *bucket = find_bucket(set, set->drafts[i].span->span_id);

		if (*bucket) {
			set->drafts[i].placed = true;
			tree->duplicates++;
		} else {
			*bucket = i + 1;
		}
	}
}

static void find_parents(struct draft_set *set)
{
	static const uint8_t none[8];

	for (uint32_t i = 0; i < set->count; i++) {
		struct draft *d = &set->drafts[i], *parent;
		uint32_t index;

		if (d->placed || memcmp(d->span->parent_id, none, sizeof(none)) == 0)
			continue;
		index = *find_bucket(set, d->span->parent_id);
		if (!index || index - 1 == i) {
			d->orphan = true;
			continue;
		}
		d->parent = index - 1;
		parent = &set->drafts[d->parent];
		if (parent->last_child == NO_INDEX)
			parent->first_child = i;
		else
			set->drafts[parent->last_child].next_sibling = i;
		parent->last_child = i;
	}
}

static uint32_t place_node(struct trace_tree *tree, struct draft_set *set, uint32_t draft,
			   uint32_t parent)
{
	struct draft *d = &set->drafts[draft];
	uint32_t at = tree->count++;

	d->placed = true;
	tree->nodes[at] = (struct tree_node){
		.span = d->span,
		.parent = parent,
		.depth = parent == NO_INDEX ? 0 : tree->nodes[parent].depth + 1,
		.orphan = d->orphan,
		.last = d->next_sibling == NO_INDEX,
	};
	tree->orphans += d->orphan;
	tree->errors += d->span->error;
	return at;
}

/* Walks down from one root, without recursion: a chain can be as deep as the file is long. */
static void place_from(struct trace_tree *tree, struct draft_set *set, uint32_t root)
{
	uint32_t draft = root, at = place_node(tree, set, root, NO_INDEX);

	tree->nodes[at].last = true;
	for (;;) {
		struct draft *d = &set->drafts[draft];
		uint32_t next = d->first_child;

		/* The child that closes a circle is placed already: it is the root here. */
		while (next != NO_INDEX && set->drafts[next].placed)
			next = set->drafts[next].next_sibling;
		while (next == NO_INDEX) {
			if (draft == root)
				return;
			next = set->drafts[draft].next_sibling;
			draft = set->drafts[draft].parent;
			at = tree->nodes[at].parent;
			while (next != NO_INDEX && set->drafts[next].placed)
				next = set->drafts[next].next_sibling;
		}
		at = place_node(tree, set, next, at);
		draft = next;
	}
}

static void place_all(struct trace_tree *tree, struct draft_set *set)
{
	for (uint32_t i = 0; i < set->count; i++)
		if (!set->drafts[i].placed && set->drafts[i].parent == NO_INDEX)
			place_from(tree, set, i);
	for (uint32_t i = 0; i < set->count; i++)
		if (!set->drafts[i].placed) {
			set->drafts[i].orphan = true;
			place_from(tree, set, i);
		}
}

/* A request cannot be served before it is sent, nor longer than its sender waits: a server span
 * of another host that sticks out of its client span has another clock. Its subtree moves to the
 * middle of the client's span, as if both ways took the same time. */
static int64_t clock_shift(const struct tree_node *node, const struct tree_node *parent)
{
	const struct span *s = node->span, *p = parent->span;
	uint64_t room = p->end_ns - p->start_ns, length = s->end_ns - s->start_ns;
	uint64_t start = node_start(parent);
	bool asked = (p->kind == KIND_CLIENT && s->kind == KIND_SERVER);

	if (!asked || (s->host && p->host ? s->host == p->host : s->service == p->service))
		return parent->shift_ns * (s->host == p->host);
	if (s->start_ns >= start && s->end_ns <= node_end(parent))
		return 0;
	if (length <= room)
		start += (room - length) / 2;
	else if (s->start_ns >= start)
		return 0; /* it went on after its caller gave up */
	return (int64_t)(start - s->start_ns);
}

static void set_times(struct trace_tree *tree)
{
	tree->start_ns = UINT64_MAX;
	for (uint32_t i = 0; i < tree->count; i++) {
		struct tree_node *node = &tree->nodes[i];
		int64_t before = 0, shift;

		if (node->parent != NO_INDEX) {
			before = tree->nodes[node->parent].shift_ns;
			node->shift_ns = clock_shift(node, &tree->nodes[node->parent]);
		}
		if (node->shift_ns != before && node->shift_ns) {
			shift = node->shift_ns < 0 ? -node->shift_ns : node->shift_ns;
			tree->shifted++;
			if (shift > tree->widest_shift_ns)
				tree->widest_shift_ns = shift;
		}
		if (node_start(node) < tree->start_ns)
			tree->start_ns = node_start(node);
		if (node_end(node) > tree->end_ns)
			tree->end_ns = node_end(node);
	}
}

static int by_address(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void count_services(struct trace_tree *tree)
{
	const char **all = must_have(malloc((tree->count + 1) * sizeof(*all)));

	for (uint32_t i = 0; i < tree->count; i++)
		all[i] = tree->nodes[i].span->service;
	qsort(all, tree->count, sizeof(*all), by_address);
	for (uint32_t i = 0; i < tree->count; i++)
		tree->services += i == 0 || all[i] != all[i - 1];
	free(all);
}

void trace_tree_build(struct trace_tree *tree, const struct trace_store *store,
		      const struct trace *trace)
{
	struct draft_set set = { 0 };

	*tree = (struct trace_tree){ .trace = trace };
	tree->nodes = must_have(calloc(trace->count + 1, sizeof(*tree->nodes)));
	gather(&set, store, trace);
	find_ids(&set, tree);
	find_parents(&set);
	place_all(tree, &set);
	set_times(tree);
	count_services(tree);
	free(set.drafts);
	free(set.buckets);
}

void trace_tree_free(struct trace_tree *tree)
{
	free(tree->nodes);
	tree->nodes = NULL;
}
