/* SPDX-License-Identifier: Apache-2.0 */
#include <langinfo.h>
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>
#include "launcher/screen.h"

#define WIDTH_OF_FILES     100
#define WIDTH_OF_TERMINALS 80
#define REPLACEMENT        0xfffd

static const char *const colour_codes[] = {
	[COLOUR_NONE] = "\033[0m",         [COLOUR_ERROR] = "\033[1;31m",
	[COLOUR_WARNING] = "\033[33m",     [COLOUR_OK] = "\033[32m",
	[COLOUR_FAINT] = "\033[2m",        [COLOUR_STRONG] = "\033[1m",
	[COLOUR_SERVICE + 0] = "\033[36m", [COLOUR_SERVICE + 1] = "\033[32m",
	[COLOUR_SERVICE + 2] = "\033[35m", [COLOUR_SERVICE + 3] = "\033[33m",
	[COLOUR_SERVICE + 4] = "\033[34m", [COLOUR_SERVICE + 5] = "\033[96m",
};

/* A container without any locale still hangs on a terminal of today: only a locale that somebody
 * chose turns UTF-8 off. */
static bool locale_is_unicode(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
	const char *chosen = NULL;
	bool unicode;

	for (size_t i = 0; i < 3 && !chosen; i++) {
		chosen = getenv(names[i]);
		if (chosen && !*chosen)
			chosen = NULL;
	}
	if (!chosen)
		unicode = true;
	else if (setlocale(LC_CTYPE, ""))
		unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	else /* not installed here: its name says what the terminal does */
		unicode = strcasestr(chosen, "utf-8") || strcasestr(chosen, "utf8");
	/* wcwidth() knows characters only in a UTF-8 locale. */
	setlocale(LC_CTYPE, "C.UTF-8");
	return unicode;
}

static unsigned screen_width(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	long width = columns ? strtol(columns, NULL, 10) : 0;

	if (width <= 0 && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col)
		width = size.ws_col;
	if (width <= 0)
		width = isatty(fd) ? WIDTH_OF_TERMINALS : WIDTH_OF_FILES;
	if (width < SCREEN_WIDTH_MIN)
		return SCREEN_WIDTH_MIN;
	return width > SCREEN_WIDTH_MAX ? SCREEN_WIDTH_MAX : (unsigned)width;
}

void screen_open(struct screen *screen, FILE *out)
{
	const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");

	*screen = (struct screen){
		.out = out,
		.width = screen_width(fileno(out)),
		.unicode = locale_is_unicode(),
		.colour = isatty(fileno(out)) && !(no_colour && *no_colour) &&
			  !(terminal && strcmp(terminal, "dumb") == 0),
	};
}

void screen_colour(const struct screen *screen, unsigned colour)
{
	if (screen->colour)
		fputs(colour_codes[colour], screen->out);
}

/* One code point from UTF-8; *p moves on. Bad bytes are one replacement character each. */
static uint32_t next_character(const char **p)
{
	const unsigned char *s = (const unsigned char *)*p;
	uint32_t c = s[0];
	unsigned more = c >= 0xf0 && c < 0xf5   ? 3
			: c >= 0xe0 && c < 0xf0 ? 2
						: c >= 0xc2 && c < 0xe0;
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };

	*p += 1;
	if (c < 0x80)
		return c;
	if (!more)
		return REPLACEMENT;
	c &= 0x3fu >> more;
	for (unsigned i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return REPLACEMENT;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return REPLACEMENT;
	*p += more;
	return c;
}

/* Columns of a character, -1 when it must not be shown: controls, and what turns the direction of
 * the line around. */
static int character_columns(uint32_t c)
{
	int columns;

	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return -1;
	if (c < 0x7f)
		return 1;
	if (c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
	    (c >= 0x2028 && c <= 0x2029) || (c >= 0x2066 && c <= 0x2069))
		return -1;
	columns = wcwidth((wchar_t)c);
	return columns < 0 ? 1 : columns;
}

static size_t shown_columns(uint32_t c)
{
	int columns = character_columns(c);

	return columns < 0 ? 1 : (size_t)columns;
}

