/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are read carry our server span's id on: in HTTP/2 only where the value stands in
 * the block itself and makes no entry of the program's table (RFC 7541 section 6.2.2 and 6.2.3): an
 * entry would come back by its index later, with the id of another request. */
#include "base/counters.h"
#include "base/id.h"
#include "base/readable.h"
#include "shim/carrier.h"
#include "shim/h2_block.h"
#include "shim/h2_fields.h"

#define ID_TRIES 64 /* for one whose digits take as many bits; most often the first few do */

/* Hexadecimal digits are coded in five bits, these in six: RFC 7541 appendix B. */
#define SIX_BITS                                                                           \
	(1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 0xb | \
	 1u << 0xd | 1u << 0xf)

static size_t huffman_bits(const uint8_t id[static 8])
{
	size_t bits = 16 * 5;

	for (unsigned i = 0; i < 8; i++)
		bits += (SIX_BITS >> (id[i] >> 4) & 1) + (SIX_BITS >> (id[i] & 15) & 1);
	return bits;
}

/* An id that is as long as the one that came, in the static Huffman code. */
static bool overwrite_huffman(struct exchange *e, struct span_context *own, char *to, size_t n)
{
	char value[TRACEPARENT_LEN + 1];
	const struct bytes text = { value, TRACEPARENT_LEN };
	size_t rest;

	traceparent_format(value, own);
	rest = hpack_huffman_bits(text) - huffman_bits(own->span_id);
	for (unsigned i = 0; (rest + huffman_bits(own->span_id) + 7) / 8 != n; i++) {
		if (i == ID_TRIES)
			return false;
		id_new_span(own->span_id, ID_SERVER);
	}
	traceparent_format(value, own);
	hpack_huffman_put(to, n, text);
	shared_context_set(&e->context, own);
	return true;
}

static bool overwrite(const struct h2_block *b, const struct h2_decoded *d, char *to)
{
	const struct hpack_field *field = &d->head.traceparent_place;
	struct span_context own;
	char value[TRACEPARENT_LEN + 1];

	if (!carrier_is_traceparent() || !d->opened->traceparent ||
	    field->value.n != TRACEPARENT_LEN || field->end > b->bytes.n ||
	    (field->form != HPACK_WITHOUT_INDEXING && field->form != HPACK_NEVER_INDEXED))
		return false;
	shared_context_get(&own, &d->opened->context);
	to += field->value_at;
	if (field->huffman)
		return overwrite_huffman(d->opened, &own, to, field->end - field->value_at);
	traceparent_format(value, &own);
	memcpy(to, value, TRACEPARENT_LEN);
	return true;
}

static size_t literal(char *to, size_t room, const struct exchange *e)
{
	char line_room[INBOUND_HEADER_LEN];
	struct text line = TEXT_ON(line_room);
	struct span_context own;
	struct bytes value, name;

	shared_context_get(&own, &e->context);
	carrier_put_line(&line, &own, e->debug, BYTES(""));
	value = text_bytes(&line);
	name = bytes_split(&value, ':');
	return hpack_put(to, room, name, bytes_trim(value));
}

/* Behind the block's last field; the frame's length, at `frame` in the piece, grows. */
static size_t insert(const struct h2_block *b, const struct h2_decoded *d, struct piece *piece,
		     ssize_t frame)
{
	const struct h2_side *in = &b->c->h2->in;
	size_t at = (size_t)(b->bytes.p + b->bytes.n - piece->p), n;
	char text[INBOUND_HEADER_LEN];
	uint32_t length;

	n = frame < 0 ? 0 : literal(text, sizeof(text), d->opened);
	if (!n || piece->room < n || !memory_writable(piece->p + piece->n, n))
		return 0;
	length = (h2_get_u32(piece->p + frame) >> 8) + (uint32_t)n;
	if (length > in->frame_max ||
	    !h2_fields_allowed(d->head.list_size, d->head.list_size + n + 32, in->list_max))
		return 0;
	memmove(piece->p + at + n, piece->p + at, piece->n - at);
	memcpy(piece->p + at, text, n);
	h2_frame_put_length(piece->p + frame, length);
	piece->n += n;
	piece->room -= n;
	return n;
}

size_t h2_inbound_rewrite(const struct h2_block *b, struct h2_decoded *d,
			  struct inbound_place *place, ssize_t frame)
{
	char *block = place->piece->p + (b->bytes.p - place->piece->p);
	size_t added = 0;
	bool done = false;

	switch (inbound_way(d->opened, &d->head.head)) {
	case INBOUND_OVERWRITE:
		done = overwrite(b, d, block);
		break;
	case INBOUND_INSERT:
		added = insert(b, d, place->piece, frame);
		done = added;
		break;
	case INBOUND_LEAVE:
		break;
	}
	if (done)
		inbound_note(d->opened);
	return added;
}
