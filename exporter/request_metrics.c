/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of the table:
 *
 * - A series is filled by one thread before anybody can find it, then its number goes into a free
 *   slot by compare-and-swap. So a slot is empty or names a whole series, no kind of request ever
 *   has two, and a writer that dies in between costs one series of the 256.
 * - From then on the key never changes and the numbers only rise.
 * - A writer stays in the table whatever stands there; a reader believes nothing. */
#include "exporter/request_metrics.h"

#include "base/hash.h"

#define SLOT_BITS  9
#define SLOTS      (1u << SLOT_BITS) /* never more than half full */
#define PROBES     32u
#define NUMBER_MAX 0xffffu /* of a slot: number + 1; the rest of it is the hash */
#define NS_PER_MS  1000000ull

struct series {
	uint64_t head;    /* the numbers of the key */
	uint64_t lengths; /* of the texts, a byte each */
	_Atomic uint64_t sum_ns;
	_Atomic uint64_t buckets[REQUEST_BUCKETS];
	char text[REQUEST_SERIES_TEXT];
};

struct request_metrics {
	_Atomic uint32_t used __attribute__((aligned(64))); /* series given out */
	_Atomic uint64_t slots[SLOTS] __attribute__((aligned(64)));
	struct series series[REQUEST_SERIES_ALL];
};

struct request_metrics *_Atomic request_metrics_now;

const uint64_t request_bounds_ns[REQUEST_BOUNDS] = {
	5 * NS_PER_MS,    10 * NS_PER_MS,   25 * NS_PER_MS,   50 * NS_PER_MS,    75 * NS_PER_MS,
	100 * NS_PER_MS,  250 * NS_PER_MS,  500 * NS_PER_MS,  750 * NS_PER_MS,   1000 * NS_PER_MS,
	2500 * NS_PER_MS, 5000 * NS_PER_MS, 7500 * NS_PER_MS, 10000 * NS_PER_MS,
};

size_t request_metrics_size(void)
{
	return sizeof(struct request_metrics);
}

/* ---- keys ---- */

/* A key as a series has it. */
struct packed {
	uint64_t head, lengths, hash;
};

/* False: too long for a series. */
static bool pack(struct packed *p, const struct request_key *key)
{
	size_t all = 0;

	p->head = (uint64_t)key->rpc << 49 | (uint64_t)key->client << 48 |
		  (uint64_t)key->version << 40 | (uint64_t)key->status << 16 | key->port;
	p->lengths = 0;
	for (unsigned i = 0; i < REQUEST_TEXTS; i++) {
		if (key->text[i].n > UINT8_MAX)
			return false;
		all += key->text[i].n;
		p->lengths |= (uint64_t)key->text[i].n << 8 * i;
	}
	if (all > REQUEST_SERIES_TEXT)
		return false;
	p->hash = hash_mix(p->head, p->lengths);
	for (unsigned i = 0; i < REQUEST_TEXTS; i++)
		if (key->text[i].n)
			p->hash = hash_bytes(p->hash, key->text[i]);
	return true;
}

static size_t length_at(uint64_t lengths, unsigned i)
{
	return lengths >> 8 * i & 0xff;
}

/* The lengths are those of the key, which fit. */
static bool series_is(const struct series *s, const struct packed *p, const struct request_key *key)
{
	const char *at = s->text;

	if (s->head != p->head || s->lengths != p->lengths)
		return false;
	for (unsigned i = 0; i < REQUEST_TEXTS; at += key->text[i++].n)
		if (key->text[i].n && memcmp(at, key->text[i].p, key->text[i].n) != 0)
			return false;
	return true;
}

static void series_fill(struct series *s, const struct packed *p, const struct request_key *key)
{
	char *to = s->text;

	s->head = p->head;
	s->lengths = p->lengths;
	for (unsigned i = 0; i < REQUEST_TEXTS; to += key->text[i++].n)
		if (key->text[i].n)
			memcpy(to, key->text[i].p, key->text[i].n);
}

/* ---- writing ---- */

static _Atomic uint64_t *slot_at(struct request_metrics *m, const struct packed *p, uint32_t probe)
{
	/* By the uppermost bits, the only ones that depend on the ends of all texts. */
	return &m->slots[((p->hash >> (64 - SLOT_BITS)) + probe) % SLOTS];
}

static uint64_t slot_of(const struct packed *p, uint32_t number)
{
	return (p->hash & ~(uint64_t)NUMBER_MAX) | (number + 1);
}

/* The number in a slot, at most REQUEST_SERIES_MAX, which names no series of a key. */
static uint32_t slot_number(uint64_t slot)
{
	uint32_t number = (uint32_t)(slot & NUMBER_MAX) - 1;

	return number < REQUEST_SERIES_MAX ? number : REQUEST_SERIES_MAX;
}

static uint32_t series_take(struct request_metrics *m)
{
	uint32_t n = atomic_load_explicit(&m->used, memory_order_relaxed);

	do
		if (n >= REQUEST_SERIES_MAX)
			return REQUEST_SERIES_MAX;
	while (!atomic_compare_exchange_weak_explicit(&m->used, &n, n + 1, memory_order_relaxed,
						      memory_order_relaxed));
	return n;
}

