/* SPDX-License-Identifier: Apache-2.0 */
/* The `tagalong` command: finds the verb. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "launcher/command.h"
#include "launcher/screen.h"

static const struct verb_option no_options[] = { { 0 } };

static int version_main(int argc, char **argv)
{
	struct arguments a = { .verb = &verb_version, .argc = argc, .argv = argv };

	switch (arguments_next(&a)) {
	case ARGUMENT_END:
		puts("tagalong " TAGALONG_VERSION);
		return EXIT_SUCCESS;
	case ARGUMENT_STOP:
		return a.status;
	default:
		return usage_error(&verb_version, "it takes no argument");
	}
}

const struct verb verb_version = {
	.name = "version",
	.arguments = "",
	.summary = "Print the version.",
	.options = no_options,
	.usage_status = EXIT_USAGE,
	.main = version_main,
};

const struct verb *const verbs[] = { &verb_run,   &verb_agent,   &verb_doctor, &verb_view,
				     &verb_check, &verb_version, NULL };

static void help(FILE *out)
{
	struct screen screen;

	screen_open(&screen, out);
	fputs("usage: tagalong VERB [options]\n\n", out);
	screen_wrap(
		&screen, 0,
		"Distributed tracing for programs as they are: their HTTP requests become "
		"OpenTelemetry spans, and trace context travels on with each request they make.");
	fputc('\n', out);
	for (const struct verb *const *v = verbs; *v; v++) {
		char left[32];

		snprintf(left, sizeof(left), "  %s", (*v)->name);
		screen_wrap_row(&screen, left, 12, (*v)->summary);
	}
	fputs("\nExamples:\n"
	      "  tagalong run --service api --console -- python3 server.py\n"
	      "  tagalong doctor -- nginx\n"
	      "  tagalong view traces.jsonl\n"
	      "  tagalong check traces.jsonl --expect 'nginx > api > users'\n\n"
	      "`tagalong VERB --help` tells more about each.\n",
	      out);
}

static const struct verb *find_verb(const char *name)
{
	for (const struct verb *const *v = verbs; *v; v++)
		if (strcmp((*v)->name, name) == 0)
			return *v;
	return NULL;
}

static int unknown_verb(const char *name)
{
	const char *names[16] = { 0 };
	const char *meant;

	for (size_t i = 0; verbs[i]; i++)
		names[i] = verbs[i]->name;
	meant = closest_name(name, names, sizeof(names[0]));
	if (meant)
		complain_usage("unknown verb '%s': did you mean '%s'?", name, meant);
	else
		complain_usage("unknown verb '%s'; `tagalong run -- %s` runs a program", name,
			       name);
	fputs("`tagalong --help` lists the verbs.\n", stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	const struct verb *verb;

	if (!name) {
		help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		name = "version";
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		verb = argc > 2 ? find_verb(argv[2]) : NULL;
		if (argc > 2 && !verb)
			return unknown_verb(argv[2]);
		if (verb)
			verb_help(verb);
		else
			help(stdout);
		return EXIT_SUCCESS;
	}
	verb = find_verb(name);
	if (!verb)
		return unknown_verb(name);
	return verb->main(argc - 1, argv + 1);
}
