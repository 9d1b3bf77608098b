/* SPDX-License-Identifier: Apache-2.0 */
/* Each case runs in a process of its own: init_run() takes over the one it is called in. What is
 * seen from outside is tested by tests/e2e/test_command_init.py. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/raw.h"
#include "launcher/init.h"
#include "launcher/witness.h"

struct seen {
	int result, exec_error;
	unsigned companion_ends;
	int companion_status;
	pid_t companion_left;
	uint64_t mask;
	int subreaper;
	unsigned in_child;
	int tell; /* a byte is written there at the companion's end */
};

static struct seen *seen;

static void setup(void)
{
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(seen, MAP_FAILED);
}

TestSuite(init, .init = setup, .timeout = 30);

static void companion_ended(void *arg, int status)
{
	struct seen *s = arg;

	s->companion_ends++;
	s->companion_status = status;
	if (s->tell && write(s->tell, "\n", 1) != 1)
		s->companion_ends = 0;
}

static void in_child(void *arg)
{
	struct seen *s = arg;

	s->in_child++;
}

static pid_t companion(void (*does)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		does();
		_exit(7);
	}
	return pid;
}

static void ends(void)
{
}

static void waits(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

/* Runs a command; does: what the companion does, or NULL for none. */
static void run(char *const *command, void (*does)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct init i = { .command = (char **)command,
				  .on_companion_end = companion_ended,
				  .in_child = in_child,
				  .arg = seen };

		if (does)
			i.companion = companion(does);
		seen->result = init_run(&i, &seen->exec_error);
		seen->companion_left = i.companion;
		raw_rt_sigprocmask(SIG_BLOCK, NULL, &seen->mask);
		prctl(PR_GET_CHILD_SUBREAPER, &seen->subreaper);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
}

#define COMMAND(...) ((char *const[]){ __VA_ARGS__, NULL })

Test(init, returns_how_the_program_ended)
{
	run(COMMAND("sh", "-c", "exit 9"), NULL);
	cr_assert(WIFEXITED(seen->result) && WEXITSTATUS(seen->result) == 9);
	cr_assert_eq(seen->in_child, 1);
	cr_assert_eq(seen->mask, ~0ULL & ~(1ULL << (SIGKILL - 1) | 1ULL << (SIGSTOP - 1)));
	run(COMMAND("sh", "-c", "kill -TERM $$"), NULL);
	cr_assert(WIFSIGNALED(seen->result) && WTERMSIG(seen->result) == SIGTERM);
}

Test(init, says_why_a_program_could_not_be_executed_and_changes_nothing)
{
	run(COMMAND("no-such-program"), waits);
	cr_assert_eq(seen->result, -ENOENT);
	cr_assert_eq(seen->exec_error, ENOENT);
	cr_assert_eq(seen->mask, 0);
	cr_assert_eq(seen->subreaper, 0);
	cr_assert_gt(seen->companion_left, 0);
	run(COMMAND("/etc/passwd"), NULL);
	cr_assert_eq(seen->result, -EACCES);
	cr_assert_eq(seen->exec_error, EACCES);
}

Test(init, outlives_its_companion_and_tells_of_its_end_once)
{
	int fds[2];

	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	dup2(fds[0], 0);
	seen->tell = fds[1];
	run(COMMAND("sh", "-c", "read line && exit 3"), ends);
	cr_assert(WIFEXITED(seen->result) && WEXITSTATUS(seen->result) == 3);
	cr_assert_eq(seen->companion_ends, 1);
	cr_assert(WIFEXITED(seen->companion_status) && WEXITSTATUS(seen->companion_status) == 7);
	cr_assert_eq(seen->companion_left, 0);
}

Test(init, leaves_a_living_companion_alone)
{
	run(COMMAND("true"), waits);
	cr_assert_eq(seen->result, 0);
	cr_assert_eq(seen->companion_ends, 0);
	cr_assert_gt(seen->companion_left, 0);
}

static int leave(int status)
{
	pid_t pid = fork();
	int how;

	if (pid == 0)
		init_leave(status);
	cr_assert_eq(waitpid(pid, &how, 0), pid);
	return how;
}

Test(init, leaves_as_the_status_says)
{
	for (int status = 0; status < 256; status++)
		cr_assert_eq(leave(status << 8), status << 8);
	for (int signo = 1; signo <= 64; signo++) {
		if (signo == SIGCHLD || signo == SIGCONT || signo == SIGURG || signo == SIGWINCH ||
		    (signo >= SIGSTOP && signo <= SIGTTOU))
			continue;
		/* Never the mark that there is a core file. */
		cr_assert_eq(leave(signo | 0x80), signo, "signal %d", signo);
	}
}

/* Sends what it is told to its parent, or to all of its group. */
static pid_t start_sender(int *tell)
{
	int fds[2], order[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	*tell = fds[1];
	pid = fork();
	if (pid)
		return pid;
	close(fds[1]);
	while (read(fds[0], order, sizeof(order)) == sizeof(order))
		kill(order[0], order[1]);
	_exit(0);
}

static int witnessed(void)
{
	const uint64_t all = ~0ULL;
	siginfo_t info;
	int tell;

	raw_rt_sigprocmask(SIG_SETMASK, &all, NULL);
	setpgid(0, 0);
	if (start_sender(&tell) < 0 || witness_start())
		return 1;
	for (int turn = 0; turn < 20; turn++) {
		for (int signo = 1; signo <= 64; signo++) {
			int order[] = { turn % 2 ? 0 : getpid(), signo };

			if (signo == SIGKILL || signo == SIGSTOP)
				continue;
			if (write(tell, order, sizeof(order)) != sizeof(order))
				return 1;
			if (raw_rt_sigtimedwait(&all, &info, NULL) != signo)
				return 2;
			if (witness_ask(signo) != (turn % 2 ? REACH_GROUP : REACH_US))
				return 3;
		}
	}
	witness_end();
	return witness_ask(SIGTERM) == REACH_UNKNOWN ? 0 : 4;
}

Test(init, witnesses_tell_the_group_from_us_alone)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(witnessed());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0, "%#x", status);
}
