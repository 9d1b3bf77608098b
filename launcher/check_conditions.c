/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include "launcher/check.h"
#include "launcher/waterfall.h"

#define NAMED_MAX     3 /* spans that are named in a reason */
#define REASON_COLUMN 10

/* How near a trace is: steps of chains first, then the other conditions, then its size. */
struct score {
	unsigned steps, conditions;
	uint32_t spans;
	bool holds;
};

static struct score score_trace(const struct conditions *c, const struct trace_tree *tree)
{
	struct score score = { .spans = tree->count, .holds = true };

	for (unsigned i = 0; i < c->expectation_count; i++) {
		unsigned steps = expectation_match(&c->expectations[i], tree, NULL);

		score.steps += steps;
		score.holds = score.holds && steps == c->expectations[i].count;
	}
	score.conditions = (tree->count >= c->min_spans) + (!c->no_errors || !tree->errors) +
			   (!c->no_orphans || !tree->orphans);
	score.holds = score.holds && score.conditions == 3;
	return score;
}

static bool is_nearer(const struct score *a, const struct score *b)
{
	if (a->holds != b->holds)
		return a->holds;
	if (a->steps != b->steps)
		return a->steps > b->steps;
	if (a->conditions != b->conditions)
		return a->conditions > b->conditions;
	return a->spans > b->spans;
}

struct verdict conditions_judge(const struct conditions *c, const struct trace_store *store)
{
	struct verdict verdict = { 0 };
	struct score best = { 0 };

	for (uint32_t i = 0; i < store->trace_count && !verdict.holds; i++) {
		const struct trace *trace = &store->traces[i];
		char id[TRACE_ID_TEXT + 1];
		struct trace_tree tree;
		struct score score;

		hex_string(id, trace->id, 16);
		if (c->trace_id && strncasecmp(id, c->trace_id, strlen(c->trace_id)) != 0)
			continue;
		trace_tree_build(&tree, store, trace);
		score = score_trace(c, &tree);
		if (!verdict.candidates++ || is_nearer(&score, &best)) {
			best = score;
			verdict.trace = trace;
			verdict.holds = score.holds;
		}
		trace_tree_free(&tree);
	}
	return verdict;
}

static void put_result(const struct screen *screen, bool ok, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void put_result(const struct screen *screen, bool ok, const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	screen_colour(screen, ok ? COLOUR_OK : COLOUR_ERROR);
	fputs(ok ? "  ok      " : "  FAILED  ", screen->out);
	screen_colour(screen, COLOUR_NONE);
	screen_wrap_on(screen, REASON_COLUMN, line);
}

static void put_reason(void *arg, const char *line)
{
	const struct screen *screen = arg;
	char clean[FIT_ROOM(1024)];

	text_fit(clean, sizeof(clean), line, 1024, screen->unicode);
	screen_wrap(screen, REASON_COLUMN, clean);
}

static void report_expectation(const struct expectation *e, const struct trace_tree *tree,
			       const struct trace_store *store, const struct screen *screen)
{
	unsigned held = expectation_match(e, tree, NULL);

	if (held == e->count) {
		put_result(screen, true, "%s", e->text);
		return;
	}
	if (held)
		put_result(screen, false, "%s: breaks after %s", e->text, e->steps[held - 1]);
	else
		put_result(screen, false, "%s: no span of %s here", e->text, e->steps[0]);
	expectation_explain(e, tree, store, put_reason, (void *)screen);
}

static void name_spans(const struct trace_tree *tree, const struct screen *screen, bool errors)
{
	unsigned named = 0;

	for (uint32_t i = 0; i < tree->count && named < NAMED_MAX; i++) {
		const struct tree_node *node = &tree->nodes[i];
		char status[STATUS_TEXT], line[1024], parent[17];

		if (errors ? !node->span->error : !node->orphan)
			continue;
		named++;
		status_format(status, node->span, screen->unicode);
		hex_string(parent, node->span->parent_id, 8);
		if (errors)
			snprintf(line, sizeof(line), "%.200s %.200s: %s%s%.200s",
				 node->span->service, node->span->name, status,
				 node->span->message ? " " : "",
				 node->span->message ? node->span->message : "");
		else
			snprintf(line, sizeof(line),
				 "%.200s %.200s: its parent %s is not in the file",
				 node->span->service, node->span->name, parent);
		put_reason((void *)screen, line);
	}
}

static void report_trace(const struct conditions *c, const struct trace_tree *tree,
			 const struct trace_store *store, const struct screen *screen)
{
	for (unsigned i = 0; i < c->expectation_count; i++)
		report_expectation(&c->expectations[i], tree, store, screen);
	if (c->min_spans)
		put_result(screen, tree->count >= c->min_spans, "at least %lu spans: %u",
			   c->min_spans, tree->count);
	if (c->no_errors) {
		put_result(screen, !tree->errors, "no errors: %u", tree->errors);
		name_spans(tree, screen, true);
	}
	if (c->no_orphans) {
		put_result(screen, !tree->orphans, "no orphans: %u", tree->orphans);
		name_spans(tree, screen, false);
	}
}

void conditions_report(const struct conditions *c, const struct trace_store *store,
		       const struct verdict *verdict, const struct screen *screen)
{
	struct trace_tree tree;

	trace_tree_build(&tree, store, verdict->trace);
	if (!verdict->holds) {
		waterfall_draw(screen, &tree);
		fputc('\n', screen->out);
	}
	report_trace(c, &tree, store, screen);
	trace_tree_free(&tree);
}
