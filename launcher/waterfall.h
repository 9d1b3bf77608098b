/* SPDX-License-Identifier: Apache-2.0 */
/* A trace as a waterfall: tree, service and name, kind, bar, duration, status, link rule. */
#ifndef LAUNCHER_WATERFALL_H
#define LAUNCHER_WATERFALL_H

#include "launcher/screen.h"
#include "launcher/trace_tree.h"

void waterfall_draw(const struct screen *screen, const struct trace_tree *tree);

/* Columns of each part of a row; what has 0 is left out. */
struct waterfall_layout {
	unsigned label, kind, bar, duration, status, link, gap;
};
struct waterfall_layout waterfall_lay_out(const struct screen *screen,
					  const struct trace_tree *tree);

/* Where a bar stands, in half columns: at least one, inside. */
struct bar {
	unsigned from, to;
};
struct bar bar_place(const struct trace_tree *tree, const struct tree_node *node, unsigned halves);

/* "12.3 ms": 8 columns at most below 28 hours. */
#define DURATION_TEXT 24
void duration_format(char out[static DURATION_TEXT], uint64_t ns, bool unicode);

/* "server", or "S". */
const char *kind_name(unsigned kind, bool whole);

/* "200", "✗ 502", "✗ timeout" or "". */
#define STATUS_TEXT 128
void status_format(char out[static STATUS_TEXT], const struct span *span, bool unicode);

#endif
