/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "launcher/command.h"
#include "launcher/trace_store.h"

#define POOL_BLOCK 65536

struct pool_block {
	struct pool_block *next;
	char text[];
};

struct string_pool {
	struct pool_block *blocks;
	size_t used, size; /* of the first block */
	const char **buckets;
	uint32_t count, bucket_count; /* a power of two */
};

void *must_have(void *memory)
{
	if (!memory) {
		complain_usage("out of memory");
		exit(EXIT_USAGE);
	}
	return memory;
}

uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void hex_string(char *out, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sprintf(out + 2 * i, "%02x", p[i]);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool trace_hex_parse(uint8_t *out, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(text[2 * i]);
		int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return text[2 * n] == '\0';
}

static uint32_t hash_bytes(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return (uint32_t)(h ^ h >> 32);
}

static void pool_grow(struct string_pool *pool)
{
	uint32_t count = pool->bucket_count ? pool->bucket_count * 2 : 1024;
	const char **buckets = must_have(calloc(count, sizeof(*buckets)));

	for (uint32_t i = 0; i < pool->bucket_count; i++) {
		const char *text = pool->buckets[i];
		uint32_t at;

		if (!text)
			continue;
		at = hash_bytes(text, strlen(text)) & (count - 1);
		while (buckets[at])
			at = (at + 1) & (count - 1);
		buckets[at] = text;
	}
	free(pool->buckets);
	pool->buckets = buckets;
	pool->bucket_count = count;
}

static char *pool_take(struct string_pool *pool, size_t n)
{
	char *text;

	if (!pool->blocks || pool->size - pool->used < n) {
		size_t size = n > POOL_BLOCK ? n : POOL_BLOCK;
		struct pool_block *block = must_have(malloc(sizeof(*block) + size));

		block->next = pool->blocks;
		pool->blocks = block;
		pool->used = 0;
		pool->size = size;
	}
	text = pool->blocks->text + pool->used;
	pool->used += n;
	return text;
}

const char *trace_store_string(struct trace_store *store, const char *text, size_t n)
{
	struct string_pool *pool = store->pool;
	uint32_t at;
	char *copy;

	n = strnlen(text, n);
	if (pool->count * 2 >= pool->bucket_count)
		pool_grow(pool);
	at = hash_bytes(text, n) & (pool->bucket_count - 1);
	for (; pool->buckets[at]; at = (at + 1) & (pool->bucket_count - 1))
		if (strncmp(pool->buckets[at], text, n) == 0 && pool->buckets[at][n] == '\0')
			return pool->buckets[at];
	copy = pool_take(pool, n + 1);
	memcpy(copy, text, n);
	copy[n] = '\0';
	pool->buckets[at] = copy;
	pool->count++;
	return copy;
}

void trace_store_init(struct trace_store *store)
{
	*store = (struct trace_store){ .pool = must_have(calloc(1, sizeof(*store->pool))) };
}

void trace_store_free(struct trace_store *store)
{
	while (store->pool->blocks) {
		struct pool_block *block = store->pool->blocks;

		store->pool->blocks = block->next;
		free(block);
	}
	free(store->pool->buckets);
	free(store->pool);
	free(store->spans);
	free(store->traces);
	free(store->buckets);
	*store = (struct trace_store){ 0 };
}

static uint32_t *find_bucket(const struct trace_store *store, const uint8_t id[16])
{
	uint32_t mask = store->bucket_count - 1, at = hash_bytes(id, 16) & mask;

	while (store->buckets[at] && memcmp(store->traces[store->buckets[at] - 1].id, id, 16) != 0)
		at = (at + 1) & mask;
	return &store->buckets[at];
}

struct trace *trace_store_find(const struct trace_store *store, const uint8_t id[16])
{
	uint32_t index = store->bucket_count ? *find_bucket(store, id) : 0;

	return index ? &store->traces[index - 1] : NULL;
}

static void rebuild_buckets(struct trace_store *store, uint32_t count)
{
	free(store->buckets);
	store->buckets = must_have(calloc(count, sizeof(*store->buckets)));
	store->bucket_count = count;
	for (uint32_t i = 0; i < store->trace_count; i++)
		*find_bucket(store, store->traces[i].id) = i + 1;
}

static struct trace *add_trace(struct trace_store *store, const uint8_t id[16])
{
	struct trace *trace;

	if (store->trace_count == store->trace_room) {
		store->trace_room = store->trace_room ? store->trace_room * 2 : 256;
		store->traces = must_have(
			realloc(store->traces, store->trace_room * sizeof(*store->traces)));
		rebuild_buckets(store, store->trace_room * 2);
	}
	trace = &store->traces[store->trace_count];
	*trace = (struct trace){ .first = NO_INDEX, .last = NO_INDEX, .start_ns = UINT64_MAX };
	memcpy(trace->id, id, sizeof(trace->id));
	*find_bucket(store, id) = ++store->trace_count;
	return trace;
}

void trace_store_add(struct trace_store *store, const struct span *span)
{
	static const uint8_t no_parent[8];
	struct trace *trace = trace_store_find(store, span->trace_id);
	uint32_t index = store->span_count;

	if (!trace)
		trace = add_trace(store, span->trace_id);
	if (store->span_count == store->span_room) {
		store->span_room = store->span_room ? store->span_room * 2 : 1024;
		store->spans =
			must_have(realloc(store->spans, store->span_room * sizeof(*store->spans)));
	}
	store->spans[index] = *span;
	store->spans[index].next = NO_INDEX;
	store->span_count++;
	if (trace->last == NO_INDEX)
		trace->first = index;
	else
		store->spans[trace->last].next = index;
	trace->last = index;
	trace->count++;
	trace->touched_ms = now_ms();
	if (span->start_ns < trace->start_ns)
		trace->start_ns = span->start_ns;
	if (memcmp(span->parent_id, no_parent, sizeof(no_parent)) == 0)
		trace->has_root = true;
}

static const char *move_string(struct trace_store *to, const char *text)
{
	return text ? trace_store_string(to, text, strlen(text)) : NULL;
}

void trace_store_forget_done(struct trace_store *store)
{
	struct trace_store kept;

	trace_store_init(&kept);
	for (uint32_t i = 0; i < store->trace_count; i++) {
		const struct trace *trace = &store->traces[i];

		if (trace->done)
			continue;
		for (uint32_t s = trace->first; s != NO_INDEX; s = store->spans[s].next) {
			struct span span = store->spans[s];

			span.service = move_string(&kept, span.service);
			span.name = move_string(&kept, span.name);
			span.link = move_string(&kept, span.link);
			span.error_type = move_string(&kept, span.error_type);
			span.message = move_string(&kept, span.message);
			span.target = move_string(&kept, span.target);
			span.host = move_string(&kept, span.host);
			trace_store_add(&kept, &span);
		}
		trace_store_find(&kept, trace->id)->touched_ms = trace->touched_ms;
	}
	trace_store_free(store);
	*store = kept;
}

static int by_start(const void *a, const void *b, void *arg)
{
	const struct trace *traces = arg, *x = &traces[*(const uint32_t *)a],
			   *y = &traces[*(const uint32_t *)b];

	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	return memcmp(x->id, y->id, sizeof(x->id));
}

uint32_t *trace_store_sorted(const struct trace_store *store)
{
	uint32_t *order = must_have(malloc((store->trace_count + 1) * sizeof(*order)));

	for (uint32_t i = 0; i < store->trace_count; i++)
		order[i] = i;
	qsort_r(order, store->trace_count, sizeof(*order), by_start, store->traces);
	return order;
}
