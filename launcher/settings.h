/* SPDX-License-Identifier: Apache-2.0 */
/* What `run` and `doctor` have in common: options that stand for variables, and what is wrong with
 * the variables there are. */
#ifndef LAUNCHER_SETTINGS_H
#define LAUNCHER_SETTINGS_H

#include "launcher/command.h"

enum {
	SET_SERVICE,
	SET_ENDPOINT,
	SET_FILE,
	SET_CONSOLE,
	SET_LINK,
	SET_SAMPLE,
	SET_STATS,
	SET_LOG,
	SET_ENV,
	SETTING_COUNT
};

#define SETTING_OPTIONS                                                                            \
	[SET_SERVICE] = { "service", "NAME", "its name in traces (OTEL_SERVICE_NAME)", 's' },      \
	[SET_ENDPOINT] = { "endpoint", "URL", "where spans go (OTEL_EXPORTER_OTLP_ENDPOINT)",      \
			   'e' },                                                                  \
	[SET_FILE] = { "file", "PATH",                                                             \
		       "append spans to this file as OTLP-JSON lines (TAGALONG_TRACES_FILE)",      \
		       'f' },                                                                      \
	[SET_CONSOLE] = { "console", NULL, "draw traces on stderr (OTEL_TRACES_EXPORTER=console)", \
			  'c' },                                                                   \
	[SET_LINK] = { "link", "HOW",                                                              \
		       "exact, or best: guess the parent when just one request is open "           \
		       "(TAGALONG_LINK)",                                                          \
		       0 },                                                                        \
	[SET_SAMPLE] = { "sample", "RATIO",                                                        \
			 "record this part of the traces that begin here, 0 to 1 "                 \
			 "(OTEL_TRACES_SAMPLER)",                                                  \
			 0 },                                                                      \
	[SET_STATS] = { "stats", NULL, "a line of counters at the end (TAGALONG_STATS)", 0 },      \
	[SET_LOG] = { "log", "WHERE", "our own messages: stderr or a file (TAGALONG_LOG)", 0 },    \
	[SET_ENV] = { "env", "NAME=VALUE", "any other variable; may be repeated", 'E' }

/* Puts an option into our environment. 0, or the usage status after a complaint. */
int setting_apply(const struct verb *verb, int option, const char *value);

/* Reads the configuration from our environment; says what is wrong with it, one call a sentence:
 * values that are not understood, names that are misspelt, and what does not work from where spans
 * are sent. */
enum export_place { EXPORT_SUPERVISED, EXPORT_IN_PROCESS };
void settings_read(enum export_place place, void (*warn)(void *arg, const char *message),
		   void *arg);

/* The table of variables, for help texts. */
void settings_print_variables(void);

#endif
