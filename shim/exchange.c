/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of other threads go by the generation word: odd while open, looked at before and after
 * the shared words are read. A bit a server exchange in `open_bits` makes all open ones findable
 * without a lock. */
#include "shim/exchange.h"

#include "base/pool.h"
#include "shim/block.h"

static struct pool pool;
static struct pool captured; /* by the index of their exchange; not taken or given */
static _Atomic uint64_t open_bits[EXCHANGES_MAX / 64];

int exchange_init(void)
{
	const size_t all = EXCHANGE_CAPTURES * sizeof(struct captured_header);
	int err = pool_init(&captured, all, EXCHANGES_MAX);

	return err ? err : pool_init(&pool, sizeof(struct exchange), EXCHANGES_MAX);
}

struct exchange *exchange_at(uint32_t index)
{
	return pool_at(&pool, index);
}

uint32_t exchange_index(const struct exchange *e)
{
	return pool_index(&pool, e);
}

struct captured_header *exchange_captured(const struct exchange *e)
{
	return pool_at(&captured, exchange_index(e));
}

uint32_t exchange_in_use(void)
{
	return pool_in_use(&pool);
}

void shared_context_set(struct shared_context *s, const struct span_context *c)
{
	uint64_t words[3];

	memcpy(words, c->trace_id, 16);
	memcpy(&words[2], c->span_id, 8);
	atomic_store_explicit(&s->trace_high, words[0], memory_order_relaxed);
	atomic_store_explicit(&s->trace_low, words[1], memory_order_relaxed);
	atomic_store_explicit(&s->span, words[2], memory_order_relaxed);
	atomic_store_explicit(&s->flags, c->flags, memory_order_relaxed);
}

/* Acquire loads: the generation looked at afterwards must not be read before them. */
void shared_context_get(struct span_context *c, const struct shared_context *s)
{
	uint64_t words[3];

	words[0] = atomic_load_explicit(&s->trace_high, memory_order_acquire);
	words[1] = atomic_load_explicit(&s->trace_low, memory_order_acquire);
	words[2] = atomic_load_explicit(&s->span, memory_order_acquire);
	memcpy(c->trace_id, words, 16);
	memcpy(c->span_id, &words[2], 8);
	c->flags = (uint8_t)atomic_load_explicit(&s->flags, memory_order_acquire);
}

static void set_text(struct bytes *to, struct bytes b)
{
	__atomic_store_n(&to->p, b.p, __ATOMIC_RELAXED);
	__atomic_store_n(&to->n, b.n, __ATOMIC_RELAXED);
}

void exchange_set_texts(struct exchange *e, struct bytes tracestate, struct bytes baggage,
			bool debug)
{
	set_text(&e->tracestate, tracestate);
	set_text(&e->baggage, baggage);
	atomic_store_explicit(&e->debug, debug, memory_order_relaxed);
}

/* Everything but the generation and the text's bytes; fields of other threads' interest go first,
 * while the generation is still even. */
static void clear(struct exchange *e)
{
	static const struct span_context none;

	shared_context_set(&e->context, &none);
	shared_context_set(&e->received, &none);
	atomic_store_explicit(&e->thread_ok, false, memory_order_relaxed);
	atomic_store_explicit(&e->answered, false, memory_order_relaxed);
	atomic_store_explicit(&e->candidate, false, memory_order_relaxed);
	atomic_store_explicit(&e->rewritten, false, memory_order_relaxed);
	exchange_set_texts(e, (struct bytes){ NULL, 0 }, (struct bytes){ NULL, 0 }, false);
	e->next = 0;
	memset((char *)e + offsetof(struct exchange, server), 0,
	       offsetof(struct exchange, text) - offsetof(struct exchange, server));
}

/* Its owner alone writes it. That the next owner's fields appear later than this the pool sees to:
 * its list is what hands the exchange on. */
static void generation_rises(struct exchange *e)
{
	uint32_t now = atomic_load_explicit(&e->generation, memory_order_relaxed);

	atomic_store_explicit(&e->generation, now + 1, memory_order_release);
}

struct exchange *exchange_open(size_t text_size)
{
	struct exchange *e = pool_get(&pool);
	size_t got = EXCHANGE_TEXT;

	if (!e)
		return NULL;
	clear(e);
	e->block = text_size > EXCHANGE_TEXT ? block_get(text_size, &got) : NULL;
	if (text_size > EXCHANGE_TEXT && !e->block) {
		pool_put(&pool, e);
		return NULL;
	}
	e->text = (struct text){ .p = e->block ? e->block : e->own, .size = got };
	generation_rises(e);
	return e;
}