size_t text_columns(const char *text)
{
	size_t columns = 0;

	while (*text)
		columns += shown_columns(next_character(&text));
	return columns;
}

static size_t put_character(char *out, const char *from, size_t n, uint32_t c, bool unicode)
{
	if (character_columns(c) < 0 || c == REPLACEMENT || (!unicode && c >= 0x80)) {
		if (!unicode) {
			*out = '?';
			return 1;
		}
		memcpy(out, "\xef\xbf\xbd", 3);
		return 3;
	}
	memcpy(out, from, n);
	return n;
}

size_t text_fit(char *out, size_t room, const char *text, size_t columns, bool unicode)
{
	size_t used = 0, n = 0;
	bool whole = text_columns(text) <= columns;
	size_t limit = whole || columns == 0 ? columns : columns - 1;

	while (*text && n + 8 < room) {
		const char *from = text;
		uint32_t c = next_character(&text);
		size_t wide = shown_columns(c);

		if (used + wide > limit)
			break;
		/* In ASCII each character is one '?', and marks are left out. */
		if (!unicode && wide == 0)
			continue;
		n += put_character(out + n, from, (size_t)(text - from), c, unicode);
		used += !unicode && wide > 1 ? 1 : wide;
	}
	if (!whole && columns) {
		n += (size_t)sprintf(out + n, "%s", unicode ? "…" : "~");
		used++;
	}
	out[n] = '\0';
	return used;
}

void screen_pad(const struct screen *screen, size_t columns)
{
	fprintf(screen->out, "%*s", (int)columns, "");
}

static void fit_padded(const struct screen *screen, const char *text, size_t columns, bool right)
{
	char fitted[FIT_ROOM(SCREEN_WIDTH_MAX)];
	size_t used = text_fit(fitted, sizeof(fitted), text, columns, screen->unicode);

	if (right)
		screen_pad(screen, columns - used);
	fputs(fitted, screen->out);
	if (!right)
		screen_pad(screen, columns - used);
}

void screen_fit(const struct screen *screen, const char *text, size_t columns)
{
	fit_padded(screen, text, columns, false);
}

void screen_fit_right(const struct screen *screen, const char *text, size_t columns)
{
	fit_padded(screen, text, columns, true);
}

/* Bytes of `text` (one line of n bytes) that fit in `columns`, up to the end of a word. */
static size_t words_that_fit(const char *text, size_t n, size_t columns)
{
	size_t used = 0, end = 0;
	const char *p = text;

	while (p < text + n) {
		const char *from = p;
		uint32_t c = next_character(&p);

		if (c == ' ')
			end = (size_t)(from - text);
		used += shown_columns(c);
		/* A word longer than the line stands out of it whole: paths and URLs are copied. */
		if (used > columns && end)
			return end;
	}
	return n;
}

static void wrap_line(const struct screen *screen, unsigned indent, const char *text, size_t n)
{
	unsigned columns = screen->width > indent + 20 ? screen->width - indent : 20;

	for (;;) {
		size_t take = *text == ' ' ? n : words_that_fit(text, n, columns);

		fwrite(text, 1, take, screen->out);
		fputc('\n', screen->out);
		while (take < n && text[take] == ' ')
			take++;
		text += take;
		n -= take;
		if (!n)
			return;
		screen_pad(screen, indent);
	}
}

void screen_wrap(const struct screen *screen, unsigned indent, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		screen_pad(screen, n ? indent : 0);
		wrap_line(screen, indent, text, n);
		text += n + (text[n] == '\n');
	}
}

void screen_wrap_on(const struct screen *screen, unsigned column, const char *text)
{
	wrap_line(screen, column, text, strlen(text));
}

void screen_wrap_row(const struct screen *screen, const char *left, unsigned column,
		     const char *text)
{
	size_t used = text_columns(left);

	fputs(left, screen->out);
	if (used + 1 >= column) {
		fputc('\n', screen->out);
		used = 0;
	}
	screen_pad(screen, column - used);
	screen_wrap_on(screen, column, text);
}
