/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "exporter/request_metrics.h"
#include "guard.h"

#define MS 1000000ull

static struct request_metrics *fresh(void)
{
	void *m = aligned_alloc(64, request_metrics_size());

	return memset(m, 0, request_metrics_size());
}

static struct request_key get(const char *route)
{
	return (struct request_key){ .version = 11,
				     .status = 200,
				     .text = { BYTES("GET"), BYTES("http"), bytes_of(route) } };
}

static void add(struct request_metrics *m, const char *route, uint64_t ns)
{
	struct request_key key = get(route);

	request_metrics_add(m, &key, ns);
}

struct found {
	unsigned series, overflow;
	uint64_t count, sum_ns, buckets[REQUEST_BUCKETS];
	struct request_view last;
	char text[REQUEST_SERIES_TEXT + 1];
	bool twice[REQUEST_SERIES_ALL], stop;
};

static bool note(void *arg, const struct request_view *v)
{
	struct found *f = arg;
	size_t at = 0;

	f->series++;
	f->overflow += v->overflow;
	f->count += v->count;
	f->sum_ns += v->sum_ns;
	for (unsigned i = 0; i < REQUEST_BUCKETS; i++)
		f->buckets[i] += v->buckets[i];
	cr_assert_lt(v->number, REQUEST_SERIES_ALL);
	cr_assert_not(f->twice[v->number]);
	f->twice[v->number] = true;
	f->last = *v;
	for (unsigned i = 0; i < REQUEST_TEXTS; i++) {
		if (v->key.text[i].n)
			memcpy(f->text + at, v->key.text[i].p, v->key.text[i].n);
		at += v->key.text[i].n;
	}
	f->text[at] = 0;
	return !f->stop;
}

static struct found look(const struct request_metrics *m)
{
	struct found f = { .series = 0 };

	cr_assert(request_metrics_each(m, note, &f));
	return f;
}

Test(request_metrics, start_empty)
{
	struct request_metrics *m = fresh();

	cr_expect_eq(look(m).series, 0);
	cr_expect_null(request_metrics_wanted());
	free(m);
}

Test(request_metrics, keep_all_that_tells_requests_apart)
{
	struct request_metrics *m = fresh();
	struct request_key key = { .client = true,
				   .version = 10,
				   .status = 404,
				   .port = 65535,
				   .text = { BYTES("POST"), BYTES("https"), BYTES("/a/{id}"),
					     BYTES("404"), BYTES("api.example") } };
	struct found f;

	request_metrics_add(m, &key, 30 * MS);
	request_metrics_add(m, &key, 31 * MS);
	f = look(m);
	cr_expect_eq(f.series, 1);
	cr_expect(f.last.key.client);
	cr_expect_eq(f.last.key.version, 10);
	cr_expect_eq(f.last.key.status, 404);
	cr_expect_eq(f.last.key.port, 65535);
	cr_expect_str_eq(f.text, "POSThttps/a/{id}404api.example");
	cr_expect_eq(f.last.key.text[REQUEST_ADDRESS].n, 11);
	cr_expect_eq(f.count, 2);
	cr_expect_eq(f.sum_ns, 61 * MS);
	cr_expect_eq(f.last.buckets[3], 2);
	free(m);
}

/* Each part of the key alone makes another series, also when only the border between two moves. */
Test(request_metrics, tell_apart_by_every_part)
{
	const struct request_key keys[] = {
		{ .version = 11 },
		{ .version = 10 },
		{ .version = 11, .client = true },
		{ .version = 11, .status = 200 },
		{ .version = 11, .port = 200 },
		{ .version = 11, .text = { BYTES("ab"), BYTES("c") } },
		{ .version = 11, .text = { BYTES("a"), BYTES("bc") } },
		{ .version = 11, .text = { BYTES("a"), BYTES(""), BYTES("bc") } },
		{ .version = 11, .text = { BYTES("a"), BYTES(""), BYTES(""), BYTES("bc") } },
		{ .version = 11, .text = { [REQUEST_ADDRESS] = BYTES("abcdefgh") } },
		{ .version = 11, .text = { [REQUEST_ADDRESS] = BYTES("abcdefgi") } },
		{ .version = 11, .text = { [REQUEST_ADDRESS] = BYTES("abcdefghabcdefghi") } },
		{ .version = 11, .text = { [REQUEST_ADDRESS] = BYTES("xbcdefghabcdefghi") } },
	};
	struct request_metrics *m = fresh();

	for (unsigned round = 0; round < 3; round++)
		for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
			request_metrics_add(m, &keys[i], 1);
	cr_expect_eq(look(m).series, sizeof(keys) / sizeof(*keys));
	cr_expect_eq(look(m).count, 3 * sizeof(keys) / sizeof(*keys));
	free(m);
}

