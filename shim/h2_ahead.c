/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/h2_ahead.h"

void h2_ahead_free(struct h2 *h)
{
	if (h->ahead && h->ahead->entry != h->ahead->few)
		block_put(h->ahead->entry);
	h->ahead = NULL;
}

/* From the connection into a block. */
static bool move(struct h2_ahead *ahead)
{
	size_t size;
	struct h2_ahead_entry *block = block_get(H2_AHEAD_MAX * sizeof(*block), &size);

	if (!block)
		return false;
	memcpy(block, ahead->few, sizeof(ahead->few));
	ahead->entry = block;
	return true;
}

struct h2_ahead_entry *h2_ahead_add(struct h2 *h, const struct h2_block *b)
{
	struct h2_ahead *ahead = &h->own_ahead;
	struct h2_ahead_entry *entry;

	if (!h->ahead) {
		ahead->count = 0;
		ahead->entry = ahead->few;
		h->ahead = ahead;
	}
	if (ahead->count == H2_AHEAD_MAX ||
	    (ahead->entry == ahead->few && ahead->count == H2_AHEAD_FEW && !move(ahead)))
		return NULL;
	entry = &ahead->entry[ahead->count++];
	*entry = (struct h2_ahead_entry){ .stream = b->stream,
					  .length = (uint32_t)b->bytes.n,
					  .ends = b->ends };
	return entry;
}

int h2_ahead_left(struct conn *c, const struct h2_block *b)
{
	struct h2_ahead *ahead = c->h2->ahead;
	struct exchange *e;

	if (!ahead)
		return 0;
	if (ahead->entry[0].stream != b->stream || ahead->entry[0].length != b->bytes.n)
		return -EBADMSG;
	e = c->role == CONN_CLIENT ? h2_find(c->h2, b->stream) : NULL;
	if (e)
		h2_stream_left(e);
	if (--ahead->count)
		memmove(ahead->entry, ahead->entry + 1, ahead->count * sizeof(ahead->entry[0]));
	else
		h2_ahead_free(c->h2);
	h2_block_over(b);
	return 1;
}
