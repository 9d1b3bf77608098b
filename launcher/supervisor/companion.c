/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/supervisor/companion.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "launcher/supervisor/supervisor.h"

#define NS_PER_MS 1000000ull
/* Beyond TAGALONG_SHUTDOWN_TIMEOUT, for a machine that is busy. */
#define GRACE_MS      500
#define START_MS      5000
#define INHERITED_MAX 4096 /* looked at when there is no /proc */

static struct supervisor supervisor;

/* ---- in the companion ---- */

/* Nothing of the program's surroundings is held: a pipe's reader waits for its last writer, an
 * unmounted directory for the last who stands in it. */
static void let_go(int life, int word, bool keep_stderr)
{
	const int kept[] = { life, word, supervisor.directory.fd, supervisor.directory.lock };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3; fd++)
		if (null >= 0 && (fd != STDERR_FILENO || !keep_stderr))
			dup2(null, fd);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (kept[i] >= 0)
			fcntl(kept[i], F_SETFD, FD_CLOEXEC);
	if (null > 2)
		close(null);
	if (chdir("/") < 0)
		return; /* it stays where it was */
}

static void close_unless_ours(int fd)
{
	if (fd > STDERR_FILENO && !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
		close(fd);
}

/* What was handed to us for the program. Ours are all close-on-exec. */
static void close_inherited(void)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;

	for (int fd = 0; !dir && fd < INHERITED_MAX; fd++)
		close_unless_ours(fd);
	while (dir && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			close_unless_ours(atoi(entry->d_name));
	if (dir)
		closedir(dir);
}

static void ignore_signals(void)
{
	sigset_t none;

	/* All but what tells of a fault of our own, whoever sends them to whom: we end with our
	 * parent, and by SIGKILL. */
	for (int number = 1; number <= SIGRTMAX; number++)
		if (number != SIGSEGV && number != SIGBUS && number != SIGILL && number != SIGFPE &&
		    number != SIGABRT && number != SIGSYS)
			signal(number, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static void *watch_parent(void *arg)
{
	int life = (int)(intptr_t)arg;
	char byte;

	while (read(life, &byte, 1) < 0 && errno == EINTR)
		;
	supervisor_ask_end(&supervisor);
	return NULL;
}

static void say(int word, char what)
{
	if (write(word, &what, 1) < 0)
		return; /* nobody listens any more */
}

static uint64_t deadline(void)
{
	return clock_monotonic_ns() + config.shutdown_timeout * NS_PER_MS;
}

/* Whoever started the program waits for us no longer; its daemons have us still. */
static void stay(int word)
{
	let_go(-1, -1, false);
	say(word, 'd');
	close(word);
	supervisor.lonely = true;
	atomic_store(&supervisor.ending, false);
	supervisor_run(&supervisor);
}

static _Noreturn void companion_main(int life, int word)
{
	pthread_t watcher;
	uint64_t end;

	setsid();
	prctl(PR_SET_NAME, "tagalong-export", 0, 0, 0);
	ignore_signals();
	let_go(life, word, true);
	close_inherited();
	if (supervisor_start(&supervisor) ||
	    pthread_create(&watcher, NULL, watch_parent, (void *)(intptr_t)life) != 0)
		_exit(1);
	directory_serve(&supervisor.directory);
	say(word, 'r');
	supervisor_run(&supervisor);
	end = deadline();
	supervisor_flush(&supervisor, end);
	if (supervisor_is_needed(&supervisor)) {
		stay(word);
		end = deadline();
	}
	supervisor_end(&supervisor, end, false);
	_exit(0);
}

/* ---- in its parent ---- */

enum heard { HEARD_BYTE, HEARD_END, HEARD_NOTHING };

static enum heard hear(int fd, unsigned ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t until = clock_monotonic_ns() + ms * NS_PER_MS;
	uint64_t now;
	char byte;

	while ((now = clock_monotonic_ns()) < until) {
		int n = poll(&p, 1, (int)((until - now) / NS_PER_MS) + 1);

		if (n > 0)
			return read(fd, &byte, 1) == 1 ? HEARD_BYTE : HEARD_END;
	}
	return HEARD_NOTHING;
}

static int fork_companion(struct companion *c)
{
	int life[2], word[2];

	if (pipe2(life, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(word, O_CLOEXEC) < 0) {
		close(life[0]);
		close(life[1]);
		return -errno;
	}
	c->pid = fork();
	if (c->pid == 0) {
		close(life[1]);
		close(word[0]);
		companion_main(life[0], word[1]);
	}
	close(life[0]);
	close(word[1]);
	c->life = life[1];
	c->word = word[0];
	return c->pid < 0 ? -errno : 0;
}

/* Files that are named by where we were started: the companion stands elsewhere. Never freed. */
static void make_absolute(const char **path)
{
	char cwd[PATH_MAX];
	char *whole;

	if (**path && **path != '/' && getcwd(cwd, sizeof(cwd)) &&
	    asprintf(&whole, "%s/%s", cwd, *path) >= 0)
		*path = whole;
}

static void make_paths_absolute(struct config *c)
{
	const char **paths[] = { &c->spill_dir,
				 &c->otlp_certificate,
				 &c->otlp_client_key,
				 &c->otlp_client_certificate,
				 &c->otlp_metrics_certificate,
				 &c->otlp_metrics_client_key,
				 &c->otlp_metrics_client_certificate };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		make_absolute(paths[i]);
}

int companion_start(struct companion *c)
{
	int err;

	make_paths_absolute(&config);
	log_init(config.log, (enum log_level)config.log_level);
	err = directory_create(&supervisor.directory);
	*c = (struct companion){ .pid = 0 };
	if (!err)
		err = supervisor_init(&supervisor);
	if (!err)
		err = fork_companion(c);
	if (!err && hear(c->word, START_MS) != HEARD_BYTE)
		err = -ECHILD;
	if (!err)
		setenv("TAGALONG_SHARED_DIR", supervisor.directory.path, 1);
	else
		directory_leave(&supervisor.directory, true);
	return err;
}

void companion_end(struct companion *c)
{
	if (c->pid <= 0)
		return;
	close(c->life);
	/* The end of the pipe is its end, whatever that was: if it was killed, its directory is
	 * still there. */
	if (hear(c->word, config.shutdown_timeout + GRACE_MS) == HEARD_END) {
		waitpid(c->pid, NULL, 0);
		directory_leave(&supervisor.directory, true);
	}
	close(c->word);
}
