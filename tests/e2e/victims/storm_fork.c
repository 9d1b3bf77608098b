/* SPDX-License-Identifier: Apache-2.0 */
/* Two threads make children while two others make requests: storm_fork HOW CHILDREN.
 * What a child does: nothing, http (a request of its own, then it ends by exit), return (the same
 * on a connection it has inherited), exec, vfork, spawn, popen, nested. */
#include "storm.h"
#include <spawn.h>

extern char **environ;
static const char *how, *self;
static int children;
static _Atomic bool over;

static void *ask_on(void *arg)
{
	int fd = served_connection();
	unsigned i = 0;

	(void)arg;
	do {
		ask(fd, "beside", i++);
	} while (!over);
	close(fd);
	return NULL;
}

static void child(void)
{
	struct pair p;

	if (is(how, "exec")) {
		execl(self, self, "grandchild", (char *)NULL);
		_exit(1);
	}
	if (is(how, "nothing"))
		_exit(5);
	p = unix_pair();
	for (unsigned i = 0; i < 3; i++)
		round_trip(p, "child", i);
	if (is(how, "nested")) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			round_trip(p, "nested", 0);
			_exit(5);
		}
		CHECK(waitpid(pid, NULL, 0) == pid);
	}
	if (is(how, "threads")) { /* more than fork() allows, and what programs do */
		pthread_t t;

		over = true;
		t = thread(ask_on, NULL);
		pthread_join(t, NULL);
	}
	_exit(5);
}

static int by_popen(void)
{
	char command[512], said[64] = "";
	FILE *f;

	snprintf(command, sizeof(command), "exec %s grandchild", self);
	f = popen(command, "re");
	CHECK(f && fgets(said, sizeof(said), f) && is(said, "grandchild\n"));
	return pclose(f);
}

static int one_child(void)
{
	char *argv[] = { (char *)self, (char *)"quiet", NULL };
	int status = -1;
	pid_t pid;

	if (is(how, "popen"))
		return by_popen();
	if (is(how, "spawn")) {
		CHECK(posix_spawn(&pid, self, NULL, NULL, argv, environ) == 0);
	} else if (is(how, "vfork")) {
		pid = vfork();
		if (pid == 0) {
			execve(self, argv, environ);
			_exit(1);
		}
	} else if (is(how, "vfork_exit")) {
		pid = vfork();
		if (pid == 0)
			_exit(5);
	} else {
		pid = fork();
		if (pid == 0)
			child();
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	return status;
}

static void *make_children(void *arg)
{
	(void)arg;
	for (int i = 0; i < children; i++) {
		int status = one_child();

		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t busy[2], maker[2];

	CHECK(argc > 1);
	if (is(argv[1], "grandchild") || is(argv[1], "quiet")) {
		round_trip(unix_pair(), argv[1], 0);
		if (is(argv[1], "grandchild"))
			say("grandchild\n");
		return 5;
	}
	how = argv[1];
	self = argv[0];
	children = argc > 2 ? atoi(argv[2]) : 4;
	for (int i = 0; i < 2; i++)
		busy[i] = thread(ask_on, NULL);
	for (int i = 0; i < 2; i++)
		maker[i] = thread(make_children, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(maker[i], NULL);
	over = true;
	for (int i = 0; i < 2; i++)
		pthread_join(busy[i], NULL);
	say("end\n");
	return 0;
}