/* The bounds are those of the semantic conventions, each in the bucket below it. */
Test(request_metrics, put_a_bound_into_its_bucket)
{
	const double bounds[REQUEST_BOUNDS] = { 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25,
						0.5,   0.75, 1,     2.5,  5,     7.5, 10 };
	struct request_metrics *m = fresh();
	struct found f;

	for (unsigned i = 0; i < REQUEST_BOUNDS; i++) {
		cr_expect_eq(request_bounds_ns[i], (uint64_t)(bounds[i] * 1e9 + 0.5));
		add(m, "", request_bounds_ns[i]);
		add(m, "", request_bounds_ns[i] + 1);
	}
	add(m, "", 0);
	f = look(m);
	for (unsigned i = 0; i < REQUEST_BUCKETS; i++)
		cr_expect_eq(f.buckets[i], i < REQUEST_BOUNDS ? 2 : 1, "bucket %u: %llu", i,
			     (unsigned long long)f.buckets[i]);
	free(m);
}

Test(request_metrics, count_what_finds_no_room_in_one_series_a_side)
{
	struct request_metrics *m = fresh();
	struct found f;
	char route[32];

	for (unsigned i = 0; i < 1000; i++) {
		struct request_key key;

		snprintf(route, sizeof(route), "/r/%u", i);
		key = get(route);
		request_metrics_add(m, &key, MS);
		key.client = true;
		request_metrics_add(m, &key, MS);
	}
	f = look(m);
	cr_expect_eq(f.overflow, 2);
	cr_expect_leq(f.series, REQUEST_SERIES_ALL);
	cr_expect_geq(f.series, REQUEST_SERIES_ALL - 8, "%u", f.series);
	cr_expect_eq(f.count, 2000);
	cr_expect_eq(f.sum_ns, 2000 * MS);
	/* The first ones keep theirs. */
	add(m, "/r/0", MS);
	cr_expect_eq(look(m).last.count, f.last.count);
	free(m);
}

/* Routes of one program differ in their ends: "/r/17", "/r/18". */
Test(request_metrics, have_room_for_as_many_kinds_as_they_say)
{
	static const char *const routes[] = { "/r/%u", "/api/v1/resource%03u", "shop.v1.Cart/Get%u",
					      "%u" };
	char route[32];

	for (unsigned way = 0; way < 4; way++) {
		struct request_metrics *m = fresh();

		for (unsigned i = 0; i < REQUEST_SERIES_MAX; i++) {
			snprintf(route, sizeof(route), routes[way], i);
			add(m, route, MS);
		}
		cr_expect_eq(look(m).overflow, 0, "%s", routes[way]);
		cr_expect_eq(look(m).series, REQUEST_SERIES_MAX, "%s", routes[way]);
		free(m);
	}
}

Test(request_metrics, count_too_long_texts_in_that_series_too)
{
	static char text[300];
	struct request_metrics *m = fresh();
	struct request_key key = get("");
	struct found f;

	memset(text, 'a', sizeof(text));
	key.text[REQUEST_ROUTE] = (struct bytes){ text, 256 };
	request_metrics_add(m, &key, 1);
	key.text[REQUEST_ROUTE].n = 255;
	key.text[REQUEST_ADDRESS] = (struct bytes){ text, 255 };
	request_metrics_add(m, &key, 1);
	f = look(m);
	cr_expect_eq(f.series, 1);
	cr_expect(f.last.overflow);
	cr_expect_eq(f.count, 2);
	key.text[REQUEST_ADDRESS].n = REQUEST_SERIES_TEXT - 255 - 7; /* "GET" "http": just fits */
	request_metrics_add(m, &key, 1);
	cr_expect_eq(look(m).series, 2);
	free(m);
}

