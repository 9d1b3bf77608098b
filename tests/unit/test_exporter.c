/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter's door: its accounts, the program's end, and forks. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fake_sink.h"

/* ---- accounts ---- */

Test(exporter_accounts, each_loss_has_its_counter)
{
	setup(10, 512);
	exporter_start();
	commit(1);
	EVENTUALLY(counted(spans_exported) == 1);
	fake.loss = LOSS_RESPONSE;
	commit(2);
	EVENTUALLY(counted(spans_dropped_response) == 2);
	fake.loss = LOSS_RETRIES;
	commit(3);
	EVENTUALLY(counted(spans_dropped_retries) == 3);
	fake.loss = LOSS_UNDELIVERABLE;
	commit(4);
	EVENTUALLY(counted(spans_dropped_undeliverable) == 4);
	fake.loss = LOSS_FILE;
	commit(5);
	EVENTUALLY(counted(spans_dropped_file) == 5);
	fake.loss = LOSS_MEMORY;
	commit(6);
	EVENTUALLY(counted(spans_dropped_memory) == 6);
	cr_expect_eq(counted(export_failures), 5);
	cr_expect_eq(counted(spans_committed), accounted());
}

Test(exporter_accounts, a_rejection_is_never_more_than_what_was_sent)
{
	setup(10, 512);
	exporter_start();
	fake.rejected = 3;
	commit(5);
	EVENTUALLY(counted(spans_exported) == 2);
	cr_expect_eq(counted(spans_dropped_rejected), 3);
	fake.rejected = 99;
	commit(5);
	EVENTUALLY(counted(spans_dropped_rejected) == 8);
	cr_expect_eq(counted(spans_exported), 2);
}

Test(exporter_accounts, a_full_queue_drops_the_newest)
{
	setup(60000, 512);
	cr_expect_eq(commit(3000), 2048);
	cr_expect_eq(counted(spans_committed), 2048);
	cr_expect_eq(counted(spans_dropped_queue_full), 952);
	exporter_flush(5000, true);
	cr_expect_eq(counted(spans_exported), 2048);
}

Test(exporter_accounts, what_hangs_in_an_export_still_fills_the_queue)
{
	setup(1, 512);
	fake.hang = 1;
	exporter_start();
	commit(512);
	EVENTUALLY(fake.inside == 1);
	cr_expect_eq(commit(3000), 2048 - 512);
	cr_expect_eq(counted(spans_committed), 2048);
	fake.hang = 0;
	EVENTUALLY(counted(spans_exported) == 2048);
}

Test(exporter_accounts, undeliverable_spans_are_counted_and_take_no_memory)
{
	memset(&fake, 0, sizeof(fake));
	fake.undeliverable = 1;
	config.bsp_max_queue = 2048;
	counters_reset();
	cr_expect_eq(exporter_init(NULL), 0);
	exporter_start();
	cr_expect_eq(commit(100), 0);
	exporter_flush(1000, true);
	cr_expect_eq(counted(spans_committed), 100);
	cr_expect_eq(counted(spans_dropped_undeliverable), 100);
	cr_expect_eq(fake.calls, 0);
}

static _Atomic bool producing;

static void *produce(void *arg)
{
	for (unsigned i = 0; i < 30000; i++) {
		commit_one();
		if (i % 64 == 0)
			nap();
	}
	return arg;
}

static void *flush_often(void *arg)
{
	while (producing)
		exporter_flush(2, false);
	return arg;
}

