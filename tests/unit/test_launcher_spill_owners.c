/* SPDX-License-Identifier: Apache-2.0 */
/* Owners beside each other, and owners that are killed. */
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "spill_fixture.h"

TestSuite(spill_owners, .init = spill_set_up, .fini = spill_tear_down, .timeout = 120);

#define NUMBERS (1u << 20)

static void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(p, MAP_FAILED);
	return p;
}

/* In a child an assertion of Criterion's would not be heard. */
static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "child: not so: %s\n", what);
	_exit(1);
}

static bool ended_well(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* A child ends with its test, however that ends. */
static pid_t child(void)
{
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* A child that keeps ten batches from `first` on until it is killed. */
static pid_t keeper(uint32_t first)
{
	int ready[2];
	char byte;
	pid_t pid;

	cr_assert_eq(pipe(ready), 0);
	pid = child();
	if (pid == 0) {
		struct spill *s = spill_new(MIB);

		must(oldest(s) == -1, "what belongs to the living is not seen");
		for (uint32_t n = first; n < first + 10; n++)
			must(put(s, n, 100) == 0, "a batch is kept");
		must(write(ready[1], "x", 1) == 1, "the parent hears");
		for (;;)
			pause();
	}
	close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

Test(spill_owners, leave_the_living_alone_and_adopt_from_the_dead)
{
	pid_t a = keeper(100), b = keeper(200), c = keeper(300);
	struct spill *s = spill_new(MIB);

	cr_assert_eq(spill_waiting_items(s), 0);
	end(b);
	spill_close(s);
	s = spill_new(MIB);
	for (uint32_t n = 200; n < 210; n++)
		cr_assert_eq(take(s), n);
	cr_assert_eq(take(s), -1);
	cr_assert_eq(put(s, 1, 100), 0);
	end(c);
	end(a);
	cr_assert_eq(take(s), 1, "its own first");
	/* and then, in their order, what was left meanwhile; it looks once a second */
	for (uint32_t n = 100; n < 110; n++) {
		while (oldest(s) < 0)
			usleep(20000);
		cr_assert_eq(take(s), n);
	}
	for (uint32_t n = 300; n < 310; n++)
		cr_assert_eq(take(s), n);
	cr_assert_eq(spill_dropped_items(s), 0);
	spill_close(s);
}

Test(spill_owners, order_by_number_and_not_by_time)
{
	struct spill *one = spill_new(MIB), *two;
	const struct timespec old[2] = { { 1, 0 }, { 1, 0 } };
	char path[600];

	put(one, 1, 100);
	two = spill_new(MIB);
	put(two, 2, 100);
	cr_assert_eq(files(path), 2);
	spill_close(one);
	spill_close(two);
	for (DIR *d = opendir(spill_dir); d; closedir(d), d = NULL)
		for (struct dirent *e; (e = readdir(d));)
			if (strstr(e->d_name, "0000000000000002"))
				cr_assert_eq(utimensat(dirfd(d), e->d_name, old, 0), 0);
	one = spill_new(MIB);
	cr_assert_eq(take(one), 1);
	cr_assert_eq(take(one), 2);
	spill_close(one);
}

/* ---- many at once ---- */

struct crowd {
	_Atomic uint32_t next; /* number to put */
	_Atomic uint8_t popped[NUMBERS];
};

static void come_and_go(struct crowd *crowd, unsigned seed)
{
	srand(seed);
	for (int life = 0; life < 60; life++) {
		struct spill *s = spill_new(16ull * MIB);

		for (int i = rand() % 30; i > 0; i--) {
			if (rand() % 2) {
				uint32_t n = atomic_fetch_add(&crowd->next, 1);

				must(put(s, n, BATCH_MIN + (uint32_t)rand() % 3000) == 0, "kept");
			} else {
				long n = take(s);

				if (n >= 0)
					atomic_fetch_add(&crowd->popped[n], 1);
			}
		}
		must(spill_dropped_items(s) == 0, "nothing is dropped");
		spill_close(s);
	}
	_exit(0);
}

Test(spill_owners, give_each_batch_to_just_one_however_they_come_and_go)
{
	struct crowd *crowd = shared(sizeof(*crowd));
	pid_t pids[6];
	struct spill *s;
	long n;

	for (unsigned i = 0; i < 6; i++) {
		pids[i] = child();
		if (pids[i] == 0)
			come_and_go(crowd, i);
	}
	for (unsigned i = 0; i < 6; i++)
		cr_assert(ended_well(pids[i]));
	/* more segments than are adopted at a time may be left */
	for (int i = 0; i < 20; i++) {
		s = spill_new(16ull * MIB);
		while ((n = take(s)) >= 0)
			crowd->popped[n]++;
		cr_assert_eq(spill_dropped_items(s), 0);
		spill_close(s);
	}
	for (uint32_t i = 0; i < crowd->next; i++)
		cr_assert_eq(crowd->popped[i], 1, "batch %u: %u times", i, crowd->popped[i]);
	cr_assert_gt(crowd->next, 1000);
}

/* ---- SIGKILL ---- */

/* What a child is about to do and what it has done. Batches are numbered, put in order, and so have
 * to come out. */
struct diary {
	uint32_t put_begun, put_done; /* the next number */
	uint32_t pop_begun, pop_done;
	uint64_t lives, taken, dropped_items;
	uint8_t in_flight[NUMBERS]; /* was being put or popped at a kill: may come, or not */
};

#define now(field, value) __atomic_store_n(&d->field, value, __ATOMIC_SEQ_CST)

/* The oldest is the next number, but for those that were in flight. */
static uint32_t check_oldest(struct diary *d, struct spill *s)
{
	long n = oldest(s);

	while (n != (long)d->pop_done && d->pop_done < d->put_done && d->in_flight[d->pop_done]) {
		now(pop_begun, d->pop_done + 1);
		now(pop_done, d->pop_done + 1);
	}
	must(n < 0 ? d->pop_done == d->put_done : n == (long)d->pop_done,
	     "what is read is what was put and not popped");
	return d->pop_done;
}

static void take_one(struct diary *d, struct spill *s)
{
	uint32_t n = check_oldest(d, s);

	if (n == d->put_done)
		return;
	now(pop_begun, n + 1);
	spill_pop(s);
	now(pop_done, n + 1);
	d->taken++;
}

static void put_one(struct diary *d, struct spill *s)
{
	uint32_t n = d->put_done;
	uint32_t size = rand() % 4 ? (uint32_t)rand() % 2000 : (uint32_t)rand() % 60000;

	now(put_begun, n + 1);
	must(put(s, n, BATCH_MIN + size) == 0, "a batch is kept");
	now(put_done, n + 1);
}

static void live(struct diary *d, unsigned seed)
{
	struct spill *s = spill_new(256ull * MIB);

	srand(seed);
	d->lives++;
	must(spill_dropped_items(s) <= 7, "at most the one in flight is lost");
	d->dropped_items += spill_dropped_items(s);
	while (d->put_done < NUMBERS - 1)
		if (rand() % 2 && d->put_done - d->pop_done < 500)
			put_one(d, s);
		else
			take_one(d, s);
	_exit(0);
}

/* What a child was at when it was killed. */
static void note_kill(struct diary *d)
{
	if (d->put_begun != d->put_done) {
		d->in_flight[d->put_done] = 1;
		d->put_done = d->put_begun;
	}
	if (d->pop_begun != d->pop_done)
		d->in_flight[d->pop_done] = 1;
	d->pop_begun = d->pop_done;
}

Test(spill_owners, lose_and_repeat_at_most_the_one_in_flight_when_killed)
{
	struct diary *d = shared(sizeof(*d));
	struct spill *s;
	int status;

	srand(1);
	for (unsigned kill_no = 0; kill_no < 200; kill_no++) {
		uint64_t lives = d->lives;
		pid_t pid = child();

		if (pid == 0)
			live(d, kill_no);
		/* every other one may also be killed while it adopts */
		while (kill_no % 2 && __atomic_load_n(&d->lives, __ATOMIC_SEQ_CST) == lives &&
		       waitpid(pid, &status, WNOHANG) == 0)
			usleep(200);
		usleep((useconds_t)rand() % 4000);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "life %u: %x",
			  kill_no, status);
		note_kill(d);
	}
	s = spill_new(256ull * MIB);
	while (d->pop_done < d->put_done)
		take_one(d, s);
	cr_assert_eq(oldest(s), -1);
	spill_close(s);
	cr_assert_geq(d->lives, 100);
	cr_assert_gt(d->taken, 1000);
}
