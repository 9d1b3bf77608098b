/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding is nghttp2's, with memory of ours. What it does not tell is where in the block a field
 * stands and how it is written: that is read again from the bytes that it took. */
#include "shim/hpack.h"

#include <errno.h>
#include "base/guard.h"
#include "shim/hpack_memory.h"

/* nghttp2 may find itself broken: see base/guard.h. */
static int open_inflater(struct hpack *h)
{
	struct guard g;
	int err;

	if (guard_begin(&g))
		return NGHTTP2_ERR_NOMEM;
	err = nghttp2_hd_inflate_new2(&h->inflater, &h->memory.functions);
	guard_end();
	return err;
}

static void close_inflater(struct hpack *h)
{
	struct guard g;

	if (guard_begin(&g))
		return;
	nghttp2_hd_inflate_del(h->inflater);
	guard_end();
}

static int limit_inflater(struct hpack *h, uint32_t size)
{
	struct guard g;
	int err;

	if (guard_begin(&g))
		return NGHTTP2_ERR_HEADER_COMP;
	err = nghttp2_hd_inflate_change_table_size(h->inflater, size);
	guard_end();
	return err;
}

/* One field, or the end of the block, which always is at hand whole. */
static ssize_t inflate(struct hpack *h, struct bytes in, nghttp2_nv *nv, int *flags)
{
	struct guard g;
	ssize_t n;

	if (guard_begin(&g))
		return NGHTTP2_ERR_HEADER_COMP;
	n = nghttp2_hd_inflate_hd2(h->inflater, nv, flags, (const uint8_t *)in.p, in.n, 1);
	if (n >= 0 && (*flags & NGHTTP2_HD_INFLATE_FINAL))
		nghttp2_hd_inflate_end_headers(h->inflater);
	guard_end();
	return n;
}

struct hpack *hpack_open(void)
{
	struct hpack_memory outside = { .limit = HPACK_HELD_MAX };
	struct hpack *h = hpack_memory_get(&outside, sizeof(*h));

	if (!h)
		return NULL;
	*h = (struct hpack){ 0 };
	hpack_memory_begin(&h->memory, HPACK_HELD_MAX);
	if (open_inflater(h) == 0)
		return h;
	hpack_memory_put(&outside, h);
	return NULL;
}

void hpack_close(struct hpack *h)
{
	struct hpack_memory outside = { .held = HPACK_HELD_MAX };

	if (!h)
		return;
	close_inflater(h);
	hpack_memory_put(&outside, h);
}

int hpack_limit_table(struct hpack *h, uint32_t size)
{
	if (h->error)
		return h->error;
	if (size > HPACK_TABLE_MAX)
		return -E2BIG;
	return limit_inflater(h, size) == 0 ? 0 : -EBADMSG;
}

/* An integer with a prefix of so many bits (RFC 7541 section 5.1) in bytes that nghttp2 has read
 * already: it ends before `end` and is below 2^32. */
static uint64_t read_integer(const uint8_t **p, const uint8_t *end, unsigned bits)
{
	uint64_t mask = (1u << bits) - 1, n;
	unsigned shift = 0;
	uint8_t byte;

	if (*p == end)
		return 0;
	n = *(*p)++ & mask;
	if (n < mask)
		return n;
	do {
		if (*p == end)
			break;
		byte = *(*p)++;
		if (shift < 32)
			n += (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	return n;
}

/* RFC 7541 section 6: what a representation is stands in its first bits, the prefix behind them. */
static unsigned form_of(uint8_t first, uint8_t *form)
{
	if (first & 0x80) {
		*form = HPACK_INDEXED;
		return 7;
	}
	if (first & 0x40) {
		*form = HPACK_INDEXING;
		return 6;
	}
	*form = first & 0x10 ? HPACK_NEVER_INDEXED : HPACK_WITHOUT_INDEXING;
	return 4;
}

/* Fills in where the field stands whose bytes end at `end` and begin at `from`, size updates first.
 */
static void locate(struct hpack_field *field, struct bytes block, size_t from, size_t end)
{
	const uint8_t *start = (const uint8_t *)block.p, *p = start + from, *last = start + end;
	uint64_t index, n;
	unsigned prefix;

	while (p < last && (*p & 0xe0) == 0x20)
		read_integer(&p, last, 5);
	field->at = (size_t)(p - start);
	field->end = end;
	if (p == last)
		return;
	prefix = form_of(*p, &field->form);
	index = read_integer(&p, last, prefix);
	if (field->form == HPACK_INDEXED)
		return;
	if (index == 0) { /* the name as a string */
		n = read_integer(&p, last, 7);
		p += n < (uint64_t)(last - p) ? n : (uint64_t)(last - p);
	}
	field->huffman = p < last && (*p & 0x80);
	read_integer(&p, last, 7);
	field->value_at = (size_t)(p - start);
}

int hpack_next(struct hpack *h, struct bytes block, size_t *pos, struct hpack_field *field)
{
	struct bytes rest = { block.p ? block.p + *pos : NULL, block.n - *pos };
	nghttp2_nv nv;
	int flags = 0;
	ssize_t n;

	if (h->error)
		return h->error;
	n = inflate(h, rest, &nv, &flags);
	if (n < 0) {
		h->error = n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EBADMSG;
		return h->error;
	}
	if (flags & NGHTTP2_HD_INFLATE_EMIT) {
		*field = (struct hpack_field){
			.name = { (const char *)nv.name, nv.namelen },
			.value = { (const char *)nv.value, nv.valuelen },
		};
		locate(field, block, *pos, *pos + (size_t)n);
	}
	*pos += (size_t)n;
	return flags & NGHTTP2_HD_INFLATE_EMIT ? 1 : 0;
}
