/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/vector.h"

#include "base/readable.h"
#include "shim/block.h"

bool vector_is_single(const struct shim_write *w)
{
	return w->call == SHIM_CALL_WRITE || w->call == SHIM_CALL_SEND ||
	       w->call == SHIM_CALL_TLS_AGAIN;
}

size_t vector_room(const struct shim_write *w)
{
	size_t parts = (size_t)w->program_count + 1, merged = 0;

	/* At the limit the part that holds the end of the head goes into the image as a whole. */
	if (parts > VECTOR_PARTS_MAX)
		for (int i = 0; i < w->program_count && !merged; i++)
			merged = w->program[i].iov_len;
	return parts * sizeof(struct iovec) + 16 + merged;
}

bool vector_readable(const struct shim_write *w, size_t n)
{
	for (int i = 0; i < w->program_count && n; i++) {
		size_t part = w->program[i].iov_len < n ? w->program[i].iov_len : n;

		if (!memory_readable(w->program[i].iov_base, part))
			return false;
		n -= part;
	}
	return true;
}

struct bytes vector_beginning(const struct shim_write *w, size_t n)
{
	for (int i = 0; i < w->program_count; i++) {
		size_t part = w->program[i].iov_len < n ? w->program[i].iov_len : n;

		if (part && memory_readable(w->program[i].iov_base, part))
			return (struct bytes){ w->program[i].iov_base, part };
		if (part)
			break;
	}
	return (struct bytes){ "", 0 };
}

char vector_last(const struct shim_write *w)
{
	for (int i = w->program_count; i-- > 0;)
		if (w->program[i].iov_len)
			return ((const char *)w->program[i].iov_base)[w->program[i].iov_len - 1];
	return 0;
}

size_t vector_copy(const struct shim_write *w, char *to, size_t n)
{
	size_t at = 0;

	for (int i = 0; i < w->program_count && at < n; i++) {
		size_t part = w->program[i].iov_len;

		if (part > n - at)
			part = n - at;
		memcpy(to + at, w->program[i].iov_base, part);
		at += part;
	}
	return at;
}

bool vector_copy_at(const struct shim_write *w, size_t from, char *to, size_t n)
{
	for (int i = 0; i < w->program_count && n; i++) {
		size_t part = w->program[i].iov_len;
		const char *p = (const char *)w->program[i].iov_base + from;

		if (from >= part) {
			from -= part;
			continue;
		}
		part -= from;
		from = 0;
		if (part > n)
			part = n;
		if (!memory_readable(p, part))
			return false;
		memcpy(to, p, part);
		to += part;
		n -= part;
	}
	return !n;
}

static void offer_one(struct shim_write *w, char *p, size_t n)
{
	w->one = (struct iovec){ p, n };
	w->iov = &w->one;
	w->iovcnt = 1;
	w->offered = w->moved + n;
}

/* The image's rest with as many of the program's bytes behind it as there is room for. */
static void offer_single(struct shim_write *w, const struct image_rest *r)
{
	size_t copied = r->until - r->skip;
	const char *from = (const char *)w->program[0].iov_base + r->skip;

	if (copied > r->size - r->end)
		copied = r->size - r->end;
	/* What cannot be read is left to the kernel: it goes by itself. */
	if (!memory_readable(from, copied))
		copied = 0;
	if (copied)
		memcpy(r->image + r->end, from, copied);
	offer_one(w, r->image + r->sent, r->end - r->sent + copied);
}

/* The program's bytes before its part i. */
static size_t before(const struct shim_write *w, int i)
{
	size_t n = 0;

	while (i-- > 0)
		n += w->program[i].iov_len;
	return n;
}

/* The program's bytes [from, to) as parts, added to what is offered. Their number. */
static int parts_between(struct shim_write *w, size_t from, size_t to, struct iovec *out)
{
	size_t at = 0;
	int n = 0;

	for (int i = 0; i < w->program_count && at < to; i++) {
		size_t len = w->program[i].iov_len, start = from > at ? from - at : 0;
		size_t end = to - at < len ? to - at : len;

		if (start < end) {
			out[n] = (struct iovec){ (char *)w->program[i].iov_base + start,
						 end - start };
			w->offered += out[n++].iov_len;
		}
		at += len;
	}
	return n;
}

