/* SPDX-License-Identifier: Apache-2.0 */
/* `tagalong agent`: the supervisor of `tagalong run` without a program of its own, for every
 * process that is given its directory. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "launcher/command.h"
#include "launcher/settings.h"
#include "launcher/supervisor/supervisor.h"

#define DIRECTORY "/run/tagalong"
#define NS_PER_MS 1000000ull

enum { AGENT_DIRECTORY = SETTING_COUNT };

static const struct verb_option agent_options[] = {
	SETTING_OPTIONS,
	[AGENT_DIRECTORY] = { "directory", "DIR",
			      "what it shares with the processes (" DIRECTORY
			      "): their TAGALONG_SHARED_DIR",
			      'd' },
	{ 0 },
};

static struct supervisor supervisor;
static sigset_t ends;

static void print_warning(void *arg, const char *message)
{
	(void)arg;
	fprintf(stderr, "tagalong: warning: %s\n", message);
}

static void *watch_signals(void *arg)
{
	int number;

	(void)arg;
	sigwait(&ends, &number);
	supervisor_ask_end(&supervisor);
	return NULL;
}

static int serve(void)
{
	pthread_t watcher;
	int err = supervisor_start(&supervisor);

	if (!err)
		err = -pthread_create(&watcher, NULL, watch_signals, NULL);
	if (err) {
		complain_usage("%s", strerror(-err));
		return EXIT_DOES_NOT_HOLD;
	}
	directory_serve(&supervisor.directory);
	fprintf(stderr, "tagalong: serving %s\n", supervisor.directory.path);
	supervisor_run(&supervisor);
	supervisor_end(&supervisor, clock_monotonic_ns() + config.shutdown_timeout * NS_PER_MS,
		       true);
	return EXIT_HOLDS;
}

static int open_directory(const char *path)
{
	int err = directory_use(&supervisor.directory, path);

	if (err == -EBUSY)
		complain_usage("another agent serves %s", path);
	else if (err == -EINVAL)
		complain_usage("%s: the directory needs an absolute path of at most %d bytes", path,
			       SHARED_PATH_MAX - 1);
	else if (err)
		complain_usage("%s: %s", path, strerror(-err));
	return err;
}

static int agent_main(int argc, char **argv)
{
	struct arguments a = { .verb = &verb_agent, .argc = argc, .argv = argv };
	const char *directory = DIRECTORY;
	int option;

	while ((option = arguments_next(&a)) >= 0) {
		if (option == AGENT_DIRECTORY)
			directory = a.value;
		else if (setting_apply(&verb_agent, option, a.value))
			return EXIT_USAGE;
	}
	if (option == ARGUMENT_STOP)
		return a.status;
	if (option != ARGUMENT_END)
		return usage_error(&verb_agent, "it starts no program: that is `tagalong run`");
	settings_read(EXPORT_SUPERVISED, print_warning, NULL);
	log_init(config.log[0] ? config.log : "stderr", (enum log_level)config.log_level);
	/* Before there is a thread that could take them. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (open_directory(directory))
		return EXIT_DOES_NOT_HOLD;
	if (supervisor_init(&supervisor) == -ENOENT) {
		complain_usage("OTEL_TRACES_EXPORTER=none: there is nothing to do");
		return EXIT_DOES_NOT_HOLD;
	}
	return serve();
}

const struct verb verb_agent = {
	.name = "agent",
	.arguments = "[options]",
	.summary = "Export for every process that is given its directory.",
	.details = "What `tagalong run` does beside its program, as a service: processes that have "
		   "the library preloaded and the directory's name in TAGALONG_SHARED_DIR share "
		   "their spans with it, and have neither a thread nor a socket of ours. They need "
		   "no endpoint, headers or certificates of their own: the agent's count. When it "
		   "is restarted it goes on with the processes that are there; when it is gone for "
		   "longer, they export by themselves. While the receiver is slow, no process "
		   "gets more than its share of the memory in which spans wait.\n"
		   "\n"
		   "SIGTERM ends it, once what was committed has been sent, or after "
		   "TAGALONG_SHUTDOWN_TIMEOUT.",
	.options = agent_options,
	.usage_status = EXIT_USAGE,
	.main = agent_main,
	.more_help = settings_print_variables,
};
