/* SPDX-License-Identifier: Apache-2.0 */
/* The witnesses run in our memory and with our thread-locals, errno among them: they make system
 * calls of their own and call nothing of libc. */
#include <linux/futex.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "base/raw.h"
#include "launcher/witness.h"

#define SIGNALS     64
#define REAL_TIME   32 /* from here on signals are queued, not merged */
#define BIT(signo)  (1ULL << ((signo)-1))
#define STOPS       (BIT(SIGTSTP) | BIT(SIGTTIN) | BIT(SIGTTOU))
#define STACK_BYTES 16384
#define PATIENCE_NS 250000000L

/* We ask by the last of all: what came before is taken before it. */
#define QUESTION SIGNALS

struct witness {
	uint32_t
		answered; /* the number of the last question; 0: it has ended (the kernel's word) */
	uint32_t asked;
	uint32_t seen[SIGNALS + 1]; /* signals of each number that were not accounted for yet */
	pid_t pid;
	bool outside;
	_Alignas(16) char stack[STACK_BYTES];
};

static struct witness inside, outside = { .outside = true };
static pid_t ours;
static char minded[32]; /* its file in /proc; "" when there is none */

static const uint64_t every_signal = ~0ULL;

/* Goes on or has ended: anything but T (stopped) and t (traced). */
static bool minded_moves(void)
{
	char text[512], *end;
	int fd = raw_open(minded, O_RDONLY | O_CLOEXEC, 0);
	ssize_t n;

	if (fd < 0)
		return false;
	n = raw_read(fd, text, sizeof(text) - 1);
	raw_close(fd);
	for (end = text + (n > 0 ? n : 0); end > text && *end != ')'; end--)
		;
	return end > text && text + n > end + 2 && end[2] != 'T' && end[2] != 't';
}

static void note(struct witness *w, int signo, const siginfo_t *info)
{
	if (info->si_code == SI_USER && info->si_pid == ours) {
		if (signo != QUESTION)
			return;
		__atomic_store_n(&w->answered, __atomic_load_n(&w->asked, __ATOMIC_ACQUIRE),
				 __ATOMIC_RELEASE);
		raw_futex(&w->answered, FUTEX_WAKE, 1, NULL);
	} else {
		__atomic_fetch_add(&w->seen[signo], 1, __ATOMIC_RELAXED);
	}
}

static int attend(void *arg)
{
	static const struct timespec second = { .tv_sec = 1 };
	struct witness *w = arg;
	const struct timespec *timeout;
	siginfo_t info;
	int signo;

	raw_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	raw_prctl(PR_SET_NAME, (long)"tagalong-signal", 0, 0, 0);
	if (w->outside)
		raw_syscall3(SYS_setpgid, 0, 0, 0);
	while (raw_getppid() == ours) {
		timeout = w->outside && minded[0] ? &second : NULL;
		signo = raw_rt_sigtimedwait(&every_signal, &info, timeout);
		if (signo > 0)
			note(w, signo, &info);
		else if (signo == -EAGAIN && minded_moves())
			raw_kill(ours, SIGCONT);
	}
	return 0;
}

static int start(struct witness *w)
{
	/* No signal at its end, so that it is none of the children that waitpid() tells of. */
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_CHILD_CLEARTID;

	memset(w->seen, 0, sizeof(w->seen));
	w->asked = w->answered = 1;
	w->pid = clone(attend, w->stack + STACK_BYTES, flags, w, NULL, NULL, &w->answered);
	if (w->pid < 0) {
		w->pid = 0;
		return -errno;
	}
	if (w->outside) /* before the first signal, whoever of us two is the faster */
		raw_syscall3(SYS_setpgid, w->pid, w->pid, 0);
	return 0;
}

static void end(struct witness *w)
{
	if (!w->pid)
		return;
	raw_kill(w->pid, SIGKILL);
	waitpid(w->pid, NULL, __WALL);
	w->pid = 0;
}

int witness_start(void)
{
	int err;

	ours = raw_getpid();
	minded[0] = '\0';
	/* The one outside first: whoever goes through a list of processes then comes to it before
	 * the other, and nothing looks like a signal to the group half-way. */
	err = start(&outside);
	if (!err)
		err = start(&inside);
	if (err)
		witness_end();
	return err;
}

