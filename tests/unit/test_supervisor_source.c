/* SPDX-License-Identifier: Apache-2.0 */
/* A supervisor's side of one process: what its file may hold, and what may become of it. */
#include "exporter/ring_layout.h"
#include "launcher/supervisor/fault.h"
#include "launcher/supervisor/source.h"
#include "shared_fixture.h"

static struct shared_world world;
static struct queue queue;
static struct arena arena;
static struct source *source;
static const char *name; /* of the process's file */

static void list_free(struct parcel *list)
{
	while (list) {
		struct parcel *next = list->next;

		parcel_free(list);
		list = next;
	}
}

static void begin(void)
{
	world_begin(&world);
	fault_init();
	queue_init(&queue, 32u << 20);
	arena_init(&arena, 4u << 20);
	cr_assert_eq(world_open(&world), 0);
	name = strrchr(world.shared.path, '/') + 1;
}

static void end(void)
{
	if (source)
		source_close(source, &world.directory, false);
	list_free(queue_get(&queue, SIZE_MAX));
	arena_free(&arena);
	world_end(&world);
}

TestSuite(source, .init = begin, .fini = end, .timeout = 60);

static int open_it(void)
{
	return source_open(&source, &world.directory, name);
}

static int take(void)
{
	return source_take(source, &queue, &arena, 512);
}

static void put(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		cr_assert(put_one(shared_ring(&world.shared), 1, i));
}

/* ---- as it should be ---- */

Test(source, spans_come_with_who_committed_them)
{
	const struct resource_attribute *a;
	struct parcel *p;

	put(3);
	cr_assert_eq(open_it(), 0);
	cr_expect_eq(world.shared.file->consumer, world.directory.control->token);
	cr_expect_eq(take(), 3);
	cr_expect_eq(take(), 0);
	p = queue_get(&queue, 512);
	cr_assert_not_null(p);
	cr_expect_eq(p->batch.count, 3);
	for (size_t i = 0; i < 3; i++)
		cr_expect(is_intact(p->batch.records[i]));
	a = resource_find(p->batch.resource, BYTES("service.name"));
	cr_assert_not_null(a);
	cr_expect(bytes_equal(a->value, BYTES("unit")));
	cr_expect_eq(ring_waiting(shared_ring(&world.shared)), 0);
	source_close(source, &world.directory, false);
	source = NULL;
	cr_expect(bytes_equal(a->value, BYTES("unit")), "who outlives its source");
	parcel_free(p);
}

Test(source, parcels_are_no_larger_than_a_batch)
{
	struct parcel *p, *parcels[100];
	unsigned n = 0;

	put(100);
	cr_assert_eq(open_it(), 0);
	cr_expect_eq(source_take(source, &queue, &arena, 30), 100);
	for (unsigned left = 100; left; left -= (unsigned)p->batch.count) {
		p = queue_get(&queue, 30);
		cr_assert_not_null(p);
		cr_expect_leq(p->batch.count, 30);
		cr_assert_null(p->next);
		parcels[n++] = p;
	}
	while (n)
		parcel_free(parcels[--n]);
	cr_expect_null(queue_get(&queue, 30));
}

Test(source, what_a_full_queue_has_no_room_for_stays_in_the_ring)
{
	put(1000);
	queue.max_bytes = 1;
	cr_assert_eq(open_it(), 0);
	cr_expect_eq(take(), -EAGAIN);
	cr_expect_eq(ring_waiting(shared_ring(&world.shared)), 1000 - 512);
	cr_expect_eq(take(), -EAGAIN);
	list_free(queue_get(&queue, 512));
	cr_expect_eq(take(), -EAGAIN);
	cr_expect_eq(ring_waiting(shared_ring(&world.shared)), 0);
}

/* As many bytes as n spans of another process. */
static void put_others(struct owner *other, unsigned n)
{
	static struct fixture f;
	const struct record_head *record;

	fixture_begin(&f, 1, 2);
	record = fixture_end(&f);
	for (unsigned i = 0; i < n; i++) {
		struct batch b = { .records = &record, .count = 1, .bytes = record->size };

		queue_put(&queue, parcel_new(other, &b));
	}
}

