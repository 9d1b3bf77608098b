/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "fake_shim.h"

TestSuite(hooks_process, .init = fake_start);

static pid_t pid_answer;

static pid_t fake_fork(void)
{
	return pid_answer;
}

Test(hooks_process, the_child_of_a_fork_starts_anew)
{
	real.fork = fake_fork;
	real.__fork = fake_fork;
	real._Fork = fake_fork;
	pid_answer = 17;
	cr_assert_eq(hook_fork(), 17);
	pid_answer = -1;
	cr_assert_eq(hook_fork(), -1);
	expect_said("fork_parent\n");
	fake.n = 0;
	pid_answer = 0;
	thread_state.vfork_child = 1;
	cr_assert_eq(hook_fork(), 0);
	cr_assert_eq(thread_state.vfork_child, 0, "its memory is its own");
	cr_assert_eq(hook___fork(), 0);
	cr_assert_eq(hook__Fork(), 0);
	expect_said("fork_child\nfork_child\nfork_child\n");
}

static int in_clone(void *arg)
{
	say("clone runs %d %s", thread_state.vfork_child, (char *)arg);
	return 0;
}

/* A clone() that runs the child as a function. */
static int fake_clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
	(void)stack, (void)flags;
	fn(arg);
	return 33;
}

Test(hooks_process, clone_without_shared_memory_is_a_fork)
{
	real.clone = fake_clone;
	cr_assert_eq(hook_clone(in_clone, NULL, SIGCHLD, "arg", NULL, NULL, NULL), 33);
	expect_said("fork_child\nclone runs 0 arg\nfork_parent\n");
}

Test(hooks_process, clone_that_borrows_memory_hands_it_back)
{
	real.__clone = fake_clone;
	hook___clone(in_clone, NULL, CLONE_VM | CLONE_VFORK, "arg", NULL, NULL, NULL);
	cr_assert_eq(thread_state.vfork_child, 0);
	expect_said("clone runs 1 arg\n");
}

Test(hooks_process, clone_with_thread_locals_of_the_programs_making_finds_nothing_of_ours_there)
{
	real.clone = fake_clone;
	hook_clone(in_clone, NULL, CLONE_VM | CLONE_VFORK | CLONE_SETTLS, "v", NULL, NULL, NULL);
	hook_clone(in_clone, NULL, CLONE_SETTLS, "s", NULL, NULL, NULL);
	expect_said("on_vm_child\nclone runs 0 v\nclone runs 0 s\n");
}

Test(hooks_process, clone_of_a_thread_is_left_alone)
{
	real.clone = fake_clone;
	hook_clone(in_clone, NULL, CLONE_VM | CLONE_THREAD | CLONE_FILES, "t", NULL, NULL, NULL);
	expect_said("clone runs 0 t\n");
}

Test(hooks_process, clone_that_shares_memory_and_runs_on_is_announced)
{
	real.clone = fake_clone;
	hook_clone(in_clone, NULL, CLONE_VM | SIGCHLD, "p", NULL, NULL, NULL);
	expect_said("on_vm_child\nclone runs 0 p\n");
}

static int fake_execve(const char *path, char *const *argv, char *const *envp)
{
	say("execve %s %s %s", path, argv[0], envp ? envp[0] : "-");
	errno = ENOENT;
	return -1;
}

static int fake_execv(const char *path, char *const *argv)
{
	return fake_execve(path, argv, NULL);
}

Test(hooks_process, everything_is_sent_before_an_exec)
{
	char *argv[] = { "a", NULL }, *envp[] = { "E=1", NULL };

	real.execve = fake_execve;
	real.execvpe = fake_execve;
	real.execv = fake_execv;
	real.execvp = fake_execv;
	cr_assert_eq(hook_execve("p", argv, envp), -1);
	cr_assert_eq(errno, ENOENT);
	hook_execvpe("p", argv, envp);
	hook_execv("p", argv);
	hook_execvp("p", argv);
	hook_execl("p", argv);
	hook_execlp("p", argv);
	hook_execle("p", argv, envp);
	expect_said("before_exec\nexecve p a E=1\nbefore_exec\nexecve p a E=1\n"
		    "before_exec\nexecve p a -\nbefore_exec\nexecve p a -\n"
		    "before_exec\nexecve p a -\nbefore_exec\nexecve p a -\n"
		    "before_exec\nexecve p a E=1\n");
}

Test(hooks_process, a_vfork_child_only_execs)
{
	char *argv[] = { "a", NULL };

	real.execv = fake_execv;
	thread_state.vfork_child = 1;
	hook_execv("p", argv);
	expect_said("execve p a -\n");
}

