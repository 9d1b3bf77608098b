/* SPDX-License-Identifier: Apache-2.0 */
/* Span ids are the positions 0, 1, 2, ... of a 63-bit circle, with the kind as bit 63, put through
 * a keyed permutation. A process starts at a random position and remembers how far it got, so
 * "is this ours?" is: turn it back, look whether the position lies in our stretch of the circle.
 * A child starts somewhere else under the same key and remembers its parents' stretches as they
 * were at the fork. Two processes meet only if their stretches overlap: for 100,000 children that
 * make 1,000 ids each the chance is one in a million. A foreign id is taken for ours with a
 * chance of (ids made by us and our forebears) / 2^64.
 *
 * The permutation need not keep secrets: whoever wants one of our ids is sent them. It has to look
 * random and to be cheap: four rounds of xor, odd multiplication and folding. */
#include "base/id.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include "base/bytes.h"
#include "base/clock.h"
#include "base/raw.h"

#define ROUNDS    4
#define FOREBEARS 16 /* forks back whose ids are still known */
#define KIND_BIT  (1ull << 63)

struct key {
	uint64_t round[ROUNDS + 1];
};

struct stretch {
	uint64_t start, made;
};

static struct key family_key; /* of span ids: the same in all descendants */
static struct stretch forebears[FOREBEARS];
static unsigned forebear_count; /* ever; the latest FOREBEARS of them are kept */
static uint64_t span_start;
/* Counters that every thread raises, each on its own cache line. */
static struct {
	_Atomic uint64_t n __attribute__((aligned(64)));
} spans_made, traces_made, randoms_made;
/* Of trace ids (both halves) and of id_random(): drawn anew in each process. */
static struct key high_key, low_key, random_key;

static const uint64_t multiplier = 0xd6e8feb86659fd93ull;
static const uint64_t inverse = 0xcfee444d8b59a89bull; /* multiplier * inverse == 1 (mod 2^64) */

static inline uint64_t permute(const struct key *k, uint64_t x)
{
	for (int i = 0; i < ROUNDS; i++) {
		x = (x ^ k->round[i]) * multiplier;
		x ^= x >> 32;
	}
	return x ^ k->round[ROUNDS];
}

static uint64_t permute_back(const struct key *k, uint64_t x)
{
	x ^= k->round[ROUNDS];
	for (int i = ROUNDS - 1; i >= 0; i--) {
		x ^= x >> 32;
		x = (x * inverse) ^ k->round[i];
	}
	return x;
}

/* Without the kernel's help: what differs between processes and moments, stretched by permuting. */
static void draw_without_kernel(void *p, size_t n)
{
	struct key k = { { clock_realtime_ns(), clock_monotonic_ns(), (uint64_t)raw_getpid(),
			   (uintptr_t)&k, (uintptr_t)&family_key } };
	uint64_t word;

	for (size_t at = 0; at < n; at += sizeof(word)) {
		word = permute(&k, at) ^ permute(&random_key, at);
		memcpy((char *)p + at, &word, n - at < sizeof(word) ? n - at : sizeof(word));
	}
}

static void draw(void *p, size_t n)
{
	if (raw_getrandom(p, n, GRND_NONBLOCK) != (ssize_t)n)
		draw_without_kernel(p, n);
}

static void draw_process(void)
{
	struct {
		struct key high, low, random;
		uint64_t start;
	} fresh;

	draw(&fresh, sizeof(fresh));
	high_key = fresh.high;
	low_key = fresh.low;
	random_key = fresh.random;
	span_start = fresh.start;
	atomic_store_explicit(&spans_made.n, 0, memory_order_relaxed);
	atomic_store_explicit(&traces_made.n, 0, memory_order_relaxed);
}

void id_init(void)
{
	draw(&family_key, sizeof(family_key));
	forebear_count = 0;
	draw_process();
}

void id_init_child(void)
{
	uint64_t made = atomic_load_explicit(&spans_made.n, memory_order_relaxed);

	/* A process that made none leaves nothing to know again. */
	if (made)
		forebears[forebear_count++ % FOREBEARS] = (struct stretch){ span_start, made };
	draw_process();
}

static uint64_t next(_Atomic uint64_t *made)
{
	return atomic_fetch_add_explicit(made, 1, memory_order_relaxed);
}

void id_new_trace(uint8_t trace_id[static 16])
{
	uint64_t high, low;

	do {
		uint64_t n = next(&traces_made.n);

		high = permute(&high_key, n);
		low = permute(&low_key, n);
	} while (low == 0); /* each half: some read only 64 bits of a trace id */
	memcpy(trace_id, &high, 8);
	memcpy(trace_id + 8, &low, 8);
}

void id_new_span(uint8_t span_id[static 8], enum id_kind kind)
{
	uint64_t id;

	do {
		uint64_t position = (span_start + next(&spans_made.n)) & ~KIND_BIT;

		id = permute(&family_key, position | (kind == ID_SERVER ? KIND_BIT : 0));
	} while (id == 0);
	memcpy(span_id, &id, 8);
}

static bool lies_in(uint64_t position, uint64_t start, uint64_t made)
{
	return ((position - start) & ~KIND_BIT) < made;
}

bool id_is_own_server(const uint8_t span_id[static 8])
{
	unsigned known = forebear_count < FOREBEARS ? forebear_count : FOREBEARS;
	uint64_t id;

	memcpy(&id, span_id, 8);
	if (id == 0)
		return false;
	id = permute_back(&family_key, id);
	if (!(id & KIND_BIT))
		return false;
	if (lies_in(id, span_start, atomic_load_explicit(&spans_made.n, memory_order_relaxed)))
		return true;
	for (unsigned i = 0; i < known; i++)
		if (lies_in(id, forebears[i].start, forebears[i].made))
			return true;
	return false;
}

void id_new_uuid(char text[static 37])
{
	static const char alphabet[] = "0123456789abcdef";
	uint8_t raw[16];

	draw(raw, sizeof(raw));
	raw[6] = (uint8_t)((raw[6] & 0x0f) | 0x40); /* RFC 9562 5.4: version 4 */
	raw[8] = (uint8_t)((raw[8] & 0x3f) | 0x80); /* RFC 9562 4.1: variant */
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = alphabet[raw[i] >> 4];
		*text++ = alphabet[raw[i] & 15];
	}
	*text = '\0';
}

uint64_t id_random(void)
{
	return permute(&random_key, next(&randoms_made.n));
}