Test(source, who_has_its_share_of_the_queue_waits_and_the_others_do_not)
{
	struct owner *other = calloc(1, sizeof(*other));

	other->references = 1;
	queue.max_bytes = 100000;
	queue_set_shares(&queue, 2);
	cr_assert_eq(open_it(), 0);
	while (!queue_holds_back(&queue, other))
		put_others(other, 1);
	cr_expect_leq(queue.bytes, 52000);
	put(50);
	cr_expect_eq(take(), 50, "there is room for this one");
	cr_expect_eq(world.shared.file->held_back, 0);
	while (take() >= 0)
		put(50);
	cr_expect_eq(world.shared.file->held_back, 1);
	cr_expect_lt(source->owner->queued, 60000);
	list_free(queue_get(&queue, SIZE_MAX));
	cr_expect_geq(take(), 0);
	cr_expect_eq(world.shared.file->held_back, 0);
	owner_put(other);
}

Test(source, counters_are_reported_once_however_often_supervisors_change)
{
	count_add(spans_committed, 5);
	cr_assert_eq(open_it(), 0);
	counters_reset(); /* from here on: the supervisor's */
	source_close(source, &world.directory, true);
	cr_expect_eq(counted(spans_committed), 5);
	world.shared.file->counters.spans_committed += 2;
	cr_assert_eq(open_it(), 0);
	source_close(source, &world.directory, false);
	source = NULL;
	cr_expect_eq(counted(spans_committed), 7);
	cr_expect_eq(files_in(&world.directory), 0);
}

Test(source, what_is_left_behind_is_counted)
{
	put(7);
	cr_assert_eq(open_it(), 0);
	counters_reset();
	source_close(source, &world.directory, false);
	source = NULL;
	cr_expect_eq(counted(spans_dropped_exit), 7);
}

/* As a supervisor that ends by SIGKILL. */
static void forget_source(void)
{
	uint32_t settled = world.shared.file->settled;

	source_close(source, &world.directory, true);
	source = NULL;
	world.shared.file->settled = settled;
	world.shared.file->consumer = 4711;
}

Test(source, what_a_killed_supervisor_had_in_hand_is_counted_by_the_next)
{
	put(1000);
	queue.max_bytes = 1;
	cr_assert_eq(open_it(), 0);
	counters_reset(); /* from here on: the supervisor's */
	cr_expect_eq(take(), -EAGAIN);
	list_free(queue_get(&queue, 1));
	cr_expect_eq(take(), -EAGAIN);
	cr_expect_eq(world.shared.file->settled, 512);
	forget_source();
	cr_assert_eq(open_it(), 0);
	cr_expect_eq(counted(spans_dropped_supervisor), 1000 - 512);
	list_free(queue_get(&queue, SIZE_MAX));
	forget_source();
	cr_assert_eq(open_it(), 0);
	cr_expect_eq(counted(spans_dropped_supervisor), 1000 - 512, "once");
}

Test(source, a_supervisor_that_ends_well_leaves_nothing_to_count)
{
	put(100);
	cr_assert_eq(open_it(), 0);
	cr_expect_eq(take(), 100);
	list_free(queue_get(&queue, 1));
	source_close(source, &world.directory, true);
	cr_assert_eq(open_it(), 0);
	cr_expect_eq(counted(spans_dropped_supervisor), 0);
}

/* ---- whose it is ---- */

Test(source, one_that_its_process_took_back_is_left_alone)
{
	world.shared.file->consumer = SHARED_OWNER;
	cr_expect_eq(open_it(), -EBUSY);
	cr_expect_eq(world.shared.file->consumer, SHARED_OWNER);
}

Test(source, another_supervisors_is_taken_over)
{
	world.shared.file->consumer = 4711;
	cr_expect_eq(open_it(), 0);
	cr_expect_eq(world.shared.file->consumer, world.directory.control->token);
}