Test(exporter_accounts, add_up_with_many_producers_and_flushes, .timeout = 120)
{
	pthread_t producers[4], flushers[2];

	setup(5, 100);
	exporter_start();
	producing = true;
	for (int i = 0; i < 4; i++)
		pthread_create(&producers[i], NULL, produce, NULL);
	for (int i = 0; i < 2; i++)
		pthread_create(&flushers[i], NULL, flush_often, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(producers[i], NULL);
	producing = false;
	for (int i = 0; i < 2; i++)
		pthread_join(flushers[i], NULL);
	exporter_flush(5000, true);
	cr_expect_eq(counted(spans_committed) + counted(spans_dropped_queue_full), 4 * 30000);
	cr_expect_eq(counted(spans_committed), accounted());
	cr_expect_eq(counted(spans_exported), fake.taken);
	cr_expect_eq(fake.concurrent, 0);
	cr_expect_gt(counted(spans_exported), 0);
}

/* ---- the end ---- */

Test(exporter_flush, waits_until_everything_has_left)
{
	setup(60000, 512);
	exporter_start();
	for (int i = 0; i < 20; i++) {
		commit(10);
		exporter_flush(5000, false);
		cr_expect_eq(counted(spans_exported), 10 * (i + 1));
	}
}

Test(exporter_flush, without_a_worker_is_done_by_the_caller)
{
	setup(60000, 100);
	commit(250);
	exporter_flush(5000, false);
	cr_expect_eq(counted(spans_exported), 250);
	cr_expect_eq(fake.calls, 3);
}

Test(exporter_flush, does_nothing_when_nothing_waits_or_the_last_export_failed)
{
	uint64_t before = clock_monotonic_ns();

	setup(60000, 512);
	exporter_start();
	exporter_flush(5000, false);
	fake.failing = 1;
	commit(5);
	exporter_flush(5000, true);
	cr_expect_lt(clock_monotonic_ns() - before, 1000 * MS);
	cr_expect_eq(fake.calls, 0);
	cr_expect_eq(counted(spans_dropped_exit), 5);
}

Test(exporter_flush, gives_up_when_the_export_begins_to_fail)
{
	uint64_t before;

	setup(1, 512);
	fake.hang = 1;
	exporter_start();
	commit(1);
	EVENTUALLY(fake.inside == 1);
	fake.failing = 1;
	before = clock_monotonic_ns();
	exporter_flush(5000, false);
	cr_expect_lt(clock_monotonic_ns() - before, 1000 * MS);
}

Test(exporter_flush, never_takes_longer_than_it_may)
{
	uint64_t before;

	setup(1, 100);
	fake.hang = 1;
	exporter_start();
	commit(300);
	before = clock_monotonic_ns();
	exporter_flush(200, true);
	cr_expect_lt(clock_monotonic_ns() - before, 400 * MS);
	cr_expect_geq(clock_monotonic_ns() - before, 190 * MS);
	cr_expect_eq(counted(spans_dropped_exit), 300);
	/* What the worker gets done afterwards is not counted twice. */
	fake.hang = 0;
	EVENTUALLY(fake.inside == 0);
	for (int i = 0; i < 20; i++)
		nap();
	cr_expect_eq(accounted(), 300);
	cr_expect_eq(commit(7), 0);
	cr_expect_eq(counted(spans_committed), accounted());
	cr_expect_leq(fake.taken, 100);
}

Test(exporter_flush, with_no_time_counts_and_returns)
{
	setup(60000, 100);
	exporter_start();
	commit(30);
	exporter_flush(0, true);
	cr_expect_eq(counted(spans_dropped_exit), 30);
	cr_expect_eq(fake.calls, 0);
	exporter_flush(1000, true);
	cr_expect_eq(accounted(), 30);
}

static void on_alarm(int signal)
{
	(void)signal;
	exporter_flush(300, true);
}

Test(exporter_flush, from_a_signal_handler_inside_a_flush_ends)
{
	uint64_t before = clock_monotonic_ns();

	setup(60000, 100);
	signal(SIGALRM, on_alarm);
	fake.hang = 1;
	commit(10);
	ualarm(50000, 0);
	exporter_flush(1000, true);
	cr_expect_lt(clock_monotonic_ns() - before, 1500 * MS);
	cr_expect_eq(accounted(), 10);
}

/* ---- the worker's start ---- */

/* Fit for signal handlers. A sanitizer may have one of its own. */
static int threads(void)
{
	static char text[4096];
	int fd = open("/proc/self/status", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	const char *at;

	close(fd);
	text[n > 0 ? n : 0] = 0;
	at = strstr(text, "Threads:");
	return at ? atoi(at + 8) : 0;
}

static int threads_before, threads_in_handler;

static void start_in_handler(int signal)
{
	(void)signal;
	exporter_start();
	threads_in_handler = threads();
}

Test(exporter_start, is_put_off_in_a_signal_handler)
{
	setup(10, 512);
	signal(SIGUSR1, start_in_handler);
	threads_before = threads();
	raise(SIGUSR1);
	cr_expect_eq(threads_in_handler, threads_before);
	exporter_start();
	cr_expect_gt(threads(), threads_before);
	commit(1);
	EVENTUALLY(counted(spans_exported) == 1);
}

/* As in the threads of servers that handle signals elsewhere. */
Test(exporter_start, is_at_once_where_signals_with_handlers_stay_blocked)
{
	sigset_t all;

	setup(10, 512);
	signal(SIGUSR1, start_in_handler);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	threads_before = threads();
	exporter_start();
	cr_expect_gt(threads(), threads_before);
}

/* ---- fork ---- */

#ifdef __SANITIZE_THREAD__ /* it knows no threads in the child of a process that has some */
#define IN_CHILD_START() exporter_flush(1000, false)
#else
#define IN_CHILD_START() exporter_start()
#endif

Test(exporter_fork, child_starts_empty_with_a_worker_of_its_own)
{
	int status;
	pid_t pid;

	setup(50, 512);
	exporter_start();
	fake.hang = 1;
	commit(40);
	EVENTUALLY(fake.inside == 1);
	commit(50);
	pid = fork();
	if (pid == 0) {
		counters_reset();
		memset(&fake.taken, 0, sizeof(fake.taken));
		fake.hang = fake.inside = 0;
		exporter_child(false);
		if (commit(5) != 5)
			_exit(1);
		IN_CHILD_START();
		EVENTUALLY(counted(spans_exported) == 5);
		exporter_flush(1000, true);
		_exit(fake.taken != 5 || accounted() != 5 || counted(spans_committed) != 5 ? 2
		      : fake.children != 1                                                 ? 4
											   : 0);
	}
	fake.hang = 0;
	waitpid(pid, &status, 0);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
	EVENTUALLY(counted(spans_exported) == 90);
	cr_expect_eq(fake.taken, 90);
}

Test(exporter_fork, generations_take_turns_with_two_rings)
{
	int status;

	setup(50, 512);
	for (int generation = 0; generation < 6; generation++) {
		commit(7);
		if (fork() == 0) {
			counters_reset();
			exporter_child(false);
			continue;
		}
		exporter_flush(1000, true);
		wait(&status);
		if (generation == 0)
			cr_expect_eq(status, 0);
		if (accounted() != 7 || counted(spans_exported) != 7)
			_exit(1);
		if (generation > 0)
			_exit(WEXITSTATUS(status));
		return;
	}
	_exit(0);
}

Test(exporter_fork, a_writer_from_before_the_fork_writes_nowhere_in_the_child)
{
	struct ring_writer w;
	int status;

	setup(60000, 512);
	cr_assert(exporter_begin(&w));
	w.record.head->kind = SPAN_SERVER;
	memset(w.record.head->trace_id, 1, 16);
	memset(w.record.head->span_id, 2, 8);
	record_put(&w.record, RECORD_NAME, BYTES("GET"));
	if (fork() == 0) {
		counters_reset();
		exporter_child(false);
		exporter_commit(&w);
		exporter_flush(1000, true);
		_exit(counted(spans_committed) != 0 || fake.taken != 0);
	}
	wait(&status);
	cr_expect_eq(status, 0);
	exporter_commit(&w);
	exporter_flush(1000, true);
	cr_expect_eq(counted(spans_exported), 1);
}
