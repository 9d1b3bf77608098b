/* SPDX-License-Identifier: Apache-2.0 */
/* Segments that are torn or changed, and what only looks like one. */
#include "spill_fixture.h"

#include "launcher/spill_file.h"

TestSuite(spill_damage, .init = spill_set_up, .fini = spill_tear_down);

#define RECORDS 6

struct image {
	char path[600], *bytes;
	size_t n;
	size_t start[RECORDS + 1]; /* of each record */
};

static void load(struct image *im)
{
	int fd = open(im->path, O_RDONLY);
	struct stat st;

	fstat(fd, &st);
	im->n = (size_t)st.st_size;
	im->bytes = malloc(im->n + 1);
	cr_assert_eq(read(fd, im->bytes, im->n), (ssize_t)im->n);
	close(fd);
}

/* One segment with batches 0 to 5. */
static struct image six_records(uint32_t size)
{
	struct spill *s = spill_new(16ull * MIB);
	struct image im = { .start = { 0 } };

	for (uint32_t n = 0; n < RECORDS; n++) {
		cr_assert_eq(put(s, n, size + n), 0);
		im.start[n + 1] = im.start[n] + spill_record_size(size + n);
	}
	spill_close(s);
	cr_assert_eq(files(im.path), 1);
	load(&im);
	return im;
}