static bool offer_parts(struct shim_write *w, const struct image_rest *r)
{
	size_t left = r->size - r->end, skip = r->skip;
	char *tail = r->image + r->end;
	struct iovec *out;
	int i = 0, n = 1;

	while (i < w->program_count && skip >= w->program[i].iov_len)
		skip -= w->program[i++].iov_len;
	if (w->program_count - i + 1 > VECTOR_PARTS_MAX) {
		size_t rest = w->program[i].iov_len - skip;

		if (rest > left || !memory_readable((char *)w->program[i].iov_base + skip, rest))
			return false;
		memcpy(tail, (char *)w->program[i].iov_base + skip, rest);
		tail += rest;
		i++;
		skip = 0;
	}
	out = (struct iovec *)(((uintptr_t)tail + 15) & ~(uintptr_t)15);
	if ((char *)(out + (w->program_count - i + 1)) > r->image + r->size)
		return false;
	out[0] = (struct iovec){ r->image + r->sent, (size_t)(tail - r->image) - r->sent };
	w->offered = w->moved + out[0].iov_len;
	if (i < w->program_count)
		n += parts_between(w, skip + before(w, i), r->until, out + 1);
	w->iov = out;
	w->iovcnt = n;
	return true;
}

void vector_offer_part(struct shim_write *w, size_t from, size_t to, void *room)
{
	w->offered = w->moved;
	if (vector_is_single(w)) {
		offer_one(w, (char *)w->program[0].iov_base + from, to - from);
		return;
	}
	w->iov = room;
	w->iovcnt = parts_between(w, from, to, room);
}

bool vector_offer_image(struct shim_write *w, const struct image_rest *r)
{
	if (!vector_is_single(w))
		return offer_parts(w, r);
	offer_single(w, r);
	return true;
}

void vector_offer_alone(struct shim_write *w, const struct image_rest *r)
{
	offer_one(w, r->image + r->sent, r->end - r->sent);
}

bool vector_offer(struct shim_write *w, const struct alteration *a)
{
	size_t end = a->before + a->added;
	size_t skip = a->sent < a->before ? a->before - a->sent : 0;
	struct image_rest rest;

	w->block = a->image;
	if (a->sent >= end) /* nothing of the image is left */
		return true;
	if (skip >= w->program_bytes && (skip || w->program_count)) {
		/* Not even the head is whole this time: as much of the image as the program offers.
		 */
		w->own_at = w->program_bytes;
		offer_one(w, a->image + a->sent, w->program_bytes);
		return true;
	}
	w->own_at = skip;
	w->own = end - a->sent - skip;
	rest = (struct image_rest){ a->image, a->image_size, a->sent, end, skip, w->program_bytes };
	if (vector_offer_image(w, &rest))
		return true;
	if (!a->sent) {
		w->own_at = w->own = 0;
		w->block = NULL;
		return false;
	}
	/* A retry with a longer vector than the first try had: the image goes alone, and the
	 * program's parts follow in a call of their own. */
	vector_offer_alone(w, &rest);
	return true;
}

bool vector_offer_rest(struct shim_write *w, size_t taken)
{
	int i = 0;

	while (i < w->program_count && taken >= w->program[i].iov_len)
		taken -= w->program[i++].iov_len;
	if (i == w->program_count)
		return false;
	if (taken == 0) {
		size_t n = 0;

		w->iov = (struct iovec *)(uintptr_t)&w->program[i];
		w->iovcnt = w->program_count - i;
		for (; i < w->program_count; i++)
			n += w->program[i].iov_len;
		w->offered = w->moved + n;
		return true;
	}
	offer_one(w, (char *)w->program[i].iov_base + taken, w->program[i].iov_len - taken);
	return true;
}

bool vector_advance(struct shim_write *w, size_t n)
{
	w->iov[0].iov_base = (char *)w->iov[0].iov_base + n;
	w->iov[0].iov_len -= n;
	return true;
}

void vector_abandon(struct shim_write *w)
{
	/* Its last descriptor is gone, so nobody else frees the image. */
	if (atomic_load_explicit(&w->conn->generation, memory_order_relaxed) != w->generation)
		block_put(w->block);
}