void witness_end(void)
{
	end(&inside);
	end(&outside);
}

int witness_is(pid_t pid)
{
	return pid > 0 && (pid == inside.pid || pid == outside.pid);
}

/* True when it has counted all that it was sent before this call. */
static bool ask(struct witness *w)
{
	const struct timespec patience = { .tv_nsec = PATIENCE_NS };
	uint32_t number = w->asked + 1 ? w->asked + 1 : 1, now;
	bool woken = false;

	if (!w->pid)
		return false;
	__atomic_store_n(&w->asked, number, __ATOMIC_RELEASE);
	raw_kill(w->pid, QUESTION);
	while ((now = __atomic_load_n(&w->answered, __ATOMIC_ACQUIRE)) != number && now) {
		if (raw_futex(&w->answered, FUTEX_WAIT, now, &patience) != -ETIMEDOUT)
			continue;
		if (woken)
			return false;
		/* Somebody may have stopped it. Not at once: it would lose the stops it has to
		 * count. */
		raw_kill(w->pid, SIGCONT);
		woken = true;
	}
	if (!now)
		end(w);
	return now;
}

static uint32_t count(const struct witness *w, int signo)
{
	return __atomic_load_n(&w->seen[signo], __ATOMIC_RELAXED);
}

/* How many were sent to the group, and what both got went through a list of processes. */
struct tally {
	uint32_t group, both;
};

static struct tally tally(int signo, uint32_t got_inside)
{
	uint32_t got_outside = count(&outside, signo);
	uint32_t both = got_inside < got_outside ? got_inside : got_outside;

	return (struct tally){ .group = got_inside - both, .both = both };
}

/* The one outside may have been sent something that the other will be sent next: that stays. */
static void account(int signo, uint32_t group, uint32_t both)
{
	__atomic_fetch_sub(&outside.seen[signo], both, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&inside.seen[signo], both + group, __ATOMIC_RELAXED);
}

/* SIGCONT makes the kernel drop stops that wait, and a stop SIGCONT: when the group was sent the
 * one after we had taken the other, nothing is known of that, but that it is over. */
static bool is_over(int signo, uint64_t waiting)
{
	uint64_t opposite = signo == SIGCONT ? STOPS : BIT(signo) & STOPS ? BIT(SIGCONT) : 0;

	for (int i = SIGCONT; i <= SIGTTOU; i++)
		if ((opposite & waiting & BIT(i)) && tally(i, count(&inside, i)).group)
			return true;
	return false;
}

enum reach witness_ask(int signo)
{
	uint64_t waiting = 0;
	uint32_t got_inside;
	struct tally t;

	/* Whoever signals a group holds the kernel's lock of the process list until all have it;
	 * any setpgid() waits for that, and there is no such process. */
	raw_syscall3(SYS_setpgid, INT32_MAX, INT32_MAX, 0);
	if (!ask(&inside))
		return REACH_UNKNOWN;
	raw_rt_sigpending(&waiting);
	got_inside = count(&inside, signo);
	if (!ask(&outside))
		return REACH_UNKNOWN;
	t = tally(signo, got_inside);
	/* Real-time signals come one by one. The others merge while they wait, so that all are
	 * accounted for, but for one when the next waits for us already. */
	if (signo >= REAL_TIME)
		account(signo, t.group > 0, t.both);
	else
		account(signo, t.group - (t.group > 1 && (waiting & BIT(signo))), t.both);
	return t.group || is_over(signo, waiting) ? REACH_GROUP : REACH_US;
}

void witness_forget(uint64_t set)
{
	uint64_t waiting = 0;

	if (!ask(&inside) || !ask(&outside))
		return;
	raw_rt_sigpending(&waiting);
	for (int signo = 1; signo < REAL_TIME; signo++) {
		if (set & ~waiting & BIT(signo)) {
			struct tally t = tally(signo, count(&inside, signo));

			account(signo, t.group, t.both);
		}
	}
}

void witness_mind(pid_t child)
{
	if (child)
		snprintf(minded, sizeof(minded), "/proc/%d/stat", (int)child);
	else
		minded[0] = '\0';
	ask(&outside);
}
