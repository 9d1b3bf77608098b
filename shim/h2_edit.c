/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/h2_edit.h"

#include "shim/vector.h"

void h2_edits_free(struct h2 *h)
{
	if (h->edits && h->edits->edit != h->edits->few)
		block_put(h->edits->edit);
	h->edits = NULL;
}

struct h2_edits_mark h2_edits_mark(const struct h2 *h)
{
	const struct h2_edits *e = h->edits;

	if (!e)
		return (struct h2_edits_mark){ 0, 0, 0 };
	return (struct h2_edits_mark){ e->covered, e->total, e->count };
}

void h2_edits_back(struct h2 *h, struct h2_edits_mark mark)
{
	struct h2_edits *e = h->edits;

	if (!e)
		return;
	e->covered = mark.covered;
	e->total = mark.total;
	e->count = mark.count;
}

static void begin(struct h2 *h)
{
	if (h->edits)
		return;
	h->edits = &h->own_edits;
	memset(h->edits, 0, offsetof(struct h2_edits, edit));
	h->edits->edit = h->edits->few;
}

/* Room for one more; false: there is none. */
static bool edit_room(struct h2_edits *e)
{
	struct h2_edit *block;
	size_t size;

	if (e->edit != e->few)
		return e->count < H2_EDITS_MAX;
	if (e->count < H2_EDITS_FEW)
		return true;
	block = block_get(H2_EDITS_MAX * sizeof(*block), &size);
	if (!block)
		return false;
	memcpy(block, e->few, sizeof(e->few));
	e->edit = block;
	return true;
}

char *h2_edits_room(struct conn *c, size_t n)
{
	struct alteration *a = &c->alter;
	size_t have = c->h2->edits ? c->h2->edits->total : 0, size;
	char *block;

	if (a->image && a->image_size - have >= n)
		return a->image + have;
	block = block_get(have + n, &size);
	if (!block)
		return NULL;
	if (have && a->image)
		memcpy(block, a->image, have);
	block_put(a->image);
	a->image = block;
	a->image_size = size;
	return block + have;
}

int h2_edits_copy(struct conn *c, const struct shim_write *w, size_t at)
{
	struct h2_edits *e;
	char *to;
	size_t n;

	begin(c->h2);
	e = c->h2->edits;
	n = at - e->covered;
	to = h2_edits_room(c, n);
	if (!to)
		return -ENOMEM;
	if (!vector_copy_at(w, w->base + e->covered, to, n))
		return -EFAULT;
	e->covered += (uint32_t)n;
	e->total += (uint32_t)n;
	return 0;
}

int h2_edits_begin_block(struct conn *c, const struct shim_write *w, size_t at)
{
	int err = h2_edits_copy(c, w, at);

	if (!err)
		c->h2->edits->block = c->h2->edits->total;
	return err;
}

int h2_edits_replace(struct conn *c, size_t del, struct bytes text)
{
	struct h2_edits *e = c->h2->edits;
	char *to = h2_edits_room(c, text.n);

	if (!to || !edit_room(e) || text.n > UINT16_MAX || del > UINT16_MAX)
		return -ENOMEM;
	memmove(to, text.p, text.n);
	e->edit[e->count++] =
		(struct h2_edit){ e->covered, e->total, e->block, (uint16_t)del, (uint16_t)text.n };
	e->covered += (uint32_t)del;
	e->total += (uint32_t)text.n;
	return 0;
}

size_t h2_edits_program(const struct h2_edits *e, size_t n)
{
	size_t into;
	const struct h2_edit *last;
	uint32_t i = e->count;

	while (i && e->edit[i - 1].image > n)
		i--;
	if (!i)
		return n;
	last = &e->edit[i - 1];
	into = n - last->image;
	if (into >= last->ins)
		return last->program + last->del + (into - last->ins);
	if (into >= last->del)
		into = last->del ? last->del - 1u : 0;
	return last->program + into;
}

bool h2_edits_cut(struct h2_edits *e, size_t n)
{
	const struct h2_edit *last;

	while (e->count && e->edit[e->count - 1].block >= n)
		e->count--;
	if (!e->count)
		return false;
	last = &e->edit[e->count - 1];
	e->covered = last->program + last->del;
	e->total = last->image + last->ins;
	return n < e->total;
}

size_t h2_edits_image(const struct h2_edits *e, size_t n)
{
	const struct h2_edit *last;
	uint32_t i = e->count;
	size_t into;

	while (i && e->edit[i - 1].program > n)
		i--;
	if (!i)
		return n;
	last = &e->edit[i - 1];
	into = n - last->program;
	if (into < last->del)
		return last->image + (into < last->ins ? into : last->ins);
	return last->image + last->ins + (into - last->del);
}
