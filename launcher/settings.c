/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/config.h"
#include "base/config_older.h"
#include "exporter/curl/destination.h"
#include "exporter/endpoint.h"
#include "launcher/screen.h"
#include "launcher/settings.h"

extern char **environ;

/* Programs change their directory: the file is named from the root. */
static int set_file(const struct verb *verb, const char *path)
{
	char *whole, cwd[PATH_MAX];

	if (!*path)
		return usage_error(verb, "--file wants a path");
	if (*path == '/') {
		setenv("TAGALONG_TRACES_FILE", path, 1);
		return 0;
	}
	if (!getcwd(cwd, sizeof(cwd)) || asprintf(&whole, "%s/%s", cwd, path) < 0) {
		complain_usage("--file %s: %s", path, strerror(errno));
		return verb->usage_status;
	}
	setenv("TAGALONG_TRACES_FILE", whole, 1);
	free(whole);
	return 0;
}

static int set_env(const struct verb *verb, const char *assignment)
{
	const char *equals = strchr(assignment, '=');
	char *name;

	if (!equals || equals == assignment)
		return usage_error(verb, "--env wants NAME=VALUE, not '%s'", assignment);
	name = strndup(assignment, (size_t)(equals - assignment));
	if (name)
		setenv(name, equals + 1, 1);
	free(name);
	return 0;
}

static int set_link(const struct verb *verb, const char *value)
{
	if (strcmp(value, "exact") != 0 && strcmp(value, "best") != 0)
		return usage_error(verb, "--link is exact or best, not '%s'", value);
	setenv("TAGALONG_LINK", value, 1);
	return 0;
}

static int set_sample(const struct verb *verb, const char *value)
{
	char *end;
	double ratio = strtod(value, &end);

	if (!*value || *end || !(ratio >= 0 && ratio <= 1))
		return usage_error(verb, "--sample wants a number from 0 to 1, not '%s'", value);
	setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio", 1);
	setenv("OTEL_TRACES_SAMPLER_ARG", value, 1);
	return 0;
}

int setting_apply(const struct verb *verb, int option, const char *value)
{
	switch (option) {
	case SET_SERVICE:
		setenv("OTEL_SERVICE_NAME", value, 1);
		return 0;
	case SET_ENDPOINT:
		setenv("OTEL_EXPORTER_OTLP_ENDPOINT", value, 1);
		/* It would win over what was just asked for. */
		unsetenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
		return 0;
	case SET_FILE:
		return set_file(verb, value);
	case SET_CONSOLE:
		setenv("OTEL_TRACES_EXPORTER", "console", 1);
		return 0;
	case SET_LINK:
		return set_link(verb, value);
	case SET_SAMPLE:
		return set_sample(verb, value);
	case SET_STATS:
		setenv("TAGALONG_STATS", "true", 1);
		return 0;
	case SET_LOG:
		setenv("TAGALONG_LOG", value, 1);
		return 0;
	default:
		return set_env(verb, value);
	}
}

static bool is_known(const char *name)
{
	for (size_t i = 0; i < config_variable_count; i++)
		if (strcmp(config_variables[i].name, name) == 0)
			return true;
	return false;
}

/* Ours are all in the table. Of OTEL_ others may have more, so these have to be close to one of
 * the table's and not merely begin like it. */
static void look_for_misspelling(const char *entry, void (*warn)(void *, const char *), void *arg)
{
	const char *names[128] = { 0 }, *meant;
	bool ours = strncmp(entry, "TAGALONG_", 9) == 0;
	char name[64], message[256];
	size_t n = strcspn(entry, "=");

	if ((!ours && strncmp(entry, "OTEL_", 5) != 0) || n >= sizeof(name))
		return;
	snprintf(name, sizeof(name), "%.*s", (int)n, entry);
	if (is_known(name))
		return;
	for (size_t i = 0; i < config_variable_count && i < 127; i++)
		names[i] = config_variables[i].name;
	meant = closest_name(name, names, sizeof(names[0]));
	if (!ours && (!meant || word_distance(name, meant) > 2))
		return;
	snprintf(message, sizeof(message), "%s is not a variable of ours%s%s%s", name,
		 meant ? ": did you mean " : "", meant ? meant : "", meant ? "?" : "");
	warn(arg, message);
}

static bool otlp_is_used(void)
{
	return (config.traces_exporter & EXPORTER_OTLP) &&
	       (!config.traces_file[0] || getenv("OTEL_TRACES_EXPORTER"));
}

/* What is wrong with the endpoint; of the small exporter inside a program, also what it cannot do.
 */
static void look_at_endpoint(enum export_place place, void (*warn)(void *, const char *), void *arg)
{
	static struct destination destination;
	static struct endpoint endpoint;

	if (!otlp_is_used())
		return;
	if (place == EXPORT_SUPERVISED)
		destination_read(&destination, &config, OTLP_TRACES, warn, arg);
	else
		endpoint_read(&endpoint, &config, warn, arg);
}

void settings_read(enum export_place place, void (*warn)(void *arg, const char *message), void *arg)
{
	config_read(environ, warn, arg);
	for (char **entry = environ; *entry; entry++)
		look_for_misspelling(*entry, warn, arg);
	look_at_endpoint(place, warn, arg);
}

static void print_older_names(const struct screen *screen)
{
	char text[1024];
	int n = snprintf(text, sizeof(text), "Older names, where the new one is unset: ");

	for (size_t i = 0; i < CONFIG_OLDER_COUNT && n < (int)sizeof(text); i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%s (%s)", i ? ", " : "",
			      config_older_names[i].name, config_older_names[i].meaning);
	fputc('\n', stdout);
	screen_wrap(screen, 0, text);
}

void settings_print_variables(void)
{
	struct screen screen;

	screen_open(&screen, stdout);
	fputs("\nVariables:\n", stdout);
	for (size_t i = 0; i < config_variable_count; i++) {
		const struct config_variable *v = &config_variables[i];
		char left[80], text[1024];

		snprintf(left, sizeof(left), "  %s", v->name);
		snprintf(text, sizeof(text), "%s%s%s%s%s%s%s", v->sentence,
			 *v->choices ? ". One of " : "", v->choices, *v->fallback ? " (" : "",
			 v->fallback, *v->fallback ? ")" : "", "");
		if (v->type == CONFIG_SET && *v->choices)
			snprintf(text, sizeof(text), "%s. List of %s%s%s%s", v->sentence,
				 v->choices, *v->fallback ? " (" : "", v->fallback,
				 *v->fallback ? ")" : "");
		puts(left);
		screen_wrap_row(&screen, "", 6, text);
	}
	print_older_names(&screen);
}
