/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "launcher/command.h"
#include "launcher/screen.h"

#define SUGGEST_WORD_MAX 64 /* longer words are nobody's typing mistake */
#define HELP_COLUMN      28

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

size_t word_distance(const char *a, const char *b)
{
	size_t n = strlen(b), row[SUGGEST_WORD_MAX + 1];

	if (n > SUGGEST_WORD_MAX)
		return n;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			size_t above = row[j + 1];

			row[j + 1] = min3(above + 1, row[j] + 1, diagonal + (a[i] != b[j]));
			diagonal = above;
		}
	}
	return row[n];
}

const char *closest_name(const char *word, const char *const *names, size_t stride)
{
	const char *best = NULL;
	size_t best_distance = strlen(word) / 3 + 1;

	if (strlen(word) > SUGGEST_WORD_MAX)
		return NULL;
	for (const char *const *name = names; *name;
	     name = (const char *const *)((const char *)name + stride)) {
		size_t distance;

		if (strlen(*name) > SUGGEST_WORD_MAX)
			continue;
		if (strlen(word) >= 2 && strncmp(word, *name, strlen(word)) == 0)
			return *name;
		distance = word_distance(word, *name);
		if (distance <= best_distance && (!best || distance < best_distance)) {
			best = *name;
			best_distance = distance;
		}
	}
	return best;
}

void complain_usage(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("tagalong: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

int usage_error(const struct verb *verb, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "tagalong %s: ", verb->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nusage: tagalong %s %s\n`tagalong %s --help` tells more.\n", verb->name,
		verb->arguments, verb->name);
	return verb->usage_status;
}

/* "  -f, --file PATH", the long names in one column. */
static void option_words(char *out, size_t size, const struct verb_option *o)
{
	char letter[8] = "      ";

	if (o->letter)
		snprintf(letter, sizeof(letter), "  -%c, ", o->letter);
	snprintf(out, size, "%s--%s%s%s", letter, o->name, o->value ? " " : "",
		 o->value ? o->value : "");
}

void verb_help(const struct verb *verb)
{
	struct screen screen;

	screen_open(&screen, stdout);
	printf("usage: tagalong %s %s\n\n", verb->name, verb->arguments);
	screen_wrap(&screen, 0, verb->summary);
	fputs("\nOptions:\n", stdout);
	for (const struct verb_option *o = verb->options; o->name; o++) {
		char left[64];

		option_words(left, sizeof(left), o);
		screen_wrap_row(&screen, left, HELP_COLUMN, o->help);
	}
	screen_wrap_row(&screen, "  -h, --help", HELP_COLUMN, "this text");
	if (verb->details) {
		fputc('\n', stdout);
		screen_wrap(&screen, 0, verb->details);
	}
	if (verb->more_help)
		verb->more_help();
}

static int stop(struct arguments *a, int status)
{
	a->status = status;
	return ARGUMENT_STOP;
}

static int take_value(struct arguments *a, int index, const char *attached)
{
	const struct verb_option *o = &a->verb->options[index];

	if (!o->value && attached)
		return stop(a, usage_error(a->verb, "--%s takes no value", o->name));
	if (!o->value)
		return index;
	if (!attached) {
		if (a->next >= a->argc)
			return stop(a, usage_error(a->verb, "--%s needs a value: --%s %s", o->name,
						   o->name, o->value));
		attached = a->argv[a->next++];
	}
	a->value = attached;
	return index;
}

static int long_option(struct arguments *a, const char *word)
{
	const struct verb_option *options = a->verb->options;
	const char *equals = strchr(word, '=');
	size_t n = equals ? (size_t)(equals - word) : strlen(word);
	char name[SUGGEST_WORD_MAX + 1];
	const char *meant;

	for (int i = 0; options[i].name; i++)
		if (strlen(options[i].name) == n && memcmp(options[i].name, word, n) == 0)
			return take_value(a, i, equals ? equals + 1 : NULL);
	if (n == 4 && memcmp(word, "help", 4) == 0) {
		verb_help(a->verb);
		return stop(a, EXIT_SUCCESS);
	}
	snprintf(name, sizeof(name), "%.*s", (int)n, word);
	meant = closest_name(name, &options[0].name, sizeof(options[0]));
	if (meant)
		return stop(a, usage_error(a->verb, "unknown option --%s: did you mean --%s?", name,
					   meant));
	return stop(a, usage_error(a->verb, "unknown option --%s", name));
}

static int letter_option(struct arguments *a)
{
	const struct verb_option *options = a->verb->options;
	char letter = *a->packed++;

	if (letter == 'h') {
		verb_help(a->verb);
		return stop(a, EXIT_SUCCESS);
	}
	for (int i = 0; options[i].name; i++) {
		const char *attached = NULL;

		if (options[i].letter != letter)
			continue;
		if (options[i].value && *a->packed) {
			attached = a->packed;
			a->packed = "";
		}
		return take_value(a, i, attached);
	}
	return stop(a, usage_error(a->verb, "unknown option -%c", letter));
}

int arguments_next(struct arguments *a)
{
	const char *word;

	if (a->next == 0)
		a->next = 1;
	if (a->packed && *a->packed)
		return letter_option(a);
	if (a->next >= a->argc)
		return ARGUMENT_END;
	word = a->argv[a->next++];
	a->value = word;
	if (a->operands_only || word[0] != '-' || word[1] == '\0')
		return ARGUMENT_OPERAND;
	if (strcmp(word, "--") == 0) {
		a->operands_only = true;
		return arguments_next(a);
	}
	if (word[1] == '-')
		return long_option(a, word + 2);
	a->packed = word + 1;
	return letter_option(a);
}

long parse_seconds(const char *text)
{
	char *end;
	double seconds;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	seconds = strtod(text, &end);
	if (*end || seconds < 0 || seconds > 86400 * 365.0)
		return -EINVAL;
	return (long)(seconds * 1000);
}
