/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "base/raw.h"
#include "launcher/given.h"

#define DESCRIPTORS_MAX 4096 /* looked at when there is no /proc */

static const int timers[] = { ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF };

void given_take(struct given *g)
{
	static const struct sigaction by_default = { .sa_handler = SIG_DFL };
	static const struct itimerval none;
	static const uint64_t every_signal = ~0ULL;

	/* All of them, where libc's function would leave out its own two. */
	raw_rt_sigprocmask(SIG_SETMASK, &every_signal, &g->mask);
	/* Children of who ignores SIGCHLD cannot be waited for. */
	sigaction(SIGCHLD, &by_default, &g->child_signal);
	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++)
		setitimer(timers[i], &none, &g->timers[i]);
	g->death_signal = 0;
	prctl(PR_GET_PDEATHSIG, &g->death_signal);
	g->subreaper = 0;
	prctl(PR_GET_CHILD_SUBREAPER, &g->subreaper);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

void given_give(const struct given *g)
{
	sigaction(SIGCHLD, &g->child_signal, NULL);
	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++)
		if (timerisset(&g->timers[i].it_value))
			setitimer(timers[i], &g->timers[i], NULL);
	if (g->death_signal)
		prctl(PR_SET_PDEATHSIG, g->death_signal);
	prctl(PR_SET_CHILD_SUBREAPER, g->subreaper);
	raw_rt_sigprocmask(SIG_SETMASK, &g->mask, NULL);
}

static void let_go(int fd, int null)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags < 0 || (flags & FD_CLOEXEC))
		return;
	/* Whatever is opened next would become a standard stream. */
	if (fd > STDERR_FILENO || null < 0 || dup2(null, fd) < 0)
		close(fd);
}

void given_let_go(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	if (dir) {
		while ((entry = readdir(dir)))
			if (entry->d_name[0] != '.')
				let_go(atoi(entry->d_name), null);
		closedir(dir);
	} else {
		for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
			let_go(fd, null);
	}
	if (null > STDERR_FILENO)
		close(null);
	if (chdir("/"))
		return; /* it stays, and so does what it is in */
}