void exchange_close(struct exchange *e)
{
	exchange_set_candidate(e, false);
	generation_rises(e);
	block_put(e->block);
	block_put(e->links);
	e->block = NULL;
	e->links = NULL;
	pool_put(&pool, e);
}

struct bytes exchange_keep(struct exchange *e, struct bytes b)
{
	size_t at = e->text.n;

	if (b.n == 0)
		return (struct bytes){ b.p ? "" : NULL, 0 };
	if (b.n > e->text.size - e->text.n)
		return (struct bytes){ NULL, 0 };
	memcpy(e->text.p + at, b.p, b.n);
	e->text.n += b.n;
	return (struct bytes){ e->text.p + at, b.n };
}

void exchange_set_candidate(struct exchange *e, bool on)
{
	uint32_t i = exchange_index(e);
	uint64_t bit = 1ull << (i % 64);

	if (atomic_load_explicit(&e->candidate, memory_order_relaxed) == on)
		return;
	atomic_store_explicit(&e->candidate, on, memory_order_relaxed);
	if (on)
		atomic_fetch_or_explicit(&open_bits[i / 64], bit, memory_order_release);
	else
		atomic_fetch_and_explicit(&open_bits[i / 64], ~bit, memory_order_relaxed);
}

/* Words of open_bits that have ever been used. */
static uint32_t words_used(void)
{
	uint32_t used = atomic_load_explicit(&pool.used_max, memory_order_relaxed);

	return ((used < EXCHANGES_MAX ? used : EXCHANGES_MAX) + 63) / 64;
}

unsigned exchange_open_count(void)
{
	uint32_t words = words_used();
	unsigned n = 0;

	for (uint32_t w = 0; w < words; w++) {
		uint64_t bits = atomic_load_explicit(&open_bits[w], memory_order_relaxed);

		for (; bits; bits &= bits - 1)
			n++;
	}
	return n;
}

bool exchange_peek(uint32_t index, struct exchange_view *view)
{
	struct exchange *e = pool_at(&pool, index);
	uint32_t before = atomic_load_explicit(&e->generation, memory_order_acquire);

	if (!(before & 1))
		return false;
	view->index = index;
	view->generation = before;
	shared_context_get(&view->context, &e->context);
	shared_context_get(&view->received, &e->received);
	view->candidate = atomic_load_explicit(&e->candidate, memory_order_acquire);
	view->answered = atomic_load_explicit(&e->answered, memory_order_acquire);
	view->thread_ok = atomic_load_explicit(&e->thread_ok, memory_order_acquire);
	view->read_from = atomic_load_explicit(&e->read_from, memory_order_acquire);
	view->rewritten = atomic_load_explicit(&e->rewritten, memory_order_acquire);
	view->has_received = trace_id_valid(view->received.trace_id);
	return atomic_load_explicit(&e->generation, memory_order_relaxed) == before;
}

void exchange_each(bool (*fn)(void *arg, const struct exchange_view *view), void *arg)
{
	uint32_t words = words_used();

	for (uint32_t w = 0; w < words; w++) {
		uint64_t bits = atomic_load_explicit(&open_bits[w], memory_order_acquire);

		for (; bits; bits &= bits - 1) {
			struct exchange_view view;
			uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(bits);

			if (exchange_peek(i, &view) && view.candidate && !fn(arg, &view))
				return;
		}
	}
}

uint32_t exchange_unfinished(void)
{
	uint32_t used = atomic_load_explicit(&pool.used_max, memory_order_relaxed), n = 0;

	for (uint32_t i = 0; i < used; i++) {
		struct exchange *e = pool_at(&pool, i);

		n += atomic_load_explicit(&e->generation, memory_order_acquire) & 1 &&
		     __atomic_load_n(&e->sampled, __ATOMIC_RELAXED);
	}
	return n;
}

void exchange_forget_all(void)
{
	uint32_t used = atomic_load_explicit(&pool.used_max, memory_order_relaxed);

	for (uint32_t w = 0; w < EXCHANGES_MAX / 64; w++)
		atomic_store_explicit(&open_bits[w], 0, memory_order_relaxed);
	for (uint32_t i = 0; i < used; i++) {
		struct exchange *e = pool_at(&pool, i);

		/* Clears `candidate` by hand: the bits are zero already. */
		atomic_store_explicit(&e->candidate, false, memory_order_relaxed);
		if (atomic_load_explicit(&e->generation, memory_order_relaxed) & 1)
			exchange_close(e);
	}
}
