/* SPDX-License-Identifier: Apache-2.0 */
/* Rings with records that can be told apart and checked for damage. */
#ifndef UNIT_RING_FIXTURE_H
#define UNIT_RING_FIXTURE_H

#include <criterion/criterion.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "exporter/ring.h"
#include "record_fixture.h"

static inline struct ring *ring_new(uint32_t max_queue)
{
	struct ring *r = mmap(NULL, ring_size(max_queue), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert(r != MAP_FAILED);
	ring_format(r, max_queue);
	return r;
}

static inline uint32_t own_tid(void)
{
	return (uint32_t)syscall(SYS_gettid);
}

/* Record number n of a producer: its size, its path and its ids follow from both. */
static inline void write_record(struct record *r, uint8_t producer, uint32_t n)
{
	static const char text[2048] = { [0 ... 2047] = 'p' };

	memcpy(r->head->trace_id, &n, 4);
	r->head->trace_id[4] = producer;
	r->head->trace_id[15] = 1;
	r->head->span_id[0] = 1;
	r->head->kind = SPAN_SERVER;
	r->head->start_ns = n;
	record_put_int(r, ATTRIBUTE_SERVER_PORT, (int64_t)n * 3);
	record_put(r, ATTRIBUTE_URL_PATH,
		   (struct bytes){ text, n % 97 == 0 ? 2048 : (n * 13 + producer) % 300 });
	record_put_int(r, ATTRIBUTE_CLIENT_PORT, (int64_t)n * 5);
}

static inline bool is_intact(const struct record_head *head)
{
	struct record_field_view f;
	uint8_t producer = head->trace_id[4];
	size_t pos = 0;
	uint32_t n;

	memcpy(&n, head->trace_id, 4);
	return head->start_ns == n && record_next(head, &pos, &f) &&
	       record_int(&f) == (int64_t)n * 3 && record_next(head, &pos, &f) &&
	       f.value.n == (n % 97 == 0 ? 2048 : (n * 13 + producer) % 300) &&
	       (f.value.n == 0 || (f.value.p[0] == 'p' && f.value.p[f.value.n - 1] == 'p')) &&
	       record_next(head, &pos, &f) && record_int(&f) == (int64_t)n * 5 &&
	       !record_next(head, &pos, &f);
}

static inline bool put_one(struct ring *r, uint8_t producer, uint32_t n)
{
	static _Thread_local uint8_t hint;
	struct ring_writer w;

	if (ring_begin(&w, r, &hint, own_tid()) != 0)
		return false;
	write_record(&w.record, producer, n);
	ring_commit(&w);
	return true;
}

struct reader {
	uint32_t seen, broken, max;
	uint32_t next[16]; /* of each producer: records come in order within a shard only */
	uint8_t *had[16];
	uint32_t twice;
};

static inline bool read_one(void *arg, const struct record_head *head)
{
	struct reader *reader = arg;
	uint32_t n;

	if (reader->max && reader->seen == reader->max)
		return false;
	reader->seen++;
	if (!is_intact(head)) {
		reader->broken++;
		return true;
	}
	memcpy(&n, head->trace_id, 4);
	if (head->trace_id[4] < 16 && reader->had[head->trace_id[4]])
		reader->twice += reader->had[head->trace_id[4]][n]++;
	return true;
}

static inline uint32_t take_all(struct ring *r)
{
	struct reader reader = { 0 };
	uint32_t n = ring_take(r, read_one, &reader);

	cr_assert_eq(reader.broken, 0);
	cr_assert_eq(reader.seen, n);
	ring_release(r);
	return n;
}

#endif
