/* SPDX-License-Identifier: Apache-2.0 */
/* `tagalong doctor`: will it be traced, and if not, why? */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/config.h"
#include "launcher/command.h"
#include "launcher/doctor.h"
#include "launcher/screen.h"
#include "launcher/settings.h"

#define PROBE_TIMEOUT_MS 3000
#define TOPIC_COLUMN     10
#define TEXT_COLUMN      22

enum { DOCTOR_NO_NETWORK = SETTING_COUNT, DOCTOR_TIMEOUT, DOCTOR_EXEC };

static const struct verb_option doctor_options[] = {
	SETTING_OPTIONS,
	[DOCTOR_NO_NETWORK] = { "no-network", NULL, "do not try the exporter's endpoint", 'n' },
	[DOCTOR_TIMEOUT] = { "timeout", "SECONDS", "how long to wait for the endpoint (3)", 0 },
	[DOCTOR_EXEC] = { "exec", NULL,
			  "as `run --exec` and LD_PRELOAD alone have it: the program itself "
			  "exports",
			  0 },
	{ 0 },
};

void found(struct findings *f, enum level level, const char *topic, const char *advice,
	   const char *format, ...)
{
	char raw[2048], text[FIT_ROOM(1024)];
	va_list args;

	va_start(args, format);
	vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	/* Paths and answers may hold anything. */
	text_fit(text, sizeof(text), raw, 1024, true);
	f->warnings += level == LEVEL_WARNING;
	if (level == LEVEL_PROBLEM) {
		/* Where spans go counts last: it is no reason that none are made. */
		bool late = strcmp(topic, "exporter") == 0;

		if (f->problems == 0)
			snprintf(f->first_problem, sizeof(f->first_problem), "%.1000s", text);
		f->problems++;
		f->untraced += !late;
	}
	f->say(f->arg, level, topic, text, advice);
}

static void print_finding(void *arg, enum level level, const char *topic, const char *text,
			  const char *advice)
{
	static const char *const words[] = { "ok", "warning", "problem" };
	static const enum colour colours[] = { COLOUR_OK, COLOUR_WARNING, COLOUR_ERROR };
	const struct screen *screen = arg;

	screen_colour(screen, colours[level]);
	fprintf(screen->out, "%-*s", TOPIC_COLUMN, words[level]);
	screen_colour(screen, COLOUR_NONE);
	fprintf(screen->out, "%-*s", TEXT_COLUMN - TOPIC_COLUMN, topic);
	screen_wrap_on(screen, TEXT_COLUMN, text);
	if (!*advice)
		return;
	screen_pad(screen, TEXT_COLUMN);
	screen_colour(screen, COLOUR_STRONG);
	fputs(screen->unicode ? "→ " : "> ", screen->out);
	screen_colour(screen, COLOUR_NONE);
	screen_wrap_on(screen, TEXT_COLUMN + 2, advice);
}

static void note_warning(void *arg, const char *message)
{
	found(arg, LEVEL_WARNING, "settings", "", "%s", message);
}

/* Keys to a receiver do not belong on a screen. */
static bool is_secret(const char *name)
{
	return strstr(name, "HEADERS") && strstr(name, "OTLP");
}

static void report_settings(struct findings *f, enum export_place place)
{
	unsigned set = 0;

	settings_read(place, note_warning, f);
	for (size_t i = 0; i < config_variable_count; i++) {
		const char *name = config_variables[i].name, *value = getenv(name);

		if (!value || !*value)
			continue;
		found(f, LEVEL_OK, "settings", "", "%s=%s", name,
		      is_secret(name) ? "(not shown)" : value);
		set++;
	}
	if (!set)
		found(f, LEVEL_OK, "settings", "", "all variables have their defaults");
}

static void report_library(struct findings *f, const struct library *library)
{
	if (library->problem[0])
		found(f, LEVEL_PROBLEM, "library", "", "%s", library->problem);
	else if (library->private)
		found(f, LEVEL_WARNING, "library",
		      "Put it where everybody may read it, such as /usr/lib/tagalong.",
		      "%s is closed to other users: programs that change their user and then start "
		      "others lose it",
		      library->path);
	else
		found(f, LEVEL_OK, "library", "", "%s", library->path);
}

