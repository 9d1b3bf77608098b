/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/supervisor/directory.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOKS 100

/* A line of processes, each of which has a child and ends: one is always there. */
static pid_t start_line(const char *path)
{
	static const char script[] = "import os, time\n"
				     "os.write(1, b'.')\n"
				     "os.close(1)\n"
				     "for _ in range(300):\n"
				     "    time.sleep(0.05)\n"
				     "    if os.fork():\n"
				     "        os._exit(0)\n";
	char *argv[] = { (char *)"python3", (char *)"-c", (char *)script, NULL };
	char variable[SHARED_PATH_MAX + 32], byte;
	char *envp[] = { variable, NULL };
	int ready[2];
	pid_t pid;

	snprintf(variable, sizeof(variable), "TAGALONG_SHARED_DIR=%s", path);
	cr_assert_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		dup2(ready[1], 1);
		close(ready[0]);
		close(ready[1]);
		execve("/usr/bin/python3", argv, envp);
		_exit(127);
	}
	close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static struct directory named(const char *path)
{
	struct directory d = { .fd = -1, .lock = -1 };

	snprintf(d.path, sizeof(d.path), "%s", path);
	return d;
}

Test(supervisor_named, is_named_by_a_process_that_becomes_another, .timeout = 60)
{
	struct directory d = named("/tagalong-test-named");
	pid_t line = start_line(d.path);
	unsigned found = 0;

	for (unsigned i = 0; i < LOOKS; i++)
		found += directory_is_named(&d);
	kill(-line, SIGKILL);
	waitpid(line, NULL, 0);
	cr_assert_eq(found, LOOKS, "found %u times", found);
}

Test(supervisor_named, is_named_by_nobody)
{
	struct directory d = named("/tagalong-test-nobody");

	cr_assert_not(directory_is_named(&d));
}
