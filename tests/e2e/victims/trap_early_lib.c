/* SPDX-License-Identifier: Apache-2.0 */
/* Another library that is preloaded: it uses sockets, files and processes in its constructor, which
 * may run before ours, and in its destructor, which may run after ours. */
#include "trap.h"
#include <poll.h>
#include <sys/epoll.h>

static void use_everything(const char *when)
{
	struct pollfd none = { .fd = -1 };
	char text[64];
	int pair[2], status, fd;
	pid_t pid;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	CHECK(write(pair[0], "abc", 3) == 3 && read(pair[1], text, 64) == 3);
	CHECK(send(pair[0], "abc", 3, 0) == 3 && recv(pair[1], text, 64, 0) == 3);
	CHECK(poll(&none, 1, 0) == 0);
	fd = fcntl(pair[0], F_DUPFD_CLOEXEC, 50);
	CHECK(fd >= 50 && close(fd) == 0 && close(fd) == -1 && errno == EBADF);
	pid = fork();
	if (pid == 0)
		_exit(3);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3);
	pid = vfork();
	if (pid == 0)
		_exit(4);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 4);
	CHECK(close(pair[0]) == 0 && close(pair[1]) == 0);
	CHECK(syscall(SYS_getpid) == getpid());
	dprintf(1, "%s\n", when);
}

/* A connection that is older than our tables. */
static int old_client = -1, old_server = -1;

__attribute__((constructor)) static void early(void)
{
	use_everything("constructor");
	connect_pair(&old_client, &old_server);
	dup2(old_client, 60);
	dup2(old_server, 61);
	close(old_client);
	close(old_server);
}

__attribute__((destructor)) static void late(void)
{
	use_everything("destructor");
}
