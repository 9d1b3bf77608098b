/* SPDX-License-Identifier: Apache-2.0 */
/* Span names out of paths, with a bounded number of them.
 *
 * For each position ("/shop/" + what follows) a slot of a fixed table remembers the first ten words
 * seen there. The eleventh makes the position full for good: from then on it shows as '*', but for
 * the words that had been seen ROUTE_WORD_ESTABLISHED times by then: those are the program's own
 * (a few endpoints), not data. When the table itself is full, new positions show as '*' at once.
 *
 * Concurrency: every cell goes from 0 to its value once, by compare and swap, and nothing waits, so
 * a signal handler may find it in any state. A forked child goes on with its copy. */
#include <stdatomic.h>
#include "base/config.h"
#include "base/hash.h"
#include "shim/route.h"
#include "shim/wire/route_text.h"

#define ROUTE_WORDS            10
#define ROUTE_WORD_ESTABLISHED 16
#define ROUTE_POSITIONS        1024 /* a power of two; 64 KiB, resident as far as used */
#define ROUTE_PROBES           8

struct position {
	_Atomic uint64_t prefix; /* hash of the path before it as the name shows it; 0: free */
	_Atomic uint32_t word[ROUTE_WORDS];
	_Atomic uint8_t seen[ROUTE_WORDS]; /* about: a lost count does no harm */
	_Atomic bool full;
};
_Static_assert(sizeof(struct position) == 64, "one cache line a position");

static _Alignas(64) struct position positions[ROUTE_POSITIONS];

static uint64_t hash(struct bytes b)
{
	return hash_bytes(b.n, b);
}

#define HASH_START UINT64_C(0xcbf29ce484222325)

static struct position *position_find(uint64_t prefix)
{
	uint64_t at = prefix >> 32;

	prefix |= 1; /* never 0 */
	for (unsigned i = 0; i < ROUTE_PROBES; i++, at++) {
		struct position *p = &positions[at & (ROUTE_POSITIONS - 1)];
		uint64_t is = atomic_load_explicit(&p->prefix, memory_order_relaxed);

		if (is == prefix)
			return p;
		if (is == 0 && atomic_compare_exchange_strong(&p->prefix, &is, prefix))
			return p;
		if (is == prefix)
			return p;
	}
	return NULL;
}

/* The word has its place: whether it is shown. */
static bool word_shown(struct position *p, unsigned i)
{
	uint8_t seen = atomic_load_explicit(&p->seen[i], memory_order_relaxed);

	if (seen >= ROUTE_WORD_ESTABLISHED)
		return true;
	if (atomic_load_explicit(&p->full, memory_order_relaxed))
		return false;
	atomic_store_explicit(&p->seen[i], seen + 1, memory_order_relaxed);
	return true;
}

static bool position_shows(uint64_t prefix, uint64_t h)
{
	struct position *p = position_find(prefix);
	uint32_t word = (uint32_t)h | 1;

	if (!p)
		return false;
	for (unsigned i = 0; i < ROUTE_WORDS; i++) {
		uint32_t is = atomic_load_explicit(&p->word[i], memory_order_relaxed);

		if (is == 0 && atomic_compare_exchange_strong(&p->word[i], &is, word))
			is = word;
		if (is == word)
			return word_shown(p, i);
	}
	atomic_store_explicit(&p->full, true, memory_order_relaxed);
	return false;
}

/* What shows of a segment, and its hash. */
static struct bytes segment_name(uint64_t prefix, const struct route_segment *segment, uint64_t *h)
{
	struct bytes shown = segment->text;

	if (route_segment_is_id(*segment))
		shown = BYTES("{id}");
	*h = hash(shown);
	if (!shown.n || shown.p != segment->text.p || position_shows(prefix, *h))
		return shown;
	shown = BYTES("*");
	*h = hash(shown);
	return shown;
}

#define REST BYTES("/*") /* of a path too deep or too long for a name */

static void put_path(struct text *name, struct bytes path)
{
	uint64_t prefix = HASH_START, h;
	struct route_segment segment;
	size_t pos = 0;

	for (unsigned depth = 0; route_next_segment(path, &pos, &segment); depth++) {
		struct bytes shown = BYTES("");

		if (depth < ROUTE_DEPTH_MAX)
			shown = segment_name(prefix, &segment, &h);
		if (depth == ROUTE_DEPTH_MAX || name->n + 1 + shown.n + REST.n > name->size) {
			text_put(name, REST);
			return;
		}
		text_put_char(name, '/');
		text_put(name, shown);
		prefix = hash_mix(prefix, h);
	}
}

/* As much as fits, so that a long route still names the span. */
static void put_cut(struct text *name, struct bytes b)
{
	size_t room = name->size - name->n;

	text_put(name, (struct bytes){ b.p, b.n < room ? b.n : room });
}

void route_put_span_name(struct text *out, struct bytes method, struct bytes path)
{
	struct bytes known = route_known_method(method);
	struct bytes route = route_find(path);
	struct text name = { .p = out->p + out->n, .size = out->size - out->n };

	if (name.size > ROUTE_NAME_MAX)
		name.size = ROUTE_NAME_MAX;
	put_cut(&name, known.n ? known : BYTES("HTTP"));
	if (route.n) {
		put_cut(&name, BYTES(" "));
		put_cut(&name, route);
	} else if (config.route_mode != ROUTE_OFF && path.n && path.p[0] == '/') {
		put_cut(&name, BYTES(" "));
		put_path(&name, path);
	}
	out->n += name.n;
	out->cut |= name.cut;
}
