/* SPDX-License-Identifier: Apache-2.0 */
/* The program stays in our process group, where pipelines, job control and kill(0) expect it: what
 * the terminal or a shell sends to the group reaches it without us, and what was sent to us alone
 * we pass on. Nobody gets a signal twice. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/raw.h"
#include "launcher/given.h"
#include "launcher/init.h"
#include "launcher/witness.h"

#define BIT(signo) (1ULL << ((signo)-1))
#define TAKE_NOW   (&(const struct timespec){ 0 })
#define TAKE_NEXT  NULL

struct ward {
	struct init *init;
	pid_t pid;
	uint64_t early; /* signals that waited when there was no program yet to get them too */
	int stopped_by; /* the signal, until we have stopped as well */
	bool ended;
	int status; /* how */
};

struct start {
	struct given given;
	const struct init *init;
	volatile int error;
};

static _Noreturn void become(struct start *s)
{
	if (s->init->in_child)
		s->init->in_child(s->init->arg);
	given_give(&s->given);
	execvp(s->init->command[0], s->init->command);
	s->error = errno;
	_exit(EXIT_FAILURE);
}

/* The child shares our memory until it is the program, so that it can say why it did not become
 * it; no pipe is needed, and none can be missing. */
static pid_t start(struct start *s)
{
	pid_t pid = vfork();

	if (pid == 0)
		become(s); // NOLINT(clang-analyzer-unix.Vfork): it returns to nobody
	if (pid < 0)
		return -errno;
	if (!s->error)
		return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return -s->error;
}

static void note_child(struct ward *w, int status)
{
	if (WIFSTOPPED(status)) {
		w->stopped_by = WSTOPSIG(status);
	} else if (WIFCONTINUED(status)) {
		w->stopped_by = 0;
	} else {
		w->status = status;
		w->ended = true;
	}
}

/* Orphans of the tree are waited for and forgotten. */
static void reap(struct ward *w)
{
	struct init *i = w->init;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
		if (pid == w->pid && !w->ended) {
			note_child(w, status);
		} else if (pid == i->companion && (WIFEXITED(status) || WIFSIGNALED(status))) {
			i->companion = 0;
			if (i->on_companion_end)
				i->on_companion_end(i->arg, status);
		}
	}
}

/* Did the whole group get it? Without a witness: what the terminal's keys and size send. */
static bool sent_to_group(const siginfo_t *info)
{
	switch (witness_ask(info->si_signo)) {
	case REACH_GROUP:
		return true;
	case REACH_US:
		return false;
	default:
		break;
	}
	return info->si_code == SI_KERNEL &&
	       (BIT(info->si_signo) & (BIT(SIGINT) | BIT(SIGQUIT) | BIT(SIGTSTP) | BIT(SIGTTIN) |
				       BIT(SIGTTOU) | BIT(SIGWINCH)));
}

static void pass_on(struct ward *w, siginfo_t *info)
{
	bool by_somebody = info->si_code == SI_USER || info->si_code == SI_QUEUE;
	bool by_group = sent_to_group(info) && !(w->early & BIT(info->si_signo));
	pid_t group, to = w->pid;

	w->early &= ~BIT(info->si_signo);
	if (by_somebody && witness_is(info->si_pid))
		return;
	if (by_group) {
		group = getpgid(w->pid);
		if (group == getpgrp())
			return;
		/* A shell that made a group of its own: ours is what its parent knows it by. */
		if (group == w->pid)
			to = -group;
	} else if (by_somebody && info->si_pid == w->pid) {
		/* It means its parent, and that is not us. */
		to = getppid();
		if (to <= 0)
			return;
	}
	if (info->si_code == SI_QUEUE && to > 0) /* with its value and its sender */
		raw_syscall3(SYS_rt_sigqueueinfo, to, info->si_signo, (long)info);
	else
		kill(to, info->si_signo);
}

