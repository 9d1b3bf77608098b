/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/h2_ahead.h"

void h2_ahead_free(struct h2 *h)
{
	block_put(h->ahead);
	h->ahead = NULL;
}

struct h2_ahead_entry *h2_ahead_add(struct h2 *h, const struct h2_block *b)
{
	struct h2_ahead_entry *entry;
	size_t size;

	if (!h->ahead) {
		h->ahead = block_get(sizeof(struct h2_ahead), &size);
		if (h->ahead)
			h->ahead->count = 0;
	}
	if (!h->ahead || h->ahead->count == H2_AHEAD_MAX)
		return NULL;
	entry = &h->ahead->entry[h->ahead->count++];
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
