/* SPDX-License-Identifier: Apache-2.0 */
/* One owner: order, restart, bound, and what is in its way. Damage: test_launcher_spill_damage.c;
 * several owners and sudden ends: test_launcher_spill_owners.c. */
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include "launcher/spill_file.h"
#include "spill_fixture.h"

TestSuite(spill, .init = spill_set_up, .fini = spill_tear_down);

Test(spill, gives_back_in_order_what_was_put)
{
	struct spill *s = spill_new(MIB);
	uint64_t items = 0;

	cr_assert_eq(oldest(s), -1);
	for (uint32_t n = 0; n < 50; n++) {
		cr_assert_eq(put(s, n, BATCH_MIN + n * 37), 0);
		items += items_of(n);
	}
	cr_assert_eq(spill_waiting_items(s), items);
	for (uint32_t n = 0; n < 50; n++) {
		cr_assert_eq(oldest(s), n);
		cr_assert_eq(oldest(s), n, "the same one until it is popped");
		spill_pop(s);
		spill_pop(s); /* once is enough */
		items -= items_of(n);
		cr_assert_eq(spill_waiting_items(s), items);
	}
	cr_assert_eq(oldest(s), -1);
	cr_assert_eq(spill_bytes(s), 0);
	cr_assert_eq(spill_dropped_items(s), 0);
	spill_close(s);
}

Test(spill, leaves_no_file_when_nothing_waits)
{
	struct spill *s = spill_new(MIB);
	char path[600];

	cr_assert_eq(files(path), 0);
	for (uint32_t n = 0; n < 3; n++) {
		put(s, n, 100);
		cr_assert_eq(files(path), 1);
		cr_assert_eq(take(s), n);
		cr_assert_eq(files(path), 0);
	}
	spill_close(s);
}

Test(spill, keeps_what_waits_across_restarts_and_forgets_what_was_popped)
{
	struct spill *s;
	char path[600];

	for (uint32_t round = 0; round < 40; round++) {
		s = spill_new(MIB);
		for (uint32_t n = 0; n < 5; n++)
			cr_assert_eq(put(s, round * 5 + n, 300), 0);
		for (uint32_t n = 0; n < 4; n++)
			cr_assert_eq(take(s), round * 4 + n);
		cr_assert_eq(oldest(s), round * 4 + 4, "given out, and not popped");
		spill_close(s);
		cr_assert_leq(files(path), 4, "short lives leave few files");
	}
	s = spill_new(MIB);
	for (uint32_t n = 160; n < 200; n++)
		cr_assert_eq(take(s), n);
	cr_assert_eq(take(s), -1);
	cr_assert_eq(spill_dropped_items(s), 0);
	spill_close(s);
}

Test(spill, takes_bodies_from_none_to_sixteen_mebibytes)
{
	struct spill *s = spill_new(64ull * MIB);
	char *big = calloc(1, 16 * MIB + 1);
	struct payload p = { OTLP_TRACES, OTLP_PROTOBUF, 9, { big, 16 * MIB } }, got;

	memset(big + 16 * MIB - 10, 'x', 10);
	cr_assert_eq(spill_put(s, &p), 0);
	p.body.n = 0;
	cr_assert_eq(spill_put(s, &p), 0);
	p.body.n = 16 * MIB + 1;
	cr_assert_eq(spill_put(s, &p), -EFBIG);
	cr_assert_eq(spill_dropped_items(s), 9);
	cr_assert(spill_oldest(s, &got));
	cr_assert(bytes_equal(got.body, (struct bytes){ big, 16 * MIB }));
	spill_pop(s);
	cr_assert(spill_oldest(s, &got));
	cr_assert_eq(got.body.n, 0);
	spill_close(s);
	free(big);
}

/* ---- the bound ---- */

Test(spill, drops_the_oldest_beyond_its_bound_and_counts_them)
{
	const uint64_t bound = 256 * 1024;
	struct spill *s = spill_new(bound);
	uint64_t items = 0;
	long n, next;

	for (uint32_t i = 0; i < 1000; i++) {
		cr_assert_eq(put(s, i, 1000 + i % 1000), 0);
		items += items_of(i);
		cr_assert_leq(spill_bytes(s), bound);
		cr_assert_eq(spill_waiting_items(s) + spill_dropped_items(s), items);
	}
	cr_assert_geq(spill_bytes(s), bound * 9 / 10, "the bound is used");
	next = oldest(s);
	cr_assert_geq(next, 800);
	while ((n = take(s)) >= 0)
		cr_assert_eq(n, next++);
	cr_assert_eq(next, 1000, "the newest are all there");
	spill_close(s);
}

