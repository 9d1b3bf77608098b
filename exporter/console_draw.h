/* SPDX-License-Identifier: Apache-2.0 */
/* Between console.c, which makes the tree, and console_draw.c, which makes lines of it. */
#ifndef EXPORTER_CONSOLE_DRAW_H
#define EXPORTER_CONSOLE_DRAW_H

#include "base/text.h"
#include "exporter/record.h"

#define CONSOLE_DEPTH_MAX 64 /* what lies deeper is drawn at this depth */

/* A span among the others of its batch; NULL is none. */
struct node {
	const struct record_head *head;
	struct node *parent, *child, *sibling;
	struct node *same_trace; /* the next one, by start */
	struct node *bucket;     /* the next one with the same hash */
	bool drawn;
};

struct drawing {
	struct text text;
	bool last[CONSOLE_DEPTH_MAX + 1]; /* at this depth we are among the last of the siblings */
};

/* Two lines at most: the span, and what is known of it. */
void console_draw_span(struct drawing *d, const struct node *node, unsigned depth);

/* Text for a terminal: what could steer it becomes '?'. */
void console_put_value(struct text *t, struct bytes value);

#endif
