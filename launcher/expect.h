/* SPDX-License-Identifier: Apache-2.0 */
/* 'nginx > api > users': a chain of services that a trace should hold. Each step is a service
 * name (or a glob), reached from the step before by a parent link; it may pass through several
 * spans of one service. A step to the same service again ('api > api') wants a server or consumer
 * span, that is another request. */
#ifndef LAUNCHER_EXPECT_H
#define LAUNCHER_EXPECT_H

#include "launcher/trace_tree.h"

#define EXPECT_STEPS_MAX 24

struct expectation {
	const char *text;
	char *steps[EXPECT_STEPS_MAX];
	unsigned count;
};

/* NULL, or what is wrong with the text. */
const char *expectation_parse(struct expectation *e, const char *text);
void expectation_free(struct expectation *e);

/* How many steps from the first on the tree holds; *at: a span of the last of them, marks (count
 * nodes, or NULL): for each span the steps it can stand for, as bits. */
unsigned expectation_match(const struct expectation *e, const struct trace_tree *tree,
			   uint32_t *marks);

/* Says to `out` why the match ended after `held` steps: what was called from there, and where the
 * missing service is seen. Each line is a sentence. */
void expectation_explain(const struct expectation *e, const struct trace_tree *tree,
			 const struct trace_store *store, void (*say)(void *arg, const char *line),
			 void *arg);

#endif