Test(spill, bounds_what_is_on_the_disk_and_what_it_adopts)
{
	struct spill *s = spill_new(MIB);
	uint64_t on_disk = 0;
	char path[600];
	struct stat st;
	DIR *d;

	for (uint32_t i = 0; i < 50; i++)
		cr_assert_eq(put(s, i, 20000), 0);
	spill_close(s);
	s = spill_new(MIB / 4);
	cr_assert_leq(spill_bytes(s), MIB / 4);
	cr_assert_gt(spill_dropped_items(s), 0);
	d = opendir(spill_dir);
	for (struct dirent *e; (e = readdir(d));) {
		snprintf(path, sizeof(path), "%s/%s", spill_dir, e->d_name);
		if (e->d_name[0] != '.' && stat(path, &st) == 0)
			on_disk += (uint64_t)st.st_size;
	}
	closedir(d);
	cr_assert_leq(on_disk, MIB / 4);
	cr_assert_eq(put(s, 1, 60000), 0);
	spill_close(s);
	s = spill_new(4096);
	cr_assert_eq(spill_waiting_items(s), 0);
	cr_assert_eq(put(s, 1, 5000), -EFBIG, "it would not fit at all");
	cr_assert_eq(put(s, 1, 4000), 0);
	spill_close(s);
}

Test(spill, does_not_count_as_dropped_what_was_out_for_delivery_and_delivered)
{
	struct spill *s = spill_new(64 * 1024);
	struct payload p;

	put(s, 0, 1000);
	cr_assert(spill_oldest(s, &p));
	for (uint32_t n = 1; n < 100; n++)
		put(s, n, 4000);
	cr_assert_eq(number_of(&p), 0, "the view is still good");
	spill_pop(s);
	cr_assert_gt(oldest(s), 1);
	cr_assert_eq(spill_waiting_items(s) + spill_dropped_items(s) + items_of(0),
		     14u * 28 + items_of(98) + items_of(99));
	/* and now it is not delivered */
	cr_assert(spill_oldest(s, &p));
	for (uint32_t n = 100; n < 200; n++)
		put(s, n, 4000);
	cr_assert_gt(oldest(s), 100);
	cr_assert_eq(spill_waiting_items(s) + spill_dropped_items(s) + items_of(0),
		     28u * 28 + items_of(196) + items_of(197) + items_of(198) + items_of(199));
	spill_close(s);
}

Test(spill, needs_few_descriptors_when_there_are_few)
{
	struct rlimit few = { 32, 32 };
	struct spill *s;
	unsigned opened = 0;

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	s = spill_new(MIB);
	for (uint32_t n = 0; n < 200; n++)
		cr_assert_eq(put(s, n, 10000), 0);
	for (int fd = 0; fd < 32; fd++)
		opened += fcntl(fd, F_GETFD) >= 0;
	cr_assert_leq(opened, 22);
	spill_close(s);
}

Test(spill, writes_on_in_the_segment_it_has_when_no_other_can_be_opened)
{
	struct rlimit few = { 64, 64 };
	struct spill *s;
	char path[600];

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	s = spill_new(MIB); /* in segments of 128 KiB */
	cr_assert_eq(put(s, 0, 10000), 0);
	while (open("/dev/null", O_RDONLY) >= 0)
		;
	for (uint32_t n = 1; n < 50; n++)
		cr_assert_eq(put(s, n, 10000), 0);
	close(63);
	cr_assert_eq(files(path), 1);
	for (uint32_t n = 0; n < 50; n++)
		cr_assert_eq(take(s), n);
	spill_close(s);
}

/* ---- in its way ---- */

Test(spill, makes_the_directory_but_not_its_parent)
{
	struct spill *s;
	struct stat st;
	char path[300];

	umask(0);
	snprintf(path, sizeof(path), "%s/new", spill_dir);
	cr_assert_eq(spill_open(&s, path, MIB), 0);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0700);
	spill_close(s);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/new/deep", spill_dir);
	cr_assert_eq(spill_open(&s, path, MIB), -ENOENT);
	cr_assert_null(s);
	spill_close(s);
	snprintf(path, sizeof(path), "%s/file", spill_dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	cr_assert_eq(spill_open(&s, path, MIB), -ENOTDIR);
}

Test(spill, says_at_once_that_it_may_not_write)
{
	struct spill *s;

	if (geteuid() == 0) {
		cr_assert_eq(chown(spill_dir, 65534, 65534), 0);
		cr_assert_eq(seteuid(65534), 0);
	}
	chmod(spill_dir, 0500);
	cr_assert_eq(spill_open(&s, spill_dir, MIB), -EACCES);
	if (getuid() == 0)
		cr_assert_eq(seteuid(0), 0);
}

