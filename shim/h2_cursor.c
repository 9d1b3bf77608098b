/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/h2_cursor.h"

#include "base/readable.h"

/* To the next part that is not empty. False: there is none. */
static bool next_part(struct h2_cursor *c)
{
	while (!c->here.n && c->part < c->w->program_count) {
		const struct iovec *part = &c->w->program[c->part++];

		c->here = (struct bytes){ part->iov_base, part->iov_len };
	}
	return c->here.n;
}

bool h2_cursor_skip(struct h2_cursor *c, size_t n)
{
	c->at += n;
	while (n > c->here.n) {
		n -= c->here.n;
		c->here.n = 0;
		if (!next_part(c))
			return false;
	}
	if (n) {
		c->here.p += n;
		c->here.n -= n;
	}
	return true;
}

/* What there is of the next n bytes in one piece, at least one of them, and passes it by. False:
 * there is nothing, or it cannot be read. */
static bool take_some(struct h2_cursor *c, size_t n, struct bytes *out)
{
	if (!c->here.n && !next_part(c))
		return false;
	*out = (struct bytes){ c->here.p, n < c->here.n ? n : c->here.n };
	if (!memory_readable(out->p, out->n))
		return false;
	h2_cursor_skip(c, out->n);
	return true;
}

const char *h2_cursor_take(struct h2_cursor *c, char *room, size_t n)
{
	struct bytes some;

	for (size_t got = 0; got < n; got += some.n) {
		if (!take_some(c, n - got, &some))
			return NULL;
		if (some.n == n)
			return some.p;
		memcpy(room + got, some.p, some.n);
	}
	return room;
}

int h2_cursor_view(struct h2_cursor *c, size_t n, struct h2_buffer *copy, struct bytes *out)
{
	uint32_t before = copy->n;
	struct bytes some = { "", 0 };

	*out = some;
	for (size_t got = 0; got < n; got += some.n) {
		int err;

		if (!take_some(c, n - got, &some))
			return -ENODATA;
		if (some.n == n) {
			*out = some;
			return 0;
		}
		err = h2_buffer_add(copy, some);
		if (err)
			return err;
		*out = (struct bytes){ copy->p + before, copy->n - before };
	}
	return 0;
}
