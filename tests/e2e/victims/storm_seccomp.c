/* SPDX-License-Identifier: Apache-2.0 */
/* A program that shuts itself in and dies by any call it did not name: storm_seccomp WHEN.
 *	before	the filter, then all traffic, on a connection made before
 *	after	traffic, the filter, traffic on the same connection
 *	connect	the filter lets connections be made; the first is made behind it
 *	errno	like after, but forbidden calls fail (EPERM) in place of killing
 *	tsync	traffic in three threads, which the filter takes in as they run
 *	fork	like after, in a child of fork() */
#include "storm.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ALLOW(nr)                                        \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void install(const char *when)
{
	unsigned otherwise =
		is(when, "errno") ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_KILL_PROCESS;
	struct sock_filter few[] = {
		LOAD(nr),
		ALLOW(SYS_read),
		ALLOW(SYS_write),
		ALLOW(SYS_exit_group),
		BPF_STMT(BPF_RET | BPF_K, otherwise),
	};
	struct sock_filter more[] = {
		LOAD(nr),
		ALLOW(SYS_read),
		ALLOW(SYS_write),
		ALLOW(SYS_socket),
		ALLOW(SYS_bind),
		ALLOW(SYS_listen),
		ALLOW(SYS_getsockname),
		ALLOW(SYS_connect),
		ALLOW(SYS_accept),
		ALLOW(SYS_setsockopt),
		ALLOW(SYS_close),
		/* glibc's threads, on their way out */
		ALLOW(SYS_futex),
		ALLOW(SYS_madvise),
		ALLOW(SYS_munmap),
		ALLOW(SYS_rt_sigprocmask),
		ALLOW(SYS_exit),
		ALLOW(SYS_exit_group),
		BPF_STMT(BPF_RET | BPF_K, otherwise),
	};
	bool wide = is(when, "connect") || is(when, "tsync");
	struct sock_fprog program = { wide ? sizeof(more) / sizeof(*more)
					   : sizeof(few) / sizeof(*few),
				      wide ? more : few };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	if (is(when, "tsync"))
		CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
			      &program) == 0);
	else
		CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/* By read() and write() alone. */
static void talk(struct pair p, int times)
{
	for (int i = 0; i < times; i++)
		round_trip(p, "filtered", 1);
}

static _Atomic bool over;
static _Atomic int begun;

static void *talk_on(void *arg)
{
	struct pair p = tcp_pair();

	(void)arg;
	talk(p, 1);
	begun++;
	while (!over)
		talk(p, 1);
	return NULL;
}

static void with_threads(void)
{
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		t[i] = thread(talk_on, NULL);
	while (begun < 3)
		sched_yield();
	install("tsync");
	talk(tcp_pair(), 3);
	over = true;
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

static void filtered_child(struct pair p)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		install("after");
		talk(p, 3);
		_exit(5);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

int main(int argc, char **argv)
{
	const char *when = argc > 1 ? argv[1] : "";
	struct pair p;

	if (is(when, "tsync")) {
		with_threads();
		say("end\n");
		_exit(7);
	}
	if (is(when, "connect")) {
		install(when);
		talk(tcp_pair(), 3);
		say("end\n");
		return 7;
	}
	p = tcp_pair();
	if (!is(when, "before"))
		talk(p, 3);
	if (is(when, "fork")) {
		filtered_child(p);
		talk(tcp_pair(), 1);
	} else {
		install(when);
		talk(p, 3);
	}
	say("end\n");
	return 7;
}
