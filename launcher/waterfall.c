/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "launcher/waterfall.h"

#define GUIDE_COLUMNS 2 /* of one level of the tree */

struct glyphs {
	const char *branch, *last, *pass, *skip, *orphan;
	const char *bar, *bar_from_half, *bar_to_half, *bar_dot;
	const char *rule, *dot, *failed, *shifted;
};

static const struct glyphs unicode_glyphs = {
	"├╴", "└╴", "│ ", "… ", "┄ ", "━", "╺", "╸", "╸", "─", "·", "✗", "≈",
};
static const struct glyphs ascii_glyphs = {
	"|-", "`-", "| ", "..", "? ", "=", "=", "=", "=", "-", "-", "!", "~",
};

static const struct glyphs *glyphs_of(const struct screen *screen)
{
	return screen->unicode ? &unicode_glyphs : &ascii_glyphs;
}

const char *kind_name(unsigned kind, bool whole)
{
	static const char *const words[] = { "",       "internal", "server",
					     "client", "producer", "consumer" };
	static const char *const letters[] = { "", "I", "S", "C", "P", "Q" };

	return whole ? words[kind] : letters[kind];
}

void status_format(char out[static STATUS_TEXT], const struct span *span, bool unicode)
{
	const struct glyphs *g = unicode ? &unicode_glyphs : &ascii_glyphs;
	char code[8] = "";

	if (span->rpc_status) {
		snprintf(out, STATUS_TEXT, "%s%s%.100s", span->error ? g->failed : "",
			 span->error ? " " : "", span->rpc_status);
		return;
	}
	if (span->http_status)
		snprintf(code, sizeof(code), "%u", span->http_status);
	if (!span->error)
		snprintf(out, STATUS_TEXT, "%s", code);
	else if (span->http_status >= 400 || (*code && !span->error_type))
		snprintf(out, STATUS_TEXT, "%s %s", g->failed, code);
	else
		snprintf(out, STATUS_TEXT, "%s %.100s", g->failed,
			 span->error_type ? span->error_type : "error");
}

/* Services take colours in the order in which they appear, the same in every trace of one run. */
static unsigned service_colour(const char *service)
{
	static const char **seen;
	static size_t count;

	for (size_t i = 0; i < count; i++)
		if (strcmp(seen[i], service) == 0)
			return COLOUR_SERVICE + i % SERVICE_COLOURS;
	if (count == 64)
		return COLOUR_STRONG;
	if (!seen)
		seen = must_have(calloc(64, sizeof(*seen)));
	seen[count++] = must_have(strdup(service));
	return COLOUR_SERVICE + (count - 1) % SERVICE_COLOURS;
}

/* The lines of the tree before a row. Of a row too deep for its column only the innermost levels
 * are drawn, after a mark. Returns the columns used. */
static unsigned put_guides(const struct screen *screen, const struct trace_tree *tree,
			   const struct tree_node *node, unsigned columns)
{
	const struct glyphs *g = glyphs_of(screen);
	const char *levels[SCREEN_WIDTH_MAX / GUIDE_COLUMNS];
	unsigned most = columns / 2 / GUIDE_COLUMNS, n = 0;
	bool cut = node->depth > most;
	unsigned shown = cut ? most : node->depth;

	for (const struct tree_node *at = node; n < shown; at = &tree->nodes[at->parent], n++)
		levels[n] = n == 0 ? at->last ? g->last : g->branch : at->last ? "  " : g->pass;
	if (cut && n > 1)
		levels[n - 1] = g->skip;
	if (!shown && !node->orphan)
		return 0;
	screen_colour(screen, COLOUR_FAINT);
	while (n)
		fputs(levels[--n], screen->out);
	if (node->orphan)
		fputs(g->orphan, screen->out);
	screen_colour(screen, COLOUR_NONE);
	return (shown + node->orphan) * GUIDE_COLUMNS;
}

static void put_coloured(const struct screen *screen, unsigned colour, const char *text,
			 size_t columns)
{
	if (colour)
		screen_colour(screen, colour);
	screen_fit(screen, text, columns);
	if (colour)
		screen_colour(screen, COLOUR_NONE);
}

static void put_label(const struct screen *screen, const struct trace_tree *tree,
		      const struct tree_node *node, unsigned columns)
{
	const struct span *span = node->span;
	unsigned used = put_guides(screen, tree, node, columns);
	size_t service = text_columns(span->service), name = text_columns(span->name), room;

	room = columns > used ? columns - used : 0;
	/* A long service name leaves half of the place to the span's. */
	if (service + 1 + name > room && service > room / 2)
		service = name + 1 < room - room / 2 ? room - name - 1 : room / 2;
	put_coloured(screen, service_colour(span->service), span->service, service);
	if (room > service) {
		screen_pad(screen, 1);
		put_coloured(screen, span->error ? COLOUR_ERROR : COLOUR_NONE, span->name,
			     room - service - 1);
	}
}

static void put_bar(const struct screen *screen, const struct trace_tree *tree,
		    const struct tree_node *node, unsigned columns)
{
	const struct glyphs *g = glyphs_of(screen);
	struct bar bar = bar_place(tree, node, columns * 2);
	unsigned at;

	screen_pad(screen, bar.from / 2);
	screen_colour(screen,
		      node->span->error ? COLOUR_ERROR : service_colour(node->span->service));
	for (at = bar.from / 2 * 2; at < bar.to; at += 2) {
		if (at < bar.from)
			fputs(g->bar_from_half, screen->out);
		else if (at + 1 == bar.to)
			fputs(g->bar_to_half, screen->out);
		else
			fputs(g->bar, screen->out);
	}
	screen_colour(screen, COLOUR_NONE);
	screen_pad(screen, columns - at / 2);
}

