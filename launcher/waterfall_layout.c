/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets how many columns. */
#include <string.h>
#include "launcher/waterfall.h"

#define WIDE      100 /* from here on kinds are words */
#define MEDIUM    76  /* from here on two columns between the parts */
#define LABEL_MIN 16
#define BAR_MIN   10

/* Three digits: 1.23, 12.3, 123. */
static void put_digits(char out[static DURATION_TEXT], uint64_t ns, uint64_t unit, const char *name)
{
	unsigned scale = 100;
	uint64_t n = (ns * scale + unit / 2) / unit;

	while (n >= 1000 && scale > 1) {
		scale /= 10;
		n = (ns * scale + unit / 2) / unit;
	}
	if (scale == 1)
		snprintf(out, DURATION_TEXT, "%u %s", (unsigned)n, name);
	else
		snprintf(out, DURATION_TEXT, "%u.%0*u %s", (unsigned)n / scale,
			 scale == 100 ? 2 : 1, (unsigned)n % scale, name);
}

void duration_format(char out[static DURATION_TEXT], uint64_t ns, bool unicode)
{
	static const struct {
		uint64_t unit;
		const char *name, *ascii;
	} units[] = { { 1000000000, "s", "s" }, { 1000000, "ms", "ms" }, { 1000, "µs", "us" } };
	unsigned long whole = (unsigned long)(ns / 1000000000);

	if (whole >= 6000) {
		snprintf(out, DURATION_TEXT, "%lu h %02lu m", whole / 3600, whole / 60 % 60);
		return;
	}
	if (whole >= 100) {
		snprintf(out, DURATION_TEXT, "%lu m %02lu s", whole / 60, whole % 60);
		return;
	}
	for (size_t i = 0; i < 3; i++) {
		/* 999.96 µs is a millisecond when rounded. */
		if (ns < units[i].unit - units[i].unit / 2000)
			continue;
		put_digits(out, ns, units[i].unit, unicode ? units[i].name : units[i].ascii);
		return;
	}
	snprintf(out, DURATION_TEXT, "%u ns", (unsigned)ns);
}

static void widen(unsigned *columns, size_t wanted)
{
	if (wanted > *columns)
		*columns = (unsigned)wanted;
}

static unsigned at_most(unsigned columns, unsigned limit)
{
	return columns < limit ? columns : limit;
}

struct waterfall_layout waterfall_lay_out(const struct screen *screen,
					  const struct trace_tree *tree)
{
	struct waterfall_layout l = { .kind = 1, .gap = screen->width >= MEDIUM ? 2 : 1 };
	unsigned rest, share, gaps;

	for (uint32_t i = 0; i < tree->count; i++) {
		const struct tree_node *node = &tree->nodes[i];
		char text[STATUS_TEXT];

		/* Deeper than wide anyway: the guides are cut, see put_guides(). */
		widen(&l.label, 2 * (node->depth < 100 ? node->depth : 100) + 2 * node->orphan +
					text_columns(node->span->service) + 1 +
					text_columns(node->span->name));
		if (screen->width >= WIDE)
			widen(&l.kind, strlen(kind_name(node->span->kind, true)));
		duration_format(text, node->span->end_ns - node->span->start_ns, screen->unicode);
		widen(&l.duration, text_columns(text));
		status_format(text, node->span, screen->unicode);
		widen(&l.status, text_columns(text));
		widen(&l.link, node->span->link ? text_columns(node->span->link) : 0);
	}
	l.link = at_most(l.link, screen->width < MEDIUM ? 6 : 10);
	if (screen->width < MEDIUM)
		l.status = at_most(l.status, l.link ? 5 : 9);
	else
		l.status = at_most(l.status, screen->width < WIDE ? 10 : 21);
	gaps = 2 + (l.status > 0) + (l.link > 0) + 1;
	rest = l.kind + l.duration + l.status + l.link + (gaps - 1) * l.gap + 1;
	rest = screen->width > rest ? screen->width - rest : 0;
	if (rest < LABEL_MIN + BAR_MIN) { /* very narrow: the link rule is left out first */
		rest += l.link ? l.link + l.gap : 0;
		l.link = 0;
	}
	if (rest < LABEL_MIN)
		rest = LABEL_MIN;
	share = rest * (screen->width >= WIDE ? 55 : 62) / 100;
	l.label = at_most(l.label, share > LABEL_MIN ? share : LABEL_MIN);
	l.bar = rest > l.label ? rest - l.label : 0;
	return l;
}

struct bar bar_place(const struct trace_tree *tree, const struct tree_node *node, unsigned halves)
{
	double all = (double)(tree->end_ns - tree->start_ns);
	double scale = all > 0 ? halves / all : 0;
	struct bar bar = {
		.from = (unsigned)((double)(node_start(node) - tree->start_ns) * scale),
		.to = (unsigned)((double)(node_end(node) - tree->start_ns) * scale + 0.5),
	};

	if (bar.from >= halves)
		bar.from = halves ? halves - 1 : 0;
	if (all <= 0)
		bar.to = halves;
	if (bar.to <= bar.from)
		bar.to = bar.from + 1;
	if (bar.to > halves)
		bar.to = halves;
	return bar;
}