/* A process that adopts its ring and a supervisor that starts: one of them gets it. */
Test(source, a_ring_has_one_consumer_whoever_is_faster)
{
	unsigned ours = 0, theirs = 0;

	for (unsigned i = 0; i < 300; i++) {
		pid_t pid;
		int status;

		world.shared.file->consumer = 4711;
		world.directory.control->supervisor.pid = 0;
		atomic_store(&world.shared.look_again_ns, 0);
		pid = fork();
		if (pid == 0)
			_exit(shared_look(&world.shared) == SHARED_ADOPTED ? 1 : 0);
		if (i % 3)
			usleep(i % 7 * 50);
		directory_serve(&world.directory);
		if (open_it() == 0) {
			ours++;
			source_close(source, &world.directory, true);
			source = NULL;
			waitpid(pid, &status, 0);
			cr_assert_eq(status, 0, "both");
		} else {
			waitpid(pid, &status, 0);
			cr_assert_neq(status, 0, "neither");
			theirs++;
		}
	}
	cr_expect_eq(ours + theirs, 300);
}

Test(source, a_process_that_ended_is_seen_to)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	cr_assert_eq(open_it(), 0);
	cr_expect_not(source_has_ended(source));
	source->pid = (uint32_t)pid;
	cr_expect(source_has_ended(source));
}

/* ---- left and idle ---- */

static void make_old(uint64_t *at)
{
	if (*at)
		*at -= 3600000000000ull;
}

Test(source, a_file_that_is_left_is_closed_in_the_end)
{
	cr_assert_eq(open_it(), 0);
	shared_leave(&world.shared);
	cr_expect_not(source_has_ended(source));
	cr_expect_not(source_has_ended(source));
	cr_expect_eq(world.shared.file->use, SHARED_LEFT, "an exec may fail");
	make_old(&source->left_ns);
	cr_expect_not(source_has_ended(source), "a writer may be in there");
	cr_expect_eq(world.shared.file->use, SHARED_CLOSED);
	cr_expect_not(source_has_ended(source));
	make_old(&source->closed_ns);
	cr_expect(source_has_ended(source));
}

Test(source, who_comes_back_is_not_closed)
{
	cr_assert_eq(open_it(), 0);
	shared_leave(&world.shared);
	cr_expect_not(source_has_ended(source));
	make_old(&source->left_ns);
	cr_expect_eq(shared_look(&world.shared), SHARED_ATTENDED);
	cr_expect_not(source_has_ended(source));
	cr_expect_eq(world.shared.file->use, SHARED_USED);
	shared_leave(&world.shared);
	cr_expect_not(source_has_ended(source));
	cr_expect_eq(world.shared.file->use, SHARED_LEFT, "the time starts anew");
}

Test(source, idle_ones_are_closed_where_nobody_can_look)
{
	cr_assert_eq(open_it(), 0);
	make_old(&source->active_ns);
	cr_expect_not(source_has_ended(source));
	cr_expect_eq(world.shared.file->use, SHARED_USED, "it lives");
	source->pid_space++;
	cr_expect_not(source_has_ended(source));
	cr_expect_eq(world.shared.file->use, SHARED_CLOSED);
	make_old(&source->closed_ns);
	cr_expect(source_has_ended(source));
}

/* ---- hostile ---- */

static void check_refused(int err)
{
	int got = open_it();

	cr_expect_eq(got, err, "%d", got);
	if (got == 0) {
		source_close(source, &world.directory, true);
		source = NULL;
	}
}

Test(source, heads_that_lie_are_refused)
{
	struct shared_file *f = world.shared.file, good = *f;

#define LIE(field, value, err) \
	f->field = value;      \
	check_refused(err);    \
	*f = good
	LIE(ready, 0, -EAGAIN);
	LIE(magic, 0, -EPROTO);
	LIE(layout, 0, -EPROTO);
	LIE(ring_at, 0, -EPROTO);
	LIE(ring_at, f->ring_at + 8, -EPROTO);
	LIE(ring_at, UINT32_MAX, -EPROTO);
	LIE(ring_at, UINT32_MAX & ~4095u, -EPROTO);
	LIE(ring_size, UINT32_MAX, -EPROTO);
	LIE(ring_size, 0, -EPROTO);
	LIE(resource_size, RESOURCE_PACKED_MAX + 1, -EPROTO);
	LIE(resource_size, 0, -EPROTO);
	LIE(resource_size, f->resource_size - 1, -EPROTO);
	LIE(resource[0], 0x7f, -EPROTO);
#undef LIE
	check_refused(0);
}

