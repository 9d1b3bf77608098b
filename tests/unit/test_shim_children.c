/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of connections in new processes. */
#include <sched.h>
#include <sys/wait.h>
#include "base/counters.h"
#include "base/thread.h"
#include "shim_halves.h"

static int peer;

/* Runs fn in a child as fork() makes it; its exit status. */
static int in_child(int (*fn)(int), int fd)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		shim_fork_child();
		_exit(fn(fd));
	}
	shim_fork_parent();
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int has_nothing(int fd)
{
	(void)fd;
	return exchange_in_use() != 0 || block_in_use() != 0 || exchange_open_count() != 0;
}

static int serves(int fd)
{
	program_reads(fd, peer, REQUEST);
	program_writes(fd, RESPONSE);
	return !(counted(exchanges_server) == 1 && counted(spans_committed) == 1);
}

static int ignores(int fd)
{
	program_writes(fd, RESPONSE);
	program_closes(fd);
	return counted(spans_committed) != 0;
}

Test(children, is_empty_in_a_child, .fini = spans_stop)
{
	int fd;

	spans_start(NULL);
	shim_before_close_range(0, ~0u);
	fd = fixture_socket(&peer, true, false);
	program_reads(fd, peer, REQUEST "GET / HT");
	cr_assert_eq(in_child(has_nothing, fd), 0);
	cr_assert_eq(in_child(ignores, fd), 0);
	program_writes(fd, RESPONSE);
	cr_assert_eq(spans_read(), 1);
}

Test(children, goes_on_in_a_child_when_nothing_was_under_way, .fini = spans_stop)
{
	int fd;

	spans_start(NULL);
	shim_before_close_range(0, ~0u);
	fd = fixture_socket(&peer, true, false);
	cr_assert_eq(in_child(serves, fd), 0);
}

Test(children, leaves_the_span_to_a_child_that_may_answer, .fini = spans_stop)
{
	int fd;

	spans_start(NULL);
	shim_before_close_range(0, ~0u);
	fd = fixture_socket(&peer, true, false);
	program_reads(fd, peer, REQUEST);
	cr_assert_eq(in_child(ignores, fd), 0);
	program_closes(fd);
	cr_assert_eq(spans_read(), 0);
	cr_assert_eq(counted(spans_dropped_shared), 1);
}

static int writes_the_rest(int fd)
{
	write_rest(fd, BEFORE);
	expect_whole(&program_wire);
	program_closes(fd);
	return has_nothing(fd);
}

/* Half of our header has left when the program forks; whoever goes on completes it. */
Test(children, completes_a_head_in_a_child)
{
	for (size_t taken = BEFORE; taken < BEFORE + 70; taken++) {
		struct shim_write w;
		ssize_t n;
		int fd;

		if (taken == BEFORE)
			start();
		fd = fixture_socket(&peer, false, false);
		n = half_written(&w, fd, taken);
		cr_assert_not(shim_write_again(&w, &n));
		cr_assert_eq(n, (ssize_t)BEFORE);
		cr_assert_eq(in_child(writes_the_rest, fd), 0, "%zu", taken);
		fixture_close(fd, peer);
	}
}

static int gives_blocks_once(int fd)
{
	size_t size;
	void *one = block_get(1, &size), *two = block_get(1, &size);

	(void)fd;
	return one == two;
}

/* Another thread is inside the tables when the program forks: what it left half done is not given
 * back twice. */
Test(children, survives_a_fork_under_a_held_lock)
{
	struct conn *c;
	int fd;

	start();
	fd = fixture_socket(&peer, true, false);
	program_reads(fd, peer, "GET / HT");
	c = conn_of(fd);
	atomic_store(&c->lock, 1);
	block_put(c->in.carry); /* its next line would be c->in.carry = NULL */
	cr_assert_eq(in_child(gives_blocks_once, fd), 0);
}

static int touches_nothing(int fd)
{
	thread_state.vfork_child = 1;
	shim_before_close(fd);
	shim_before_close_range(0, ~0u);
	shim_on_socket(50, AF_INET, SOCK_STREAM);
	shim_on_accept(-1, 51, NULL, 0);
	shim_on_dup(fd, 52);
	shim_on_poll(&(struct pollfd){ .fd = fd }, 1);
	shim_fork_child();
	if (!shim_tracked(fd) || shim_tracked(50) || shim_tracked(51) || shim_tracked(52))
		return 1;
	return thread_state.wait_fd != 0;
}

Test(children, touches_nothing_in_a_vfork_child)
{
	int fd;

	start();
	fd = fixture_socket(&peer, true, false);
	cr_assert_eq(touches_nothing(fd), 0);
}

/* CLONE_VM without CLONE_VFORK: our memory, another process. */
static int runs_beside(void *arg)
{
	int fd = *(int *)arg;

	shim_before_close(fd);
	shim_before_close_range(0, ~0u);
	shim_on_socket(50, AF_INET, SOCK_STREAM);
	return !shim_tracked(fd) || shim_tracked(50);
}

Test(children, touches_nothing_in_a_process_that_shares_memory)
{
	static char stack[65536];
	int fd, status;
	pid_t pid;

	start();
	fd = fixture_socket(&peer, true, false);
	atomic_store(&fd_table.flags[fd], 1);
	shim_on_vm_child();
	pid = clone(runs_beside, stack + sizeof(stack), CLONE_VM | SIGCHLD, &fd);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	cr_assert_eq(atomic_load(&fd_table.flags[fd]), 1);
}