static void store(const struct image *im, const char *bytes, size_t n)
{
	int fd = open(im->path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
	close(fd);
}

/* Reads all there is: a mask of the batches, which come in order and whole. */
static unsigned drain(uint64_t *dropped)
{
	struct spill *s = spill_new(16ull * MIB);
	uint64_t items = spill_waiting_items(s), taken = 0;
	unsigned mask = 0;
	long n, before = -1;
	char path[600];

	while ((n = take(s)) >= 0) {
		cr_assert_gt(n, before);
		before = n;
		mask |= 1u << n;
		taken += items_of((uint32_t)n);
	}
	*dropped = spill_dropped_items(s);
	cr_assert_geq(items, taken);
	cr_assert_eq(spill_waiting_items(s), 0);
	cr_assert_eq(spill_bytes(s), 0);
	spill_close(s);
	cr_assert_eq(files(path), 0);
	return mask;
}

static uint64_t items_in(unsigned mask)
{
	uint64_t items = 0;

	for (uint32_t n = 0; n < RECORDS; n++)
		if (mask & 1u << n)
			items += items_of(n);
	return items;
}

Test(spill_damage, costs_the_last_record_when_the_file_is_cut_anywhere)
{
	struct image im = six_records(20);
	uint64_t dropped;

	for (size_t cut = 0; cut <= im.n; cut++) {
		unsigned whole = 0, mask;
		bool torn;

		while (whole < RECORDS &&
		       cut >= im.start[whole] + sizeof(struct spill_head) + 20 + whole)
			whole++;
		torn = cut > im.start[whole];
		store(&im, im.bytes, cut);
		mask = drain(&dropped);
		cr_assert_eq(mask, (1u << whole) - 1, "cut at %zu", cut);
		if (!torn)
			cr_assert_eq(dropped, 0);
		else if (cut < im.start[whole] + sizeof(struct spill_head))
			cr_assert_eq(dropped, 1, "how many there were is not known");
		else
			cr_assert_eq(dropped, items_of(whole));
	}
	free(im.bytes);
}

Test(spill_damage, lets_go_on_behind_a_torn_record)
{
	struct image im = six_records(20);
	struct spill *s;

	store(&im, im.bytes, im.n - 5);
	s = spill_new(MIB);
	cr_assert_eq(put(s, 7, 30), 0);
	spill_close(s);
	s = spill_new(MIB);
	cr_assert_eq(spill_dropped_items(s), 0, "counted once");
	for (uint32_t n = 0; n < 5; n++)
		cr_assert_eq(take(s), n);
	cr_assert_eq(take(s), 7);
	cr_assert_eq(take(s), -1);
	spill_close(s);
	free(im.bytes);
}

Test(spill_damage, costs_the_record_that_holds_a_changed_byte, .timeout = 120)
{
	static const char changes[] = { 1, (char)0x80, (char)0xff };
	struct image im = six_records(20);
	char *copy = malloc(im.n);

	for (size_t at = 0; at < im.n; at++) {
		unsigned touched = 0, all = (1u << RECORDS) - 1;

		while (at >= im.start[touched + 1])
			touched++;
		for (size_t c = 0; c < sizeof(changes); c++) {
			bool padding =
				at >= im.start[touched] + sizeof(struct spill_head) + 20 + touched;
			uint64_t dropped;
			unsigned mask;

			memcpy(copy, im.bytes, im.n);
			copy[at] ^= changes[c];
			store(&im, copy, im.n);
			mask = drain(&dropped);
			cr_assert_eq(mask, padding ? all : all & ~(1u << touched), "byte %zu: %x",
				     at, mask);
			/* nothing behind the last record tells how much it held */
			if (touched < RECORDS - 1)
				cr_assert_eq(dropped, items_in(all & ~mask), "byte %zu", at);
			else
				cr_assert_eq(dropped > 0, mask != all);
		}
	}
	free(copy);
	free(im.bytes);
}

Test(spill_damage, costs_the_records_that_a_stretch_of_zeros_touches)
{
	struct image im = six_records(50);
	char *copy = malloc(im.n);
	unsigned all = (1u << RECORDS) - 1, mask;
	uint64_t dropped;

	for (size_t at = 0; at < im.n; at += 8) {
		size_t n = im.n - at < 100 ? im.n - at : 100;
		unsigned touched = 0;

		for (unsigned r = 0; r < RECORDS; r++)
			if (at < im.start[r] + sizeof(struct spill_head) + 50 + r &&
			    at + n > im.start[r])
				touched |= 1u << r;
		memcpy(copy, im.bytes, im.n);
		memset(copy + at, 0, n);
		store(&im, copy, im.n);
		mask = drain(&dropped);
		cr_assert_eq(mask, all & ~touched, "at %zu: %x, not %x", at, mask, touched);
		cr_assert_geq(dropped, touched ? 1 : 0);
	}
	free(copy);
	free(im.bytes);
}

/* The search goes by blocks: the next head lies on each side of a border, and across it. */
Test(spill_damage, finds_the_next_head_wherever_it_lies)
{
	for (uint32_t size = 16384 - 120; size <= 16384 + 40; size += 8) {
		struct image im = six_records(size);
		uint64_t dropped;

		memset(im.bytes + im.start[1], 0, sizeof(struct spill_head));
		memset(im.bytes + im.start[3], 0, sizeof(struct spill_head));
		store(&im, im.bytes, im.n);
		cr_assert_eq(drain(&dropped), 0x35, "size %u", size);
		cr_assert_eq(dropped, items_of(1) + items_of(3));
		free(im.bytes);
	}
}

Test(spill_damage, takes_nothing_in_a_body_for_a_record)
{
	struct image im = six_records(50);
	struct payload p = { OTLP_TRACES, OTLP_PROTOBUF, 3, { im.bytes, im.n } };
	struct image outer = { .bytes = NULL };
	struct spill *s;
	uint64_t dropped;

	unlink(im.path);
	s = spill_new(MIB);
	cr_assert_eq(spill_put(s, &p), 0);
	cr_assert_eq(put(s, 4, 100), 0);
	spill_close(s);
	cr_assert_eq(files(outer.path), 1);
	load(&outer);
	outer.bytes[20] ^= 1; /* in the first head */
	store(&outer, outer.bytes, outer.n);
	cr_assert_eq(drain(&dropped), 1u << 4);
	cr_assert_eq(dropped, 3);
	free(outer.bytes);
	free(im.bytes);
}

Test(spill_damage, takes_no_record_of_another_segment)
{
	struct image im = six_records(50);
	char *nonce = strrchr(im.path, '-') + 1;
	uint64_t dropped;

	unlink(im.path);
	*nonce = *nonce == '0' ? '1' : '0';
	store(&im, im.bytes, im.n);
	cr_assert_eq(drain(&dropped), 0);
	cr_assert_gt(dropped, 0);
	free(im.bytes);
}

Test(spill_damage, is_borne_while_the_segment_is_in_use)
{
	struct spill *s = spill_new(MIB);
	char path[600];
	int fd;

	for (uint32_t n = 0; n < 4; n++)
		put(s, n, 1000);
	cr_assert_eq(files(path), 1);
	cr_assert_eq(take(s), 0);
	fd = open(path, O_RDWR);
	cr_assert_eq(pwrite(fd, "damage", 6, (off_t)spill_record_size(1000) + 500), 6);
	cr_assert_eq(take(s), 2);
	cr_assert_eq(spill_dropped_items(s), items_of(1));
	cr_assert_eq(ftruncate(fd, 10), 0);
	cr_assert_eq(take(s), -1);
	cr_assert_eq(spill_dropped_items(s), items_of(1) + items_of(3));
	cr_assert_eq(spill_waiting_items(s), 0);
	cr_assert_eq(put(s, 9, 100), 0);
	cr_assert_eq(take(s), 9);
	close(fd);
	spill_close(s);
}

/* ---- what only looks like a segment of ours ---- */

/* Opens the directory and finds nothing in it; `path` is still there. */
static void expect_left_alone(const char *path)
{
	struct spill *s = spill_new(MIB);
	struct stat st;

	cr_assert_eq(spill_waiting_items(s), 0);
	cr_assert_eq(oldest(s), -1);
	cr_assert_eq(spill_dropped_items(s), 0);
	spill_close(s);
	cr_assert_eq(lstat(path, &st), 0, "%s is gone", path);
}

Test(spill_damage, leaves_other_versions_and_other_files_alone)
{
	struct image im = six_records(50);
	static const char *const others[] = { "x", "2", " ", "" };
	char name[700];
	uint64_t dropped;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		snprintf(name, sizeof(name), "%.*s%s", (int)strlen(im.path) - 1, im.path,
			 others[i]);
		rename(im.path, name);
		expect_left_alone(name);
		rename(name, im.path);
	}
	cr_assert_eq(drain(&dropped), 0x3f);
	free(im.bytes);
}

