/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a process still is the one it was. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "exporter/alive.h"
#include "exporter/ring_layout.h"

static pid_t child(void (*run)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		run();
		_exit(0);
	}
	cr_assert_gt(pid, 0);
	return pid;
}

static void wait_for_signal(void)
{
	pause();
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Until it is a zombie, which stays. */
static void wait_for_end(pid_t pid)
{
	siginfo_t info;

	cr_assert_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

Test(alive, we_live)
{
	uint32_t pid = (uint32_t)getpid();
	uint64_t ticks = alive_start_ticks(pid);

	cr_expect_gt(ticks, 0);
	cr_expect_eq(alive_check(pid, ring_pid_space(), ticks), ALIVE_YES);
}

Test(alive, a_child_lives_until_it_ends_whoever_has_waited_for_it)
{
	pid_t pid = child(wait_for_signal);
	uint64_t ticks = alive_start_ticks((uint32_t)pid);

	cr_expect_eq(alive_check((uint32_t)pid, ring_pid_space(), ticks), ALIVE_YES);
	kill(pid, SIGKILL);
	wait_for_end(pid);
	cr_expect_eq(alive_check((uint32_t)pid, ring_pid_space(), ticks), ALIVE_NO, "a zombie");
	waitpid(pid, NULL, 0);
	cr_expect_eq(alive_check((uint32_t)pid, ring_pid_space(), ticks), ALIVE_NO);
}

Test(alive, a_later_process_of_the_same_number_is_another)
{
	pid_t pid = child(wait_for_signal);
	uint64_t ticks = alive_start_ticks((uint32_t)pid);

	cr_expect_eq(alive_check((uint32_t)pid, ring_pid_space(), ticks - 1), ALIVE_NO);
	end(pid);
}

Test(alive, where_the_start_was_not_known_the_number_has_to_do)
{
	pid_t pid = child(wait_for_signal);

	cr_expect_eq(alive_check((uint32_t)pid, ring_pid_space(), 0), ALIVE_YES);
	kill(pid, SIGKILL);
	wait_for_end(pid);
	cr_expect_eq(alive_check((uint32_t)pid, ring_pid_space(), 0), ALIVE_NO);
	waitpid(pid, NULL, 0);
	cr_expect_eq(alive_start_ticks((uint32_t)pid), 0);
}

static void *outlive_main(void *arg)
{
	(void)arg;
	pause();
	return NULL;
}

static void leave_a_thread_behind(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, outlive_main, NULL);
	pthread_exit(NULL);
}

Test(alive, a_process_outlives_its_main_thread)
{
	pid_t pid = child(leave_a_thread_behind);
	uint64_t ticks = alive_start_ticks((uint32_t)pid);
	char path[64], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (int i = 0; i < 5000 && state != 'Z'; i++) {
		FILE *f = fopen(path, "r");

		cr_assert_not_null(f);
		cr_assert_eq(fscanf(f, "%*d (%*[^)]) %c", &state), 1);
		fclose(f);
		usleep(1000);
	}
	cr_assert_eq(state, 'Z', "its main thread");
	cr_expect_eq(alive_check((uint32_t)pid, ring_pid_space(), ticks), ALIVE_YES);
	kill(pid, SIGKILL);
	wait_for_end(pid);
	cr_expect_eq(alive_check((uint32_t)pid, ring_pid_space(), ticks), ALIVE_NO);
	waitpid(pid, NULL, 0);
}

Test(alive, of_other_namespaces_and_of_no_process_nothing_is_known)
{
	uint32_t pid = (uint32_t)getpid();
	uint64_t ticks = alive_start_ticks(pid), space = ring_pid_space();

	cr_expect_eq(alive_check(pid, space + 1, ticks), ALIVE_UNKNOWN);
	cr_expect_eq(alive_check(pid, 0, ticks), ALIVE_UNKNOWN);
	cr_expect_eq(alive_check(0, space, ticks), ALIVE_UNKNOWN);
	cr_expect_eq(alive_check(UINT32_MAX, space, ticks), ALIVE_UNKNOWN);
	cr_expect_eq(alive_check((uint32_t)INT32_MAX, space, ticks), ALIVE_NO);
}

Test(alive, a_name_like_a_zombies_deceives_nobody)
{
	uint64_t ticks = alive_start_ticks((uint32_t)getpid());
	FILE *f = fopen("/proc/self/comm", "w");

	cr_assert_not_null(f);
	fputs("a) Z 1 (b", f);
	fclose(f);
	cr_expect_eq(alive_check((uint32_t)getpid(), ring_pid_space(), ticks), ALIVE_YES);
}