Test(source, files_that_are_none_are_refused)
{
	int fd;

	unlinkat(world.directory.fd, name, 0);
	check_refused(-ENOENT);
	cr_assert_eq(symlinkat("/etc/hostname", world.directory.fd, name), 0);
	check_refused(-ELOOP);
	unlinkat(world.directory.fd, name, 0);
	cr_assert_eq(mkfifoat(world.directory.fd, name, 0600), 0);
	check_refused(-EPROTO);
	unlinkat(world.directory.fd, name, 0);
	cr_assert_eq(mkdirat(world.directory.fd, name, 0700), 0);
	check_refused(-EISDIR);
	unlinkat(world.directory.fd, name, AT_REMOVEDIR);
	fd = openat(world.directory.fd, name, O_CREAT | O_RDWR, 0600);
	check_refused(-EAGAIN);
	cr_assert_eq(futimens(fd, (struct timespec[]){ { 1, 0 }, { 1, 0 } }), 0);
	check_refused(-EPROTO);
	cr_assert_eq(ftruncate(fd, (off_t)1 << 40), 0);
	check_refused(-EPROTO);
	cr_assert_eq(ftruncate(fd, 1 << 20), 0);
	check_refused(-EAGAIN);
	close(fd);
}

Test(source, links_to_others_files_are_refused)
{
	cr_assert_eq(linkat(world.directory.fd, name, world.directory.fd, "spans-2", 0), 0);
	check_refused(-EPROTO);
	unlinkat(world.directory.fd, "spans-2", 0);
	check_refused(0);
}

Test(source, a_file_that_is_cut_off_costs_itself_only)
{
	put(10);
	cr_assert_eq(open_it(), 0);
	for (int i = 0; i < 100; i++) {
		cr_assert_eq(truncate(world.shared.path, 0), 0);
		cr_expect_eq(take(), -EFAULT);
		cr_expect_not(source_has_ended(source));
	}
	source_close(source, &world.directory, false);
	source = NULL;
	cr_expect_eq(queue.spans, 0);
}

Test(source, a_file_that_is_cut_off_before_it_is_read)
{
	unlinkat(world.directory.fd, name, 0);
	cr_assert_eq(world_open(&world), 0);
	name = strrchr(world.shared.path, '/') + 1;
	/* One that is larger than what it holds. */
	cr_assert_eq(truncate(world.shared.path, sizeof(struct shared_file) + 1), 0);
	check_refused(-EPROTO);
}

Test(source, a_ring_that_changes_its_size_is_given_up)
{
	struct geometry *g = &((struct ring *)shared_ring(&world.shared))->geometry;
	struct geometry good = *g;

	cr_assert_eq(open_it(), 0);
	g->max_queue = 1 << 20;
	cr_expect_eq(take(), -EFAULT);
	*g = good;
	ring_format(shared_ring(&world.shared), 1 << 20); /* good, and larger than the file */
	cr_expect_eq(take(), -EFAULT);
}

/* Everything behind the head, at random: no crash, no hang, whatever comes out. */
Test(source, garbage_in_the_ring_harms_nobody)
{
	struct ring *r = shared_ring(&world.shared);
	size_t size = world.shared.file->ring_size;
	struct geometry good = r->geometry;
	uint32_t random = 1;

	put(50);
	cr_assert_eq(open_it(), 0);
	for (int round = 0; round < 300; round++) {
		struct parcel *p;

		for (int i = 0; i < 200; i++) {
			random = random * 1664525 + 1013904223;
			/* Mostly where words steer, the shards' heads. */
			((unsigned char *)r)[random % (round % 2 ? sizeof(*r) : size)] =
				(unsigned char)(random >> 24);
		}
		r->geometry = good;
		take();
		while ((p = queue_get(&queue, 512)) != NULL)
			list_free(p);
	}
	cr_expect_eq(queue.bytes, 0);
}

/* One process that never stops leaves the others their turn. */
Test(source, a_ring_that_never_ends_is_left_for_a_while)
{
	pid_t pid;

	cr_assert_eq(open_it(), 0);
	pid = fork();
	if (pid == 0) {
		for (uint32_t i = 0;; i++)
			put_one(shared_ring(&world.shared), 1, i);
	}
	for (int i = 0; i < 20; i++) {
		struct parcel *p;

		take();
		while ((p = queue_get(&queue, 512)) != NULL)
			list_free(p);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	take();
	cr_expect_eq(ring_waiting(shared_ring(&world.shared)), 0);
}
