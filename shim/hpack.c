/* SPDX-License-Identifier: Apache-2.0 */
/* The table is nghttp2's, with memory of ours: it reads what changes it, and what is broken, long
 * or rare. All else, nearly every field of a connection that has been in use for a while, is read
 * here and looked up there. */
#include "shim/hpack.h"

#include <errno.h>
#include "base/guard.h"
#include "shim/hpack_memory.h"
#include "shim/hpack_read.h"

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

/* The inflater has read of the block, and needs not be told more. */
static bool end_block(struct hpack *h)
{
	struct guard g;

	if (guard_begin(&g))
		return false;
	nghttp2_hd_inflate_end_headers(h->inflater);
	guard_end();
	return true;
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

static void put_text(struct hpack *h)
{
	if (h->text && !h->lent)
		hpack_memory_put(&h->memory, h->text);
	h->text = NULL;
	h->text_size = 0;
	h->lent = false;
}

void hpack_lend(struct hpack *h, char *room, size_t size)
{
	put_text(h);
	h->text = room;
	h->text_size = (uint32_t)size;
	h->lent = true;
}

void hpack_close(struct hpack *h)
{
	struct hpack_memory outside = { .held = HPACK_HELD_MAX };

	if (!h)
		return;
	put_text(h);
	close_inflater(h);
	hpack_memory_put(&outside, h);
}

int hpack_limit_table(struct hpack *h, uint32_t size)
{
	if (h->error)
		return h->error;
	if (size > HPACK_TABLE_MAX)
		return -E2BIG;
	if (h->in_block || limit_inflater(h, size) != 0)
		return -EBADMSG;
	h->limited = true;
	return 0;
}

/* ---- what leaves the table as it is ---- */

/* Longer ones, as they stand in the block, are the inflater's. */
#define TEXT_MAX 2048

/* Room for what both strings stand for. */
static bool text_room(struct hpack *h, size_t n)
{
	if (n <= h->text_size)
		return true;
	put_text(h);
	h->text = hpack_memory_get(&h->memory, n);
	h->text_size = h->text ? (uint32_t)n : 0;
	return h->text;
}

static bool read_text(struct bytes *out, struct bytes block, const struct hpack_string *s, char *to)
{
	struct bytes text = { block.p + s->at, s->n };
	ssize_t n;

	*out = text;
	if (!s->huffman)
		return true;
	n = hpack_huffman_get(to, text);
	*out = (struct bytes){ to, (size_t)n };
	return n >= 0;
}

static bool read_texts(struct hpack *h, struct bytes block, const struct hpack_representation *r,
		       struct hpack_field *field)
{
	bool name_coded = !r->index && r->name.huffman;
	size_t name_room = name_coded ? HPACK_HUFFMAN_ROOM(r->name.n) : 0;
	size_t value_room = r->value.huffman ? HPACK_HUFFMAN_ROOM(r->value.n) : 0;

	/* One more, so that there is something for an empty one. */
	if ((name_coded || r->value.huffman) && (r->name.n > TEXT_MAX || r->value.n > TEXT_MAX ||
						 !text_room(h, name_room + value_room + 1)))
		return false;
	return (r->index || read_text(&field->name, block, &r->name, h->text)) &&
	       read_text(&field->value, block, &r->value, h->text ? h->text + name_room : NULL);
}

/* A field that is not put into the table needs nothing of the inflater's but the entry that it
 * names. False: the inflater is to read it, and to judge it. */
static inline bool read_unindexed(struct hpack *h, struct bytes block,
				  const struct hpack_representation *r, struct hpack_field *field)
{
	const nghttp2_nv *entry = NULL;

	if (r->form == HPACK_INDEXING)
		return false;
	if (r->index) { /* NULL past the table */
		entry = nghttp2_hd_inflate_get_table_entry(h->inflater, r->index);
		if (!entry)
			return false;
		field->name = (struct bytes){ (const char *)entry->name, entry->namelen };
	}
	if (r->form != HPACK_INDEXED)
		return read_texts(h, block, r, field);
	if (!entry)
		return false;
	field->value = (struct bytes){ (const char *)entry->value, entry->valuelen };
	return true;
}

/* ---- fields ---- */

static int fail(struct hpack *h, int error)
{
	put_text(h);
	h->error = error;
	return error;
}

/* 1, 0 or -errno as hpack_next(); *pos goes on. */
static int inflate_field(struct hpack *h, struct bytes block, size_t *pos,
			 struct hpack_field *field)
{
	struct bytes rest = { block.p ? block.p + *pos : NULL, block.n - *pos };
	nghttp2_nv nv;
	int flags = 0;
	ssize_t n = inflate(h, rest, &nv, &flags);

	if (n < 0)
		return n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EBADMSG;
	h->limited = false;
	*pos += (size_t)n;
	if (!(flags & NGHTTP2_HD_INFLATE_EMIT)) {
		h->in_block = h->inflating = false;
		return 0;
	}
	h->inflating = true;
	field->name = (struct bytes){ (const char *)nv.name, nv.namelen };
	field->value = (struct bytes){ (const char *)nv.value, nv.valuelen };
	return 1;
}

static int block_over(struct hpack *h)
{
	bool ended = !h->inflating || end_block(h);

	put_text(h);
	h->in_block = h->inflating = false;
	return ended ? 0 : fail(h, -EBADMSG);
}

int hpack_next(struct hpack *h, struct bytes block, size_t *pos, struct hpack_field *field)
{
	struct hpack_representation r;
	size_t from = *pos;
	bool sound;
	int result;

	if (h->error)
		return h->error;
	if (from == block.n && !h->limited)
		return block_over(h);
	sound = hpack_represented(&r, block, from);
	if (sound && r.at == from && !h->limited && read_unindexed(h, block, &r, field)) {
		*pos = r.end;
	} else {
		/* Size updates stand at the beginning alone (RFC 7541 section 4.2): the inflater
		 * does not know of the fields that it has not seen. */
		if (h->in_block && r.at != from)
			return fail(h, -EBADMSG);
		if (!sound)
			r = (struct hpack_representation){ .at = r.at };
		result = inflate_field(h, block, pos, field);
		if (result <= 0)
			return result ? fail(h, result) : block_over(h);
	}
	h->in_block = true;
	field->at = r.at;
	field->end = *pos;
	field->form = r.form;
	field->huffman = r.value.huffman;
	field->value_at = r.value.at;
	return 1;
}