Test(spill, shows_its_files_to_nobody)
{
	struct spill *s = spill_new(MIB);
	char path[600];
	struct stat st;

	umask(0);
	put(s, 1, 100);
	cr_assert_eq(files(path), 1);
	stat(path, &st);
	cr_assert_eq(st.st_mode & 07777, 0600);
	spill_close(s);
}

Test(spill, goes_on_when_its_directory_disappears_and_comes_back)
{
	struct spill *s = spill_new(MIB);
	char path[600], aside[300];

	for (uint32_t n = 0; n < 3; n++)
		cr_assert_eq(put(s, n, 100), 0);
	empty_directory(spill_dir);
	cr_assert_eq(put(s, 3, 100), 0, "the file alone");
	cr_assert_eq(files(path), 1);
	spill_tear_down();
	cr_assert_eq(put(s, 4, 100), 0, "and the directory");
	cr_assert_eq(files(path), 1);
	snprintf(aside, sizeof(aside), "%s-aside", spill_dir);
	cr_assert_eq(rename(spill_dir, aside), 0);
	cr_assert_eq(put(s, 5, 100), 0, "moved away");
	for (uint32_t n = 0; n < 6; n++)
		cr_assert_eq(take(s), n);
	cr_assert_eq(spill_dropped_items(s), 0);
	spill_close(s);
	empty_directory(aside);
	rmdir(aside);
}

Test(spill, counts_and_tries_again_when_the_directory_cannot_be_made)
{
	struct spill *s = spill_new(MIB);
	int fd;

	rmdir(spill_dir);
	fd = open(spill_dir, O_CREAT | O_WRONLY, 0600); /* a file is in its place */
	cr_assert_eq(put(s, 1, 100), -ENOTDIR);
	cr_assert_eq(spill_dropped_items(s), items_of(1));
	unlink(spill_dir);
	cr_assert_eq(put(s, 2, 100), 0);
	cr_assert_eq(take(s), 2);
	close(fd);
	spill_close(s);
}

/* Puts until it is refused, makes room by taking, and puts again. */
static void fill_and_drain(struct spill *s, int refused)
{
	uint32_t n = 0, first = 0;
	int err = 0;

	for (int round = 0; round < 5; round++) {
		uint64_t dropped = spill_dropped_items(s);

		for (; !err && n < 10000; n++)
			err = put(s, n, 3000 + n * 37 % 5000);
		cr_assert_eq(err, refused, "%d", err);
		cr_assert_eq(spill_dropped_items(s), dropped + items_of(n - 1));
		while (first < n - 1)
			cr_assert_eq(take(s), first++);
		cr_assert_eq(take(s), -1, "nothing of what was refused");
		first = n;
		err = 0;
	}
}

Test(spill, counts_and_tries_again_when_the_disk_is_full)
{
	struct spill *s;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", spill_dir, "tmpfs", 0, "size=256k") < 0) {
		fprintf(stderr, "NOT TESTED: a full disk wants CAP_SYS_ADMIN: %s\n",
			strerror(errno));
		cr_skip_test("a small tmpfs cannot be mounted");
	}
	s = spill_new(64ull * MIB);
	fill_and_drain(s, -ENOSPC);
	/* what was there before is whole, and stays so over a restart */
	for (uint32_t n = 0; put(s, n, 5000) == 0; n++)
		;
	spill_close(s);
	s = spill_new(64ull * MIB);
	for (uint32_t n = 0; n < 40; n++)
		cr_assert_eq(take(s), n);
	cr_assert_eq(spill_dropped_items(s), 0, "nothing torn was left");
	spill_close(s);
	cr_assert_eq(umount2(spill_dir, MNT_DETACH), 0);
}

/* SIGXFSZ keeps its default: it must not end us. */
Test(spill, counts_and_tries_again_when_files_may_not_grow)
{
	struct rlimit small = { 100003, 100003 };
	struct spill *s = spill_new(512ull * MIB);

	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	fill_and_drain(s, -EFBIG);
	spill_close(s);
	s = spill_new(MIB);
	cr_assert_eq(put(s, 0, 101), 0);
	small.rlim_cur = spill_record_size(101) - 1; /* within the gap between two records */
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	cr_assert_eq(put(s, 1, 100), -EFBIG);
	cr_assert_eq(take(s), 0);
	spill_close(s);
}