/* Another thread was faster. Unless a third one has taken the next, nothing is lost. */
static void series_give_back(struct request_metrics *m, uint32_t number)
{
	uint32_t after = number + 1;

	if (number < REQUEST_SERIES_MAX)
		atomic_compare_exchange_strong_explicit(&m->used, &after, number,
							memory_order_relaxed, memory_order_relaxed);
}

/* The series of a key that was in none of its slots before `probe`, which was empty; made, if there
 * is room. */
static struct series *series_make(struct request_metrics *m, const struct packed *p,
				  const struct request_key *key, uint32_t probe)
{
	uint32_t mine = series_take(m);

	if (mine == REQUEST_SERIES_MAX)
		return NULL;
	series_fill(&m->series[mine], p, key);
	for (; probe < PROBES; probe++) {
		_Atomic uint64_t *slot = slot_at(m, p, probe);
		uint64_t seen = 0;

		if (atomic_compare_exchange_strong_explicit(slot, &seen, slot_of(p, mine),
							    memory_order_acq_rel,
							    memory_order_acquire))
			return &m->series[mine];
		if (seen >> 16 != p->hash >> 16 || slot_number(seen) == REQUEST_SERIES_MAX ||
		    !series_is(&m->series[slot_number(seen)], p, key))
			continue;
		series_give_back(m, mine);
		return &m->series[slot_number(seen)];
	}
	series_give_back(m, mine);
	return NULL;
}

static struct series *series_find(struct request_metrics *m, const struct request_key *key)
{
	struct packed p;

	if (!pack(&p, key))
		return NULL;
	for (uint32_t i = 0; i < PROBES; i++) {
		uint64_t seen = atomic_load_explicit(slot_at(m, &p, i), memory_order_acquire);
		uint32_t number;

		if (!seen)
			return series_make(m, &p, key, i);
		if (seen >> 16 != p.hash >> 16)
			continue;
		number = slot_number(seen);
		if (number < REQUEST_SERIES_MAX && series_is(&m->series[number], &p, key))
			return &m->series[number];
	}
	return NULL;
}

void request_metrics_add(struct request_metrics *m, const struct request_key *key,
			 uint64_t duration_ns)
{
	struct series *s = series_find(m, key);
	unsigned bucket = 0;

	if (!s)
		s = &m->series[REQUEST_SERIES_MAX + request_histogram(key)];
	while (bucket < REQUEST_BOUNDS && duration_ns > request_bounds_ns[bucket])
		bucket++;
	atomic_fetch_add_explicit(&s->sum_ns, duration_ns, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->buckets[bucket], 1, memory_order_relaxed);
}

/* ---- reading ---- */

/* The bytes are copied first: what is looked at does not change any more. */
static bool view_key(struct request_view *v, const struct series *s, char text[REQUEST_SERIES_TEXT])
{
	uint64_t head = s->head, lengths = s->lengths;
	size_t at = 0;

	memcpy(text, s->text, REQUEST_SERIES_TEXT);
	v->key = (struct request_key){ .client = head >> 48 & 1,
				       .rpc = head >> 49 & 1,
				       .version = (uint8_t)(head >> 40),
				       .status = (uint16_t)(head >> 16),
				       .port = (uint16_t)head };
	for (unsigned i = 0; i < REQUEST_TEXTS; i++) {
		size_t n = length_at(lengths, i);

		if (n > REQUEST_SERIES_TEXT - at)
			return false;
		v->key.text[i] = (struct bytes){ text + at, n };
		at += n;
	}
	return true;
}

/* The count is that of the buckets, so the two never differ; requests that come meanwhile may be in
 * the sum and not yet in them. */
static bool view_numbers(struct request_view *v, const struct series *s)
{
	v->count = 0;
	for (unsigned i = 0; i < REQUEST_BUCKETS; i++) {
		v->buckets[i] = atomic_load_explicit(&s->buckets[i], memory_order_relaxed);
		v->count += v->buckets[i];
	}
	v->sum_ns = atomic_load_explicit(&s->sum_ns, memory_order_relaxed);
	return v->count != 0;
}

bool request_metrics_each(const struct request_metrics *m,
			  bool (*fn)(void *arg, const struct request_view *view), void *arg)
{
	uint64_t seen[REQUEST_SERIES_MAX / 64] = { 0 };
	char text[REQUEST_SERIES_TEXT];

	for (uint32_t i = 0; i < SLOTS; i++) {
		uint64_t slot = atomic_load_explicit(&m->slots[i], memory_order_acquire);
		uint32_t n = slot_number(slot);
		struct request_view v = { .number = n };

		if (!slot || n == REQUEST_SERIES_MAX || seen[n / 64] & 1ull << n % 64)
			continue;
		seen[n / 64] |= 1ull << n % 64;
		if (view_numbers(&v, &m->series[n]) && view_key(&v, &m->series[n], text) &&
		    !fn(arg, &v))
			return false;
	}
	for (unsigned i = 0; i < REQUEST_HISTOGRAMS; i++) {
		struct request_view v = { .number = REQUEST_SERIES_MAX + i, .overflow = true };

		v.key.client = i & 1;
		v.key.rpc = i >> 1;
		if (view_numbers(&v, &m->series[v.number]) && !fn(arg, &v))
			return false;
	}
	return true;
}
