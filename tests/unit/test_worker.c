/* SPDX-License-Identifier: Apache-2.0 */
/* The thread: when it exports, and how it behaves in somebody else's process. */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "fake_sink.h"

/* Number of the thread named tagalong, 0 when there is none; *count is how many there are. */
static int worker_tid(int *count)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	int tid = 0;

	*count = 0;
	while ((e = readdir(d))) {
		char path[300], name[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
		f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!f)
			continue;
		if (fgets(name, sizeof(name), f) && strcmp(name, "tagalong\n") == 0) {
			tid = atoi(e->d_name);
			++*count;
		}
		fclose(f);
	}
	closedir(d);
	return tid;
}

/* The line of /proc/self/task/<tid>/<file> that starts with `key`. */
static const char *task_line(int tid, const char *file, const char *key)
{
	static char line[256];
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, file);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			break;
	if (f)
		fclose(f);
	return line;
}

/* ---- schedule ---- */

Test(worker, exports_after_the_delay)
{
	uint64_t before = clock_monotonic_ns();

	setup(200, 512);
	exporter_start();
	commit(3);
	EVENTUALLY(counted(spans_exported) == 3);
	cr_expect_geq(clock_monotonic_ns() - before, 150 * MS);
	cr_expect_eq(counted(exports), 1);
}

Test(worker, exports_before_the_delay_when_a_batch_is_full)
{
	uint64_t before = clock_monotonic_ns();

	setup(60000, 64);
	exporter_start();
	commit(64);
	EVENTUALLY(counted(spans_exported) == 64);
	cr_expect_lt(clock_monotonic_ns() - before, 4000 * MS);
}

Test(worker, never_sends_more_than_a_batch_at_once)
{
	setup(20, 10);
	commit(95);
	exporter_start();
	EVENTUALLY(counted(spans_exported) == 95);
	cr_expect_eq(fake.largest, 10);
	cr_expect_eq(counted(exports), 10);
	cr_expect_eq(fake.concurrent, 0);
}

Test(worker, without_a_delay_every_span_leaves_at_once)
{
	setup(0, 512);
	exporter_start();
	for (unsigned i = 1; i <= 20; i++) {
		commit(1);
		EVENTUALLY(counted(spans_exported) == i);
	}
}

Test(worker, wakes_from_a_quiet_time_at_the_first_span)
{
	uint64_t before;

	setup(10, 512);
	exporter_start();
	EVENTUALLY(fake.idle == 1);
	before = clock_monotonic_ns();
	commit(1);
	EVENTUALLY(counted(spans_exported) == 1);
	cr_expect_lt(clock_monotonic_ns() - before, 1000 * MS);
}

Test(worker, is_one_thread_with_a_name_and_no_signals)
{
	uint64_t blocked = 0;
	int count, tid;

	setup(1000, 512);
	for (int i = 0; i < 10; i++)
		exporter_start();
	EVENTUALLY(worker_tid(&count) != 0);
	tid = worker_tid(&count);
	cr_expect_eq(count, 1);
	sscanf(task_line(tid, "status", "SigBlk:"), "SigBlk: %lx", &blocked);
	cr_expect_eq(blocked | 0x180000000 | 1 << (SIGKILL - 1) | 1 << (SIGSTOP - 1),
		     0xffffffffffffffff, "%lx", blocked);
	cr_expect_eq(blocked & 0x180000000, 0,
		     "libc's own signals must pass: setuid() waits for them");
}

Test(worker, leaves_the_signals_of_the_program_as_they_were)
{
	sigset_t mask, after;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	setup(1000, 512);
	exporter_start();
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	cr_expect_eq(memcmp(&mask, &after, 8), 0);
}

/* glibc's setuid() asks every thread to change its ids, by a signal, and waits for all of them. */
Test(worker, does_not_hang_the_program_that_changes_its_ids, .timeout = 10)
{
	int count;

	setup(1000, 512);
	exporter_start();
	EVENTUALLY(worker_tid(&count) != 0);
	for (int i = 0; i < 100; i++)
		cr_expect_eq(setgid(getgid()), 0);
	commit(1);
	EVENTUALLY(counted(spans_exported) == 1);
}

Test(worker, leaves_a_receiver_alone_that_asked_for_it)
{
	setup(10, 10);
	fake.hold_off_ns = clock_monotonic_ns() + 600 * MS;
	fake.loss = LOSS_RETRIES;
	exporter_start();
	commit(1);
	EVENTUALLY(counted(spans_dropped_retries) == 1);
	commit(50);
	exporter_flush(5000, false);
	cr_expect_eq(fake.calls, 1);
	fake.loss = LOSS_NONE;
	EVENTUALLY(counted(spans_exported) == 50);
	cr_expect_geq(clock_monotonic_ns(), fake.hold_off_ns);
}

/* ---- seccomp ---- */

Test(worker_park, puts_the_worker_to_sleep_for_good)
{
	int count, tid;
	unsigned long before, after;

	setup(5, 512);
	exporter_start();
	commit(10);
	EVENTUALLY(worker_tid(&count) != 0);
	tid = worker_tid(&count);
	exporter_park(true, false);
	cr_expect_eq(counted(spans_exported), 10, "what waited has left before");
	/* 202 is futex; no number of it ends: it is not woken, nor does it time out. */
	cr_expect_eq(strncmp(task_line(tid, "syscall", "202"), "202 ", 4), 0, "%s",
		     task_line(tid, "syscall", ""));
	sscanf(task_line(tid, "status", "voluntary_"), "voluntary_ctxt_switches: %lu", &before);
	commit(20);
	exporter_start();
	exporter_flush(1000, false);
	for (int i = 0; i < 50; i++)
		nap();
	sscanf(task_line(tid, "status", "voluntary_"), "voluntary_ctxt_switches: %lu", &after);
	cr_expect_eq(before, after);
	cr_expect_eq(counted(spans_dropped_undeliverable), 20);
	cr_expect_eq(counted(spans_committed), accounted());
}

Test(worker_park, ends_an_export_that_hangs)
{
	uint64_t before;

	setup(5, 512);
	fake.hang = 1;
	exporter_start();
	commit(10);
	EVENTUALLY(fake.inside == 1);
	commit(3);
	before = clock_monotonic_ns();
	exporter_park(true, false);
	cr_expect_lt(clock_monotonic_ns() - before, 1000 * MS);
	EVENTUALLY(counted(spans_committed) == accounted());
	cr_expect_eq(accounted(), 13);
}

Test(worker_park, of_one_thread_leaves_a_running_worker_alone)
{
	setup(5, 512);
	exporter_start();
	exporter_park(false, false);
	commit(10);
	EVENTUALLY(counted(spans_exported) == 10);
}

Test(worker_park, no_worker_is_started_afterwards)
{
	int count;

	setup(5, 512);
	exporter_park(false, false);
	exporter_start();
	commit(10);
	exporter_flush(1000, true);
	worker_tid(&count);
	cr_expect_eq(count, 0);
	cr_expect_eq(fake.calls, 0);
	cr_expect_eq(counted(spans_dropped_undeliverable), 10);
}
