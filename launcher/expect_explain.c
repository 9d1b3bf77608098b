/* SPDX-License-Identifier: Apache-2.0 */
/* Why a chain breaks: the likely reasons are few, and the file tells which. */
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "launcher/command.h"
#include "launcher/expect.h"

#define LINES_MAX    4 /* of one kind */
#define SERVICES_MAX 12

struct explanation {
	const struct expectation *e;
	const struct trace_tree *tree;
	const struct trace_store *store;
	const uint32_t *marks;
	unsigned held;
	void (*say)(void *arg, const char *line);
	void *arg;
};

static void say(const struct explanation *x, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void say(const struct explanation *x, const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	x->say(x->arg, line);
}

static bool has_child(const struct trace_tree *tree, uint32_t index)
{
	return index + 1 < tree->count && tree->nodes[index + 1].parent == index;
}

/* Requests that left the last step and that nobody in the file answers, or somebody else. */
static void say_calls(const struct explanation *x)
{
	unsigned said = 0;

	for (uint32_t i = 0; i < x->tree->count && said < LINES_MAX; i++) {
		const struct tree_node *node = &x->tree->nodes[i];
		const struct span *s = node->span;
		bool from_here =
			node->parent != NO_INDEX && x->marks[node->parent] >> (x->held - 1) & 1;

		if (x->marks[i] >> (x->held - 1) & 1 && s->kind == KIND_CLIENT &&
		    !has_child(x->tree, i)) {
			say(x,
			    "%s called %.200s (%.100s) and no span of the other side continues it.",
			    s->service, s->target ? s->target : "another service", s->name);
			said++;
		} else if (from_here && !(x->marks[i] >> (x->held - 1) & 1)) {
			say(x, "%s leads to %s (%.100s).", x->e->steps[x->held - 1], s->service,
			    s->name);
			said++;
		}
	}
	if (!said)
		say(x, "%s made no call in this trace that is linked to it.",
		    x->e->steps[x->held - 1]);
}

struct sighting {
	unsigned spans, roots;
	bool here;                 /* in this very trace */
	const struct trace *trace; /* another that holds it */
};

static struct sighting look_for(const struct explanation *x, const char *service)
{
	static const uint8_t none[8];
	struct sighting seen = { 0 };

	for (uint32_t t = 0; t < x->store->trace_count; t++) {
		const struct trace *trace = &x->store->traces[t];

		for (uint32_t s = trace->first; s != NO_INDEX; s = x->store->spans[s].next) {
			const struct span *span = &x->store->spans[s];

			if (strcmp(service, span->service) != 0 &&
			    fnmatch(service, span->service, 0) != 0)
				continue;
			seen.spans++;
			if (trace == x->tree->trace) {
				seen.here = true;
				continue;
			}
			seen.roots += memcmp(span->parent_id, none, 8) == 0;
			if (!seen.trace)
				seen.trace = trace;
		}
	}
	return seen;
}

static size_t list_services(const struct trace_store *store, const char **names)
{
	size_t count = 0;

	for (uint32_t s = 0; s < store->span_count && count < SERVICES_MAX; s++) {
		size_t i = 0;

		while (i < count && names[i] != store->spans[s].service)
			i++;
		if (i == count)
			names[count++] = store->spans[s].service;
	}
	names[count] = NULL;
	return count;
}

static void say_not_seen(const struct explanation *x, const char *service)
{
	const char *names[SERVICES_MAX + 1], *meant;
	size_t count = list_services(x->store, names);
	char list[512] = "";

	for (size_t i = 0; i < count; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%.60s", i ? ", " : "",
			 names[i]);
	meant = closest_name(service, names, sizeof(names[0]));
	say(x,
	    "No span of %s is in the file: is it traced (`tagalong doctor`), and does "
	    "OTEL_SERVICE_NAME say %s?",
	    service, service);
	if (count)
		say(x, "Services in the file: %s%s.", list, count == SERVICES_MAX ? ", ..." : "");
	if (meant)
		say(x, "Did you mean %s?", meant);
}

/* The missing service is in the file, but not where it should be. */
static void say_seen(const struct explanation *x, const char *service, const struct sighting *seen)
{
	char id[TRACE_ID_TEXT + 1];

	if (seen->here) {
		say(x, "%s is in this trace, but not under %s.", service, x->e->steps[x->held - 1]);
		return;
	}
	hex_string(id, seen->trace->id, 16);
	if (seen->roots)
		say(x,
		    "%s begins %u trace%s of its own (such as %s): the trace context did not "
		    "reach it.",
		    service, seen->roots, seen->roots == 1 ? "" : "s", id);
	else
		say(x, "%s is in another trace (such as %s).", service, id);
}

void expectation_explain(const struct expectation *e, const struct trace_tree *tree,
			 const struct trace_store *store,
			 void (*say_line)(void *arg, const char *line), void *arg)
{
	uint32_t *marks = must_have(calloc(tree->count + 1, sizeof(*marks)));
	struct explanation x = {
		.e = e, .tree = tree, .store = store, .marks = marks, .say = say_line, .arg = arg
	};
	struct sighting seen;

	x.held = expectation_match(e, tree, marks);
	if (x.held < e->count) {
		if (x.held)
			say_calls(&x);
		seen = look_for(&x, e->steps[x.held]);
		if (seen.spans)
			say_seen(&x, e->steps[x.held], &seen);
		else
			say_not_seen(&x, e->steps[x.held]);
	}
	free(marks);
}
