/* SPDX-License-Identifier: Apache-2.0 */
/* What nghttp2 asks for, measured: 240 bytes for a decoder and 1,024 for its ring of 128 entries
 * (both for good); 80 for each entry of the table, and for each text that is not of the static
 * table 41 bytes more than its length, or than twice its length as sent when it is Huffman coded.
 * The ring doubles up to 16 KiB for a table of 64 KiB; one text may take 131,113 bytes. */
#include "shim/hpack_memory.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include "base/pool.h"
#include "base/raw.h"

struct size {
	uint32_t bytes, count;
};

/* Ascending. For 10,000 connections whose tables hold eight entries. Address space only, until
 * used: 83 MiB in all, and none before the first connection. */
static const struct size sizes[] = {
	{ 64, 65536 },   { 80, 163840 }, { 128, 131072 }, { 256, 40960 }, { 512, 8192 },
	{ 1024, 22528 }, { 2048, 1024 }, { 4096, 512 },   { 8192, 256 },  { 16384, 128 },
	{ 32768, 64 },   { 65536, 32 },  { 131136, 16 },
};

#define SIZES ((int)(sizeof(sizes) / sizeof(sizes[0])))

struct pools {
	struct pool of[SIZES];
};

static _Atomic(struct pools *) made;

static void unmake(struct pools *pools)
{
	for (int i = 0; i < SIZES && pools->of[i].objects; i++)
		raw_munmap(pools->of[i].objects,
			   pools->of[i].capacity * (pools->of[i].size + sizeof(uint32_t)));
	raw_munmap(pools, sizeof(*pools));
}

static struct pools *make(void)
{
	struct pools *pools = raw_mmap(NULL, sizeof(*pools), PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (raw_is_error(pools))
		return NULL;
	for (int i = 0; i < SIZES; i++) {
		if (pool_init(&pools->of[i], sizes[i].bytes, sizes[i].count) != 0) {
			unmake(pools);
			return NULL;
		}
	}
	return pools;
}

/* Threads that come first at once each make them, and all but one take theirs back: nobody waits,
 * and a fork in between leaves nothing half done. */
static struct pools *get_pools(void)
{
	struct pools *pools = atomic_load_explicit(&made, memory_order_acquire), *first = NULL;

	if (pools)
		return pools;
	pools = make();
	if (pools && !atomic_compare_exchange_strong(&made, &first, pools)) {
		unmake(pools);
		pools = first;
	}
	return pools;
}

static int size_for(size_t n)
{
	for (int i = 0; i < SIZES; i++)
		if (n <= sizes[i].bytes)
			return i;
	return -1;
}

static int size_of_address(const struct pools *pools, const void *p)
{
	for (int i = 0; i < SIZES; i++)
		if ((uintptr_t)p - (uintptr_t)pools->of[i].objects <
		    (size_t)sizes[i].bytes * sizes[i].count)
			return i;
	return -1;
}

void *hpack_memory_get(struct hpack_memory *m, size_t n)
{
	struct pools *pools = get_pools();
	int i = size_for(n);
	void *p;

	if (!pools || i < 0 || m->limit - m->held < sizes[i].bytes)
		return NULL;
	p = pool_get(&pools->of[i]);
	if (p)
		m->held += sizes[i].bytes;
	return p;
}

void hpack_memory_put(struct hpack_memory *m, void *p)
{
	struct pools *pools = get_pools();
	int i = p && pools ? size_of_address(pools, p) : -1;

	if (i < 0)
		return;
	m->held -= sizes[i].bytes;
	pool_put(&pools->of[i], p);
}

static void *get(size_t n, void *memory)
{
	return hpack_memory_get(memory, n);
}

static void put(void *p, void *memory)
{
	hpack_memory_put(memory, p);
}

static void *get_zeroed(size_t count, size_t n, void *memory)
{
	size_t whole;
	void *p;

	if (__builtin_mul_overflow(count, n, &whole))
		return NULL;
	p = get(whole, memory);
	if (p)
		memset(p, 0, whole);
	return p;
}

static void *get_more(void *p, size_t n, void *memory)
{
	struct pools *pools = get_pools();
	int i = p && pools ? size_of_address(pools, p) : -1;
	void *q;

	if (i >= 0 && n <= sizes[i].bytes)
		return p;
	q = get(n, memory);
	if (q && i >= 0) {
		memcpy(q, p, sizes[i].bytes);
		put(p, memory);
	}
	return q;
}

void hpack_memory_begin(struct hpack_memory *m, uint32_t limit)
{
	*m = (struct hpack_memory){
		.functions = { m, get, put, get_zeroed, get_more },
		.limit = limit,
	};
}

size_t hpack_memory_in_use(void)
{
	struct pools *pools = atomic_load_explicit(&made, memory_order_acquire);
	size_t n = 0;

	for (int i = 0; pools && i < SIZES; i++)
		n += pool_in_use(&pools->of[i]) * pools->of[i].size;
	return n;
}