/* The group in the terminal's foreground, or 0; *terminal: to be closed. */
static pid_t foreground(int *terminal)
{
	pid_t group;

	*terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (*terminal < 0)
		return 0;
	group = tcgetpgrp(*terminal);
	return group > 0 ? group : 0;
}

/* Takes a signal of the set and does what it asks for. False when there is none. */
static bool take(struct ward *w, uint64_t set, const struct timespec *timeout)
{
	siginfo_t info;
	int signo = raw_rt_sigtimedwait(&set, &info, timeout);

	if (signo <= 0)
		return false;
	if (signo == SIGCHLD)
		reap(w);
	if (signo != SIGCHLD || info.si_code <= 0)
		pass_on(w, &info);
	if (signo == SIGCONT)
		witness_forget(BIT(SIGTSTP) | BIT(SIGTTIN) | BIT(SIGTTOU));
	return true;
}

/* Stops us as the program was stopped, so that the shell sees it. Where that stop has no meaning
 * (nobody is there to continue us), the kernel makes nothing of it. */
static void stop_along(struct ward *w)
{
	int signo = w->stopped_by, terminal;
	pid_t group = getpgid(w->pid), front = foreground(&terminal);
	uint64_t bit;

	if (signo != SIGTSTP && signo != SIGTTIN && signo != SIGTTOU)
		signo = SIGSTOP;
	bit = BIT(signo);
	witness_mind(w->pid);
	signal(signo, SIG_DFL);
	while (take(w, BIT(SIGCONT), TAKE_NOW)) /* which the stop would drop */
		;
	/* Still blocked, it is taken back by a SIGCONT: that cannot come unnoticed in between. */
	if (signo != SIGSTOP)
		kill(getpid(), signo);
	witness_forget(BIT(SIGCONT));
	reap(w);
	if (w->stopped_by && !w->ended) {
		if (signo == SIGSTOP)
			kill(getpid(), signo);
		raw_rt_sigprocmask(SIG_UNBLOCK, &bit, NULL);
		raw_rt_sigprocmask(SIG_BLOCK, &bit, NULL);
	}
	signal(signo, SIG_IGN);
	w->stopped_by = 0;
	witness_mind(0);
	/* The shell gave the terminal to our group: to the program's, if that had it. */
	if (terminal >= 0) {
		if (front && front == group && front != getpgrp() &&
		    tcgetpgrp(terminal) == getpgrp())
			tcsetpgrp(terminal, group);
		close(terminal);
	}
}

static void look_after(struct ward *w)
{
	reap(w);
	while (!w->ended) {
		/* Process 1 is never stopped: the attempt would only drop a SIGCONT that waits. */
		if (w->stopped_by && getpid() != 1)
			stop_along(w);
		else
			take(w, ~0ULL, TAKE_NEXT);
	}
}

int init_run(struct init *i, int *exec_error)
{
	struct start s = { .init = i };
	struct ward w = { .init = i };

	given_take(&s.given);
	witness_start(); /* without them, less is known of each signal */
	raw_rt_sigpending(&w.early);
	w.pid = start(&s);
	*exec_error = s.error;
	if (w.pid < 0) {
		witness_end();
		given_give(&s.given);
		return w.pid;
	}
	given_let_go();
	look_after(&w);
	witness_end();
	return w.status;
}

_Noreturn void init_leave(int status)
{
	static const struct rlimit none;
	/* As the kernel has it: libc's function refuses its own two signals. */
	static const struct {
		void *handler, *flags, *restorer;
		uint64_t mask;
	} by_default;
	int signo = WTERMSIG(status);
	uint64_t bit;

	if (!WIFSIGNALED(status))
		_exit(WEXITSTATUS(status));
	bit = BIT(signo);
	/* A core file needs both: a pipe in core_pattern does not look at the limit. */
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	raw_syscall6(SYS_rt_sigaction, signo, (long)&by_default, 0, RAW_SIGSET_SIZE, 0, 0);
	kill(getpid(), signo);
	raw_rt_sigprocmask(SIG_UNBLOCK, &bit, NULL);
	_exit(128 + signo);
}
