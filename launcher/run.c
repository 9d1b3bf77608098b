/* SPDX-License-Identifier: Apache-2.0 */
/* `tagalong run`: sets the environment and stays as the program's parent, or becomes the program.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "launcher/command.h"
#include "launcher/doctor.h"
#include "launcher/init.h"
#include "launcher/library.h"
#include "launcher/settings.h"
#include "launcher/supervisor/companion.h"

/* As env(1), nice(1) and shells say it. */
#define EXIT_OURS         125
#define EXIT_CANNOT_START 126
#define EXIT_NOT_FOUND    127

enum { RUN_EXEC = SETTING_COUNT, RUN_QUIET };

static const struct verb_option run_options[] = {
	SETTING_OPTIONS,
	[RUN_EXEC] = { "exec", NULL, "become the program: nobody stays as its parent", 0 },
	[RUN_QUIET] = { "quiet", NULL, "no warnings before the program starts", 'q' },
	{ 0 },
};

static void print_warning(void *arg, const char *message)
{
	(void)arg;
	fprintf(stderr, "tagalong: warning: %s\n", message);
}

static void keep_quiet(void *arg, const char *message)
{
	(void)arg, (void)message;
}

static int did_not_start(const char *name, int err)
{
	complain_usage("%s: %s", name,
		       err == ENOENT && !strchr(name, '/') ? "command not found" : strerror(err));
	return err == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_START;
}

static int become(char **command)
{
	execvp(command[0], command);
	return did_not_start(command[0], errno);
}

/* The program's parent, beside which another process exports what the tree's processes record. */
static int parent(char **command)
{
	struct companion companion;
	struct init init = { .command = command };
	int exec_error, status, err = companion_start(&companion);

	if (err && err != -ENOENT)
		complain_usage("warning: %s: the program's processes export by themselves",
			       strerror(-err));
	init.companion = companion.pid;
	status = init_run(&init, &exec_error);
	companion_end(&companion);
	if (status >= 0)
		init_leave(status);
	if (exec_error)
		return did_not_start(command[0], exec_error);
	/* No process can be had: the program needs none but ours. */
	return become(command);
}

static int run_main(int argc, char **argv)
{
	struct arguments a = { .verb = &verb_run, .argc = argc, .argv = argv };
	struct library library;
	bool exec = false, quiet = false;
	int option;

	while ((option = arguments_next(&a)) >= 0) {
		if (option == RUN_EXEC)
			exec = true;
		else if (option == RUN_QUIET)
			quiet = true;
		else if (setting_apply(&verb_run, option, a.value))
			return EXIT_OURS;
	}
	if (option == ARGUMENT_STOP)
		return a.status;
	if (option == ARGUMENT_END)
		return usage_error(&verb_run, "which program?");
	library_find(&library);
	if (library.problem[0]) {
		complain_usage("%s", library.problem);
		return EXIT_OURS;
	}
	settings_read(exec ? EXPORT_IN_PROCESS : EXPORT_SUPERVISED,
		      quiet ? keep_quiet : print_warning, NULL);
	if (!quiet)
		doctor_warn(&argv[a.next - 1], print_warning, NULL);
	library_preload(&library);
	return exec ? become(&argv[a.next - 1]) : parent(&argv[a.next - 1]);
}

const struct verb verb_run = {
	.name = "run",
	.arguments = "[options] -- COMMAND [ARGUMENT...]",
	.summary = "Run a program and trace the HTTP requests it serves and makes.",
	.details = "Sets the variables that the options stand for, appends " LIBRARY_NAME
		   " to LD_PRELOAD, starts the program and stays as its parent: passes signals on "
		   "to it, stops and goes on with it, reaps orphans (so it can be process 1 of a "
		   "container) and ends as it ends. With --exec it becomes the program instead. "
		   "What the program starts is traced too. A mistake in a variable is reported, "
		   "and the program runs.\n"
		   "\n"
		   "Exit status: the program's, or the signal that ended it; 127 when it is not "
		   "found, 126 when it cannot be started, 125 when tagalong itself fails.",
	.options = run_options,
	.usage_status = EXIT_OURS,
	.main = run_main,
	.more_help = settings_print_variables,
};