static int conclude(const struct findings *f, char *const *command, const struct screen *screen)
{
	const char *what = command ? command[0] : "A program";
	char text[2048], clean[FIT_ROOM(2048)];

	fputc('\n', screen->out);
	screen_colour(screen, f->problems ? COLOUR_ERROR : COLOUR_OK);
	if (f->problems)
		snprintf(text, sizeof(text), "%.200s %s: %s%s.", what,
			 f->untraced ? "will not be traced"
				     : "would be traced, but its spans would be lost",
			 f->first_problem, f->problems > 1 ? ", and more" : "");
	else
		snprintf(text, sizeof(text), "%.200s will be traced.%s", what,
			 f->warnings ? " See the warnings above." : "");
	text_fit(clean, sizeof(clean), text, sizeof(text), screen->unicode);
	screen_wrap(screen, 0, clean);
	screen_colour(screen, COLOUR_NONE);
	return f->problems ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int doctor_main(int argc, char **argv)
{
	struct arguments a = { .verb = &verb_doctor, .argc = argc, .argv = argv };
	char *const *command = NULL;
	struct exporter_question exporter = { EXPORT_SUPERVISED, true, PROBE_TIMEOUT_MS };
	struct library library;
	struct screen screen;
	struct findings f = { .say = print_finding, .arg = &screen };
	int option;

	while ((option = arguments_next(&a)) >= 0) {
		if (option == DOCTOR_NO_NETWORK) {
			exporter.network = false;
		} else if (option == DOCTOR_EXEC) {
			exporter.place = EXPORT_IN_PROCESS;
		} else if (option == DOCTOR_TIMEOUT) {
			exporter.timeout_ms = parse_seconds(a.value);
			if (exporter.timeout_ms <= 0 || exporter.timeout_ms > 600000)
				return usage_error(&verb_doctor,
						   "--timeout wants seconds, not '%s'", a.value);
		} else if (setting_apply(&verb_doctor, option, a.value)) {
			return EXIT_USAGE;
		}
	}
	if (option == ARGUMENT_STOP)
		return a.status;
	if (option == ARGUMENT_OPERAND)
		command = &argv[a.next - 1];
	screen_open(&screen, stdout);
	library_find(&library);
	if (command)
		program_examine(&f, command);
	report_library(&f, &library);
	report_settings(&f, exporter.place);
	environment_examine(&f, &library, command);
	exporter_examine(&f, &exporter);
	return conclude(&f, command, &screen);
}

struct relay {
	void (*warn)(void *arg, const char *message);
	void *arg;
};

static void relay_problem(void *arg, enum level level, const char *topic, const char *text,
			  const char *advice)
{
	const struct relay *relay = arg;
	char message[1200];

	(void)topic;
	(void)advice;
	if (level != LEVEL_PROBLEM)
		return;
	snprintf(message, sizeof(message), "it will not be traced: %.1000s", text);
	relay->warn(relay->arg, message);
}

void doctor_warn(char *const *command, void (*warn)(void *arg, const char *message), void *arg)
{
	struct relay relay = { .warn = warn, .arg = arg };
	struct findings f = { .say = relay_problem, .arg = &relay };
	char path[PATH_MAX];

	if (program_find(path, command[0]) == 0)
		program_examine(&f, command);
}

const struct verb verb_doctor = {
	.name = "doctor",
	.arguments = "[options] [-- COMMAND [ARGUMENT...]]",
	.summary = "Say whether a program will be traced, and if not, why.",
	.details = "Takes the options of `tagalong run`, so that one word can be replaced by the "
		   "other. "
		   "Nothing is started; the exporter's endpoint gets one empty request.\n"
		   "\n"
		   "Exit status: 0 it will be traced, 1 it will not (or its spans would go "
		   "nowhere), 2 a "
		   "mistake in the command line.",
	.options = doctor_options,
	.usage_status = EXIT_USAGE,
	.main = doctor_main,
};
