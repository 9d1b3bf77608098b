/* SPDX-License-Identifier: Apache-2.0 */
/* Where people read: how wide it is, what it can show, and text that fits. Text from files is
 * never trusted: control characters and bytes that are not UTF-8 do not reach the terminal. */
#ifndef LAUNCHER_SCREEN_H
#define LAUNCHER_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define SCREEN_WIDTH_MIN 44 /* a trace id has to fit */
#define SCREEN_WIDTH_MAX 400

enum colour {
	COLOUR_NONE,
	COLOUR_ERROR,
	COLOUR_WARNING,
	COLOUR_OK,
	COLOUR_FAINT,
	COLOUR_STRONG,
	COLOUR_SERVICE /* and the following SERVICE_COLOURS */
};
#define SERVICE_COLOURS 6

struct screen {
	FILE *out;
	unsigned width;
	bool colour;
	bool unicode;
};

/* Width from COLUMNS, else the terminal, else 80 (in a file or pipe: 100). Colour only on a
 * terminal that is not "dumb", and not with NO_COLOR. UTF-8 unless the locale says otherwise. */
void screen_open(struct screen *screen, FILE *out);

void screen_colour(const struct screen *screen, unsigned colour); /* COLOUR_NONE resets */

/* Columns that the text takes when shown. */
size_t text_columns(const char *text);

/* Copies text so that it takes `columns` columns at most, cut between characters with an ellipsis,
 * unprintable ones replaced. Returns the columns it takes. room: FIT_ROOM(columns) suffices
 * unless characters pile up marks; then it is cut there. */
#define FIT_ROOM(columns) ((columns)*12 + 8)
size_t text_fit(char *out, size_t room, const char *text, size_t columns, bool unicode);

/* Prints text fitted to `columns`, padded to exactly these. */
void screen_fit(const struct screen *screen, const char *text, size_t columns);
void screen_fit_right(const struct screen *screen, const char *text, size_t columns);
void screen_pad(const struct screen *screen, size_t columns);

/* Prints paragraphs (lines) wrapped at words, each line indented; lines that begin with a space are
 * kept as they are. */
void screen_wrap(const struct screen *screen, unsigned indent, const char *text);

/* The same for one paragraph that begins where the cursor stands, at that column. */
void screen_wrap_on(const struct screen *screen, unsigned column, const char *text);

/* "left   text", the text wrapped in a column of its own. */
void screen_wrap_row(const struct screen *screen, const char *left, unsigned column,
		     const char *text);

#endif
