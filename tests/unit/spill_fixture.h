/* SPDX-License-Identifier: Apache-2.0 */
/* A directory for one test, and batches that tell by themselves whether they are whole. */
#ifndef TESTS_UNIT_SPILL_FIXTURE_H
#define TESTS_UNIT_SPILL_FIXTURE_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "launcher/spill.h"

#define MIB       1048576u
#define BATCH_MIN 12u
#define BATCH_MAX 65536u

static char spill_dir[256];

/* Removes what is in the directory, one level. */
static inline void empty_directory(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (unlinkat(dirfd(d), e->d_name, 0) < 0 && errno == EISDIR)
			unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	if (d)
		closedir(d);
}

static inline void spill_set_up(void)
{
	snprintf(spill_dir, sizeof(spill_dir), "/tmp/tagalong-spill-XXXXXX");
	cr_assert_not_null(mkdtemp(spill_dir));
}

static inline void spill_tear_down(void)
{
	empty_directory(spill_dir);
	rmdir(spill_dir);
}

static inline struct spill *spill_new(uint64_t max_bytes)
{
	struct spill *s;

	cr_assert_eq(spill_open(&s, spill_dir, max_bytes), 0);
	return s;
}

static inline uint32_t items_of(uint32_t n)
{
	return n % 7 + 1;
}

static inline char pattern(uint32_t n, uint32_t i)
{
	return (char)(n * 31 + i * 7 + (i >> 8));
}

/* The n-th batch, of `size` bytes. */
static inline struct payload batch(uint32_t n, uint32_t size)
{
	static char body[BATCH_MAX];
	uint32_t head[3] = { n, size, 0x5a5a5a5a };

	for (uint32_t i = sizeof(head); i < size; i++)
		body[i] = pattern(n, i);
	memcpy(body, head, sizeof(head));
	return (struct payload){ n % 2 ? OTLP_METRICS : OTLP_TRACES,
				 n % 3 ? OTLP_PROTOBUF : OTLP_JSON,
				 items_of(n),
				 { body, size } };
}

static inline int put(struct spill *s, uint32_t n, uint32_t size)
{
	struct payload p = batch(n, size);

	return spill_put(s, &p);
}

/* Which batch it is; dies when a bit of it is wrong. */
static inline uint32_t number_of(const struct payload *p)
{
	uint32_t head[3];

	cr_assert_geq(p->body.n, sizeof(head));
	memcpy(head, p->body.p, sizeof(head));
	cr_assert_eq(head[1], p->body.n);
	cr_assert_eq(head[2], 0x5a5a5a5a);
	for (uint32_t i = sizeof(head); i < head[1]; i++)
		if (p->body.p[i] != pattern(head[0], i))
			cr_assert_fail("a wrong body");
	cr_assert_eq(p->items, items_of(head[0]));
	cr_assert_eq(p->signal, head[0] % 2 ? OTLP_METRICS : OTLP_TRACES);
	cr_assert_eq(p->encoding, head[0] % 3 ? OTLP_PROTOBUF : OTLP_JSON);
	return head[0];
}

/* The number of the oldest, -1 when there is none. */
static inline long oldest(struct spill *s)
{
	struct payload p;

	return spill_oldest(s, &p) ? (long)number_of(&p) : -1;
}

static inline long take(struct spill *s)
{
	long n = oldest(s);

	spill_pop(s);
	return n;
}

/* How many files the directory has; the path of one of them. */
static inline unsigned files(char path[static 600])
{
	DIR *d = opendir(spill_dir);
	struct dirent *e;
	unsigned n = 0;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.') {
			snprintf(path, 600, "%s/%s", spill_dir, e->d_name);
			n++;
		}
	if (d)
		closedir(d);
	return n;
}

#endif