static void fake_exit(int status)
{
	say("exit %d", status);
}

Test(hooks_process, everything_is_sent_before_an_exit_that_runs_no_destructor)
{
	real._exit = fake_exit;
	real._Exit = fake_exit;
	real.quick_exit = fake_exit;
	hook__exit(1);
	hook__Exit(2);
	hook_quick_exit(3);
	thread_state.vfork_child = 1;
	hook__exit(4);
	expect_said("at_exit\nexit 1\nat_exit\nexit 2\nat_exit\nexit 3\nexit 4\n");
}

static void fake_thread_exit(void *value)
{
	say("thread exit %s", (char *)value);
}

static void *exit_thread(void *arg)
{
	hook_pthread_exit(arg);
	return NULL;
}

Test(hooks_process, the_main_thread_that_ends_alone_is_told)
{
	pthread_t thread;

	real.pthread_exit = fake_thread_exit;
	hook_pthread_exit("main");
	pthread_create(&thread, NULL, exit_thread, "other");
	pthread_join(thread, NULL);
	expect_said("before_main_exit\nthread exit main\nthread exit other\n");
}

static int fake_prctl(int option, ...)
{
	(void)option;
	return 0;
}

static long fake_syscall(long nr, ...)
{
	(void)nr;
	return 0;
}

Test(hooks_process, filters_are_announced)
{
	real.prctl = fake_prctl;
	real.syscall = fake_syscall;
	hook_prctl(PR_SET_NAME, 0, 0, 0, 0);
	hook_prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
	hook_prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 0, 0, 0);
	hook_syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, 0, 0, 0, 0);
	hook_syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, 0, 0, 0, 0);
	hook_syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, 0, 0, 0, 0);
	hook_syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0, 0);
	expect_said("before_filter 0\nbefore_filter 0\nbefore_filter 1\n"
		    "before_main_exit\nbefore_filter 0\n");
}

Test(hooks_process, a_strict_thread_touches_nothing)
{
	real.prctl = fake_prctl;
	real.syscall = fake_syscall;
	hook_prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 0, 0, 0);
	hook_syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, 0, 0, 0, 0);
	cr_assert_eq(thread_state.vfork_child, 0);
	hook_prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0);
	cr_assert_eq(thread_state.vfork_child, 1);
	thread_state.vfork_child = 0;
	hook_syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, 0, 0, 0, 0);
	cr_assert_eq(thread_state.vfork_child, 1);
}

static pid_t fake_setsid(void)
{
	return pid_answer;
}

static int fake_daemon(int nochdir, int noclose)
{
	(void)nochdir, (void)noclose;
	return 0;
}

Test(hooks_process, a_new_session_is_told)
{
	real.setsid = fake_setsid;
	pid_answer = -1;
	hook_setsid();
	pid_answer = 5;
	hook_setsid();
	expect_said("on_setsid\n");
}

Test(hooks_process, daemon_is_fork_exit_setsid_and_dup2)
{
	real.daemon = fake_daemon;
	fake_track(0);
	fake_track(3);
	hook_daemon(1, 0);
	expect_said("before_exec\nfork_child\non_setsid\nbefore_close 0\n");
}

static int fake_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	(void)fds, (void)n, (void)timeout;
	say("poll");
	return 0;
}

static int fake_select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout)
{
	(void)n, (void)in, (void)out, (void)except, (void)timeout;
	say("select");
	return 0;
}

static int fake_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	(void)epfd, (void)events, (void)max, (void)timeout;
	say("epoll_wait");
	return 0;
}

Test(hooks_process, waits_are_told_before_they_begin)
{
	struct pollfd fds[2] = { { .fd = 1 }, { .fd = 2 } };
	fd_set in;

	FD_ZERO(&in);
	real.poll = fake_poll;
	real.__poll = fake_poll;
	real.select = fake_select;
	real.epoll_wait = fake_epoll_wait;
	hook_poll(fds, 2, 0);
	hook___poll(fds, 1, 0);
	hook_poll(NULL, 0, 0);
	hook_select(3, &in, NULL, NULL, NULL);
	hook_select(0, NULL, NULL, NULL, NULL);
	hook_epoll_wait(9, NULL, 0, 0);
	expect_said("on_poll 2\npoll\non_poll 1\npoll\npoll\non_select 3 in -\nselect\nselect\n"
		    "on_epoll_wait 9\nepoll_wait\n");
}

Test(hooks_process, no_slot_is_empty)
{
	for (size_t i = 0; i < sizeof(real) / sizeof(void *); i++)
		cr_assert_not_null(((void **)&real)[i], "row %zu of symbols.def", i);
}
