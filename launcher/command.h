/* SPDX-License-Identifier: Apache-2.0 */
/* What every verb of the `tagalong` command shares: its description (from which the help is
 * printed), its options, and the tone of its complaints. */
#ifndef LAUNCHER_COMMAND_H
#define LAUNCHER_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

enum { EXIT_HOLDS = 0, EXIT_DOES_NOT_HOLD = 1, EXIT_USAGE = 2 };

struct verb_option {
	const char *name;  /* without the dashes; NULL ends the table */
	const char *value; /* what stands for its value in the help; NULL: it takes none */
	const char *help;
	char letter; /* the short form, or 0 */
};

struct verb {
	const char *name;
	const char *arguments; /* of the usage line */
	const char *summary;   /* one line of `tagalong --help` */
	const char *details;   /* paragraphs below the options */
	const struct verb_option *options;
	int usage_status; /* exit status for a wrong command line */
	int (*main)(int argc, char **argv);
	void (*more_help)(void); /* after the details, or NULL */
};

extern const struct verb verb_run, verb_agent, verb_doctor, verb_view, verb_check, verb_version;
extern const struct verb *const verbs[]; /* ends with NULL */

/* Walks through a verb's command line. argv[0] is the verb. */
struct arguments {
	const struct verb *verb;
	int argc;
	char **argv;
	int next;
	const char *value;  /* of the option or the operand just returned */
	const char *packed; /* letters of -abc still to come */
	bool operands_only; /* "--" was seen */
	int status;         /* what to exit with after ARGUMENT_STOP */
};

enum { ARGUMENT_END = -1, ARGUMENT_OPERAND = -2, ARGUMENT_STOP = -3 };

/* The index of the next option in verb->options, or one of the above. STOP: --help was printed
 * or the mistake was reported. */
int arguments_next(struct arguments *a);

/* Reports a wrong command line and returns the verb's usage status. */
int usage_error(const struct verb *verb, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

void verb_help(const struct verb *verb);

/* "tagalong: ..." on stderr. */
void complain_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The one of names[] (ends with NULL, stride bytes apart) that `word` was probably meant to be,
 * or NULL. */
const char *closest_name(const char *word, const char *const *names, size_t stride);

/* How many letters have to be changed, added or removed (Levenshtein). */
size_t word_distance(const char *a, const char *b);

/* Seconds as "3", "0.5": milliseconds, or -EINVAL. */
long parse_seconds(const char *text);

#endif
