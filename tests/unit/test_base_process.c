/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/process.h"
#include "base/raw.h"
#include "base/thread.h"

static int exit_status_of(pid_t pid)
{
	int status = -1;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(process, is_no_new_child_before_and_after_the_start)
{
	bool wiped;

	cr_assert(!process_is_new_child());
	cr_assert_eq(process_init(&wiped), 0);
	cr_assert(wiped, "Linux 4.14 and later wipe");
	cr_assert(!process_is_new_child());
	cr_assert(!process_claim_child());
	cr_assert_eq(process_page->pid, (uint32_t)getpid());
}

static int child_of_any_kind(void)
{
	if (!process_is_new_child() || process_page->pid != 0)
		return 1;
	if (thread_id() != (uint32_t)raw_getpid())
		return 2;
	if (!process_claim_child() || process_is_new_child() || process_claim_child())
		return 3;
	if (process_page->pid != (uint32_t)raw_getpid())
		return 4;
	return thread_id() == (uint32_t)raw_getpid() && thread_id() == (uint32_t)raw_gettid() ? 0
											      : 5;
}

Test(process, notices_a_child_of_fork)
{
	bool wiped;
	pid_t pid;

	cr_assert_eq(process_init(&wiped), 0);
	cr_assert_eq(thread_id(), (uint32_t)getpid());
	pid = fork();
	if (pid == 0)
		_exit(child_of_any_kind());
	cr_assert_eq(exit_status_of(pid), 0);
	cr_assert(!process_is_new_child());
}

Test(process, notices_a_child_that_libc_does_not_know_of)
{
	bool wiped;
	int pid;

	cr_assert_eq(process_init(&wiped), 0);
	cr_assert_eq(thread_id(), (uint32_t)getpid());
	pid = raw_fork();
	if (pid == 0)
		raw_exit_group(child_of_any_kind());
	cr_assert_eq(exit_status_of(pid), 0);
}

Test(process, notices_a_child_of_a_child)
{
	bool wiped;
	pid_t pid;

	cr_assert_eq(process_init(&wiped), 0);
	pid = fork();
	if (pid == 0) {
		if (child_of_any_kind() != 0)
			_exit(100);
		pid = fork();
		if (pid == 0)
			_exit(child_of_any_kind());
		_exit(exit_status_of(pid));
	}
	cr_assert_eq(exit_status_of(pid), 0);
}

Test(process, can_be_marked_where_the_kernel_does_not_wipe)
{
	bool wiped;

	cr_assert_eq(process_init(&wiped), 0);
	process_mark_child();
	cr_assert(process_is_new_child());
	cr_assert(process_claim_child());
	cr_assert(!process_is_new_child());
	cr_assert_eq(process_page->pid, (uint32_t)getpid());
}

static void *own_thread_id(void *arg)
{
	*(bool *)arg = thread_id() == (uint32_t)raw_gettid() &&
		       thread_id() == (uint32_t)raw_gettid() && thread_id() != (uint32_t)getpid();
	return NULL;
}

Test(thread, numbers_each_thread_as_the_kernel_does)
{
	bool wiped, right = false;
	pthread_t other;

	cr_assert_eq(thread_id(), (uint32_t)getpid());
	cr_assert_eq(process_init(&wiped), 0);
	cr_assert_eq(thread_id(), (uint32_t)getpid());
	cr_assert_eq(pthread_create(&other, NULL, own_thread_id, &right), 0);
	pthread_join(other, NULL);
	cr_assert(right);
}

Test(thread, lets_nobody_in_twice)
{
	cr_assert(thread_enter());
	cr_assert(!thread_enter());
	thread_leave();
	cr_assert(thread_enter());
	thread_leave();
}