static void put_row(const struct screen *screen, const struct waterfall_layout *l,
		    const struct trace_tree *tree, const struct tree_node *node)
{
	const struct span *span = node->span;
	bool has_link = l->link && span->link;
	char text[STATUS_TEXT];

	put_label(screen, tree, node, l->label);
	screen_pad(screen, l->gap);
	put_coloured(screen, COLOUR_FAINT, kind_name(span->kind, l->kind > 1), l->kind);
	screen_pad(screen, l->gap);
	if (l->bar)
		put_bar(screen, tree, node, l->bar);
	fputs(node->shift_ns ? glyphs_of(screen)->shifted : " ", screen->out);
	duration_format(text, span->end_ns - span->start_ns, screen->unicode);
	screen_fit_right(screen, text, l->duration);
	status_format(text, span, screen->unicode);
	if (l->status && (*text || has_link)) {
		size_t columns = text_columns(text);

		screen_pad(screen, l->gap);
		if (has_link || columns > l->status)
			columns = l->status;
		put_coloured(screen, span->error ? COLOUR_ERROR : COLOUR_NONE, text, columns);
	}
	if (has_link) {
		size_t columns = text_columns(span->link);

		screen_pad(screen, l->gap);
		put_coloured(screen,
			     strcmp(span->link, "only") == 0 ? COLOUR_WARNING : COLOUR_FAINT,
			     span->link, columns < l->link ? columns : l->link);
	}
	fputc('\n', screen->out);
}

static void put_count(const struct screen *screen, unsigned n, const char *what)
{
	fprintf(screen->out, " %s %u %s%s", glyphs_of(screen)->dot, n, what, n == 1 ? "" : "s");
}

/* "── trace 4bf9... ────── 2025-11-20 22:54:01.123": the rule gives way first, then the date. */
static void put_title(const struct screen *screen, const struct trace_tree *tree)
{
	time_t seconds = (time_t)(tree->start_ns / 1000000000);
	char id[TRACE_ID_TEXT + 1], when[48], text[64];
	struct tm tm;
	unsigned used = 9 + TRACE_ID_TEXT;

	hex_string(id, tree->trace->id, 16);
	screen_colour(screen, COLOUR_FAINT);
	fprintf(screen->out, "%s%s", glyphs_of(screen)->rule, glyphs_of(screen)->rule);
	screen_colour(screen, COLOUR_NONE);
	screen_colour(screen, COLOUR_STRONG);
	fprintf(screen->out, " trace %s", id);
	screen_colour(screen, COLOUR_NONE);
	localtime_r(&seconds, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(text, sizeof(text), " %s.%03u", when, (unsigned)(tree->start_ns / 1000000 % 1000));
	used += 1;
	screen_colour(screen, COLOUR_FAINT);
	if (used + strlen(text) + 2 > screen->width)
		memmove(text + 1, text + 12, strlen(text + 12) + 1);
	if (used + strlen(text) < screen->width) {
		screen_pad(screen, 1);
		for (used += (unsigned)strlen(text); used < screen->width; used++)
			fputs(glyphs_of(screen)->rule, screen->out);
		fputs(text, screen->out);
	}
	screen_colour(screen, COLOUR_NONE);
	fputc('\n', screen->out);
}

static void put_summary(const struct screen *screen, const struct trace_tree *tree)
{
	char text[DURATION_TEXT];

	duration_format(text, tree->end_ns - tree->start_ns, screen->unicode);
	fprintf(screen->out, "%s", text);
	put_count(screen, tree->count, "span");
	put_count(screen, tree->services, "service");
	if (tree->errors) {
		screen_colour(screen, COLOUR_ERROR);
		put_count(screen, tree->errors, "error");
		screen_colour(screen, COLOUR_NONE);
	}
	fputs("\n", screen->out);
}

static void put_notes(const struct screen *screen, const struct trace_tree *tree)
{
	const struct glyphs *g = glyphs_of(screen);
	char text[DURATION_TEXT], note[160];

	screen_colour(screen, COLOUR_FAINT);
	if (tree->orphans) {
		snprintf(note, sizeof(note), "%s%u span%s of a parent that is not in this file",
			 g->orphan, tree->orphans, tree->orphans == 1 ? "" : "s");
		screen_wrap(screen, 0, note);
	}
	if (tree->shifted) {
		duration_format(text, (uint64_t)tree->widest_shift_ns, screen->unicode);
		snprintf(note, sizeof(note), "%s moved by up to %s: the hosts' clocks do not agree",
			 g->shifted, text);
		screen_wrap(screen, 0, note);
	}
	if (tree->duplicates) {
		snprintf(note, sizeof(note), "%u span%s came twice", tree->duplicates,
			 tree->duplicates == 1 ? "" : "s");
		screen_wrap(screen, 0, note);
	}
	screen_colour(screen, COLOUR_NONE);
}

void waterfall_draw(const struct screen *screen, const struct trace_tree *tree)
{
	struct waterfall_layout l = waterfall_lay_out(screen, tree);

	put_title(screen, tree);
	put_summary(screen, tree);
	for (uint32_t i = 0; i < tree->count; i++)
		put_row(screen, &l, tree, &tree->nodes[i]);
	put_notes(screen, tree);
}
