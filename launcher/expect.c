/* SPDX-License-Identifier: Apache-2.0 */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include "launcher/expect.h"

void expectation_free(struct expectation *e)
{
	while (e->count)
		free(e->steps[--e->count]);
}

const char *expectation_parse(struct expectation *e, const char *text)
{
	*e = (struct expectation){ .text = text };
	for (;;) {
		size_t n, length = strcspn(text, ">");
		const char *rest = text + length;

		text += strspn(text, " \t");
		n = text < rest ? (size_t)(rest - text) : 0;
		while (n && (text[n - 1] == ' ' || text[n - 1] == '\t'))
			n--;
		if (!n || e->count == EXPECT_STEPS_MAX) {
			expectation_free(e);
			return n ? "it has too many steps" : "a service name is missing";
		}
		e->steps[e->count++] = must_have(strndup(text, n));
		if (!*rest)
			return NULL;
		text = rest + 1;
	}
}

static bool step_is(const struct expectation *e, unsigned step, const char *service)
{
	return step < e->count &&
	       (strcmp(e->steps[step], service) == 0 || fnmatch(e->steps[step], service, 0) == 0);
}

/* The steps that a span can stand for, from those of its parent. */
static uint32_t steps_of(const struct expectation *e, const struct tree_node *node,
			 const struct tree_node *parent, uint32_t parent_steps)
{
	const struct span *s = node->span;
	uint32_t steps = step_is(e, 0, s->service) ? 1 : 0;

	for (unsigned k = 0; parent_steps >> k; k++) {
		bool same = strcmp(s->service, parent->span->service) == 0;

		if (!(parent_steps >> k & 1))
			continue;
		if (same && step_is(e, k, s->service))
			steps |= 1u << k;
		if (step_is(e, k + 1, s->service) &&
		    (!same || s->kind == KIND_SERVER || s->kind == KIND_CONSUMER))
			steps |= 1u << (k + 1);
	}
	return steps;
}

unsigned expectation_match(const struct expectation *e, const struct trace_tree *tree,
			   uint32_t *marks)
{
	uint32_t *own = marks ? marks : must_have(calloc(tree->count + 1, sizeof(*own))), all = 0;

	/* Parents stand before their children. */
	for (uint32_t i = 0; i < tree->count; i++) {
		const struct tree_node *node = &tree->nodes[i];
		bool root = node->parent == NO_INDEX;

		own[i] = steps_of(e, node, root ? NULL : &tree->nodes[node->parent],
				  root ? 0 : own[node->parent]);
		all |= own[i];
	}
	if (own != marks)
		free(own);
	return all ? 32 - (unsigned)__builtin_clz(all) : 0;
}