Test(spill_damage, follows_no_links_and_opens_only_plain_files_of_its_user)
{
	struct image im = six_records(50);
	char other[300];
	uint64_t dropped;

	snprintf(other, sizeof(other), "%s/other", spill_dir);
	cr_assert_eq(link(im.path, other), 0);
	expect_left_alone(im.path);
	unlink(im.path);
	cr_assert_eq(symlink(other, im.path), 0);
	expect_left_alone(im.path);
	unlink(im.path);
	cr_assert_eq(mkfifo(im.path, 0600), 0);
	expect_left_alone(im.path);
	unlink(im.path);
	cr_assert_eq(mkdir(im.path, 0700), 0);
	expect_left_alone(im.path);
	rmdir(im.path);
	cr_assert_eq(rename(other, im.path), 0);
	if (geteuid() == 0) {
		cr_assert_eq(chown(im.path, 65534, 65534), 0);
		expect_left_alone(im.path);
		cr_assert_eq(chown(im.path, 0, 0), 0);
	}
	cr_assert_eq(drain(&dropped), 0x3f);
	free(im.bytes);
}

Test(spill_damage, bears_the_highest_sequence_number_there_is)
{
	struct image im = six_records(50);
	char name[700];
	struct spill *s;

	snprintf(name, sizeof(name), "%s/ffffffffffffffff%s", spill_dir,
		 im.path + strlen(spill_dir) + 17);
	rename(im.path, name);
	s = spill_new(4 * 64 * 100);
	for (uint32_t n = 0; n < 20; n++)
		cr_assert_eq(put(s, n, 500), 0);
	for (uint32_t n = 0; n < 6; n++)
		cr_assert_eq(take(s), n);
	for (uint32_t n = 0; n < 20; n++)
		cr_assert_eq(take(s), n);
	spill_close(s);
	free(im.bytes);
}