Test(request_metrics, keep_calls_apart_from_requests)
{
	struct request_metrics *m = fresh();
	char name[REQUEST_SERIES_TEXT + 2];
	struct found f;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	for (unsigned i = 0; i < REQUEST_HISTOGRAMS; i++) {
		struct request_key key = { .client = i & 1,
					   .rpc = i & 2,
					   .text = { BYTES("a.B/C") } };

		cr_expect_eq(request_histogram(&key), i);
		request_metrics_add(m, &key, MS);
		f = look(m);
		cr_expect_eq(f.series, i + 1);
		cr_expect_eq(f.last.key.rpc, i >= 2);
		cr_expect_eq(f.last.key.client, i & 1);
	}
	for (unsigned i = 0; i < REQUEST_HISTOGRAMS; i++) {
		struct request_key key = { .client = i & 1,
					   .rpc = i & 2,
					   .text = { bytes_of(name) } };

		request_metrics_add(m, &key, MS);
		f = look(m);
		cr_expect_eq(f.overflow, i + 1);
		cr_expect_eq(f.last.key.rpc, i >= 2);
		cr_expect_eq(f.last.key.client, i & 1);
	}
	free(m);
}

Test(request_metrics, end_the_walk_when_told_to)
{
	struct request_metrics *m = fresh();
	struct found f = { .stop = true };

	add(m, "/a", 1);
	add(m, "/b", 1);
	cr_expect_not(request_metrics_each(m, note, &f));
	cr_expect_eq(f.series, 1);
	free(m);
}

/* ---- threads ---- */

#define THREADS 4
#define ROUNDS  400
#define ROUTES  300 /* more than there is room for */

static _Atomic bool done;

static void *write_all(void *arg)
{
	for (unsigned i = 0; i < ROUNDS * ROUTES / 10; i++) {
		char route[32];

		snprintf(route, sizeof(route), "/r/%u", i * 7 % ROUTES);
		add(arg, route, i % 20 * MS);
	}
	return NULL;
}

static void *read_all(void *arg)
{
	uint64_t before = 0;

	while (!done) {
		struct found f = look(arg);

		cr_assert_geq(f.count, before);
		before = f.count;
	}
	return NULL;
}

Test(request_metrics, lose_nothing_between_threads)
{
	struct request_metrics *m = fresh();
	pthread_t writers[THREADS], reader;

	pthread_create(&reader, NULL, read_all, m);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&writers[i], NULL, write_all, m);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(writers[i], NULL);
	done = true;
	pthread_join(reader, NULL);
	cr_expect_eq(look(m).count, THREADS * ROUNDS * ROUTES / 10);
	free(m);
}

/* ---- what others may have written ---- */

static bool touch(void *arg, const struct request_view *v)
{
	uint64_t *sum = arg;

	cr_assert_lt(v->number, REQUEST_SERIES_ALL);
	for (unsigned i = 0; i < REQUEST_TEXTS; i++)
		for (size_t j = 0; j < v->key.text[i].n; j++)
			*sum += (uint8_t)v->key.text[i].p[j];
	return true;
}

/* The table ends at a page that must not be touched. */
Test(request_metrics, survive_any_bytes)
{
	size_t size = request_metrics_size();
	char *bytes = malloc(size);
	uint64_t sum = 0;

	srandom(4711);
	for (unsigned round = 0; round < 60; round++) {
		struct bytes b;

		for (size_t i = 0; i < size; i++)
			bytes[i] = (char)(round % 3 == 0   ? random()
					  : round % 3 == 1 ? -1
							   : random() % 3);
		b = guard_copy(bytes, size);
		request_metrics_each((const void *)b.p, touch, &sum);
		for (unsigned i = 0; i < 100; i++)
			add((void *)(uintptr_t)b.p, i % 2 ? "/a" : "", (uint64_t)random());
		request_metrics_each((const void *)b.p, touch, &sum);
		guard_free(b);
	}
	free(bytes);
}
