/* SPDX-License-Identifier: Apache-2.0 */
/* Sending on an HTTP/2 connection. A call goes out in rounds: each offers the kernel an image of
 * the frames that are altered, and the program's own bytes behind it. What the kernel took is
 * translated back, so that only the program's bytes count. If it stops inside an image, the rest
 * waits for the program's next call: at least one byte of the program's is unsent by then. */
#include "base/counters.h"
#include "base/host_errno.h"
#include "shim/h2_edit.h"
#include "shim/h2_look.h"
#include "shim/inject.h"
#include "shim/vector.h"

#define COPIED_MAX 32768 /* of the program's bytes, so that one call takes all */

static void drop(struct conn *c)
{
	block_put(c->alter.image); /* by who writes it: nobody else looks at it */
	c->alter.image = NULL;
	h2_edits_free(c->h2);
	alteration_drop(c);
}

static void give_up(struct conn *c, int fd, int err)
{
	if (err == -ENOMEM)
		count(opaque_memory);
	else if (err == -EMSGSIZE || err == -E2BIG)
		count(opaque_limit);
	else
		count(opaque_framing);
	conn_give_up(c, fd);
}

void h2_give_up(struct conn *c, int fd, int err)
{
	give_up(c, fd, err);
}

/* Room for what the call needs behind the image; without it the image goes in a call of its own. */
static void make_room(struct conn *c, const struct shim_write *w, size_t until)
{
	const struct h2_edits *e = c->h2->edits;
	size_t rest = until - w->base - e->covered;

	if (!vector_is_single(w))
		h2_edits_room(c, vector_room(w));
	else
		h2_edits_room(c, rest < COPIED_MAX ? rest : COPIED_MAX);
}

/* The image, or what is left of it, and the program's bytes behind it as far as its byte `until`.
 */
static void offer(struct conn *c, struct shim_write *w, size_t until)
{
	struct alteration *a = &c->alter;
	const struct h2_edits *e = c->h2->edits;
	struct image_rest r = {
		a->image, a->image_size, a->sent, e->total, w->base + (e->covered - e->taken), until
	};

	w->prepared = true;
	w->block = a->image;
	/* To be completed, whatever becomes of the connection. */
	a->head = 1;
	if (r.skip > w->program_bytes) /* the program comes again with less */
		r.end = h2_edits_image(e, e->taken + (w->program_bytes - w->base));
	/* What comes behind an image that was cut has not been looked at. */
	if (r.skip > w->program_bytes || a->sent || !vector_offer_image(w, &r))
		vector_offer_alone(w, &r);
}

/* What stands before a block for which there was no room: it goes first. */
static bool offer_before(struct conn *c, struct shim_write *w, size_t until)
{
	struct alteration *a = &c->alter;

	if (!vector_is_single(w)) {
		a->image = block_get(vector_room(w), &a->image_size);
		w->block = a->image;
		if (!a->image)
			return false;
	}
	vector_offer_part(w, w->base, until, a->image);
	return true;
}

/* What the next call into the kernel gets. False: nothing but what is there already. */
static bool round_begins(struct conn *c, struct shim_write *w)
{
	size_t until = SIZE_MAX;
	int err;

	w->moved = 0;
	w->prepared = false;
	if (c->h2->edits) {
		offer(c, w, w->program_bytes);
		return true;
	}
	err = h2_look(c, w, &until);
	until = until == SIZE_MAX ? w->program_bytes : w->base + until;
	if (c->h2->edits && (err || !c->h2->edits->count))
		drop(c);
	if (!err && c->h2->edits) {
		make_room(c, w, until);
		offer(c, w, until);
		return true;
	}
	if (!err && until < w->program_bytes && offer_before(c, w, until))
		return true;
	if (err)
		give_up(c, w->fd, err);
	return false;
}

void h2_write_begin(struct conn *c, struct shim_write *w)
{
	w->h2 = true;
	round_begins(c, w);
	/* Given up: what the program writes goes as it is. */
	if (!c->h2)
		w->conn = NULL;
}

/* The image has left whole, or the call was not for it. */
static size_t image_over(struct conn *c, size_t beyond)
{
	const struct h2_edits *e = c->h2->edits;
	size_t taken = e->covered - e->taken + beyond;

	drop(c);
	return taken;
}

/* Of the program's bytes, those that the image's next ones up to `at` stand for. If it is all that
 * the program has, and not all of what is put in behind it, it keeps a byte, so that it comes
 * again. */
static size_t told_at(const struct conn *c, const struct shim_write *w, size_t at)
{
	const struct h2_edits *e = c->h2->edits;
	size_t taken = h2_edits_program(e, at) - e->taken;

	if (taken && w->base + taken == w->program_bytes &&
	    at < h2_edits_image(e, e->taken + taken))
		taken--;
	return taken;
}

/* How many of the program's bytes this round has sent. */
static size_t taken_of(struct conn *c, const struct shim_write *w)
{
	struct alteration *a = &c->alter;
	struct h2_edits *e = c->h2->edits;
	size_t at = a->sent + w->moved, taken;

	if (!w->prepared) {
		if (a->image) /* no image: the parts of offer_before() */
			drop(c);
		return w->moved;
	}
	if (at >= e->total)
		return image_over(c, at - e->total);
	if (!at) { /* nothing has left: the program may come again with something else */
		drop(c);
		return 0;
	}
	taken = told_at(c, w, at);
	if (!h2_edits_cut(e, at)) {
		drop(c);
		return taken;
	}
	a->sent = at;
	a->before = 0;
	a->added = e->total;
	e->taken += (uint32_t)taken;
	return taken;
}

/* The program's bytes [from, to) of the call have been sent. */
static void settle(struct conn *c, struct shim_write *w, size_t taken)
{
	w->base += taken;
	w->moved = 0;
	if (c->role != CONN_OPAQUE)
		inject_sent(c, w, w->base - taken, w->base);
	else if (c->h2 && !c->h2->edits)
		conn_forget(c, w->fd); /* the rest that was waited for has left */
}

static ssize_t result(const struct shim_write *w, ssize_t n, bool taken_over)
{
	if (w->base || n == 0 || (n > 0 && !w->program_bytes))
		return (ssize_t)w->base;
	if (n > 0) { /* only bytes of ours have left: to the program nothing has */
		host_errno_set(taken_over ? EBADF : EAGAIN);
		return -1;
	}
	return n;
}

/* The connection is not followed any more: given up, or its last descriptor was closed while the
 * call was under way. What was given up in the middle of a call is sent all the same. */
static bool again_unseen(struct shim_write *w, ssize_t *n)
{
	bool all = *n > 0 && w->moved + (size_t)*n == w->offered;
	size_t left = w->program_bytes - w->base;

	vector_abandon(w);
	if (*n > 0)
		w->base += (size_t)*n < left ? (size_t)*n : left;
	if (w->given_up && all && w->base < w->program_bytes &&
	    !conn_taken_over(w->conn, w->fd, w->generation))
		return vector_offer_rest(w, w->base);
	if (w->base)
		*n = (ssize_t)w->base;
	return false;
}

bool h2_write_again(struct shim_write *w, ssize_t *n)
{
	int error = *n < 0 ? host_errno() : 0;
	struct conn *c = conn_reacquire(w->conn, w->fd, w->generation);
	bool more = false;
	size_t taken;

	if (!c || !c->h2) {
		if (c) { /* given up while the kernel had it: the image was left to us */
			block_put(w->block);
			conn_release(c);
			w->block = NULL;
		}
		return again_unseen(w, n);
	}
	if (*n > 0)
		w->moved += (size_t)*n;
	if (*n > 0 && w->prepared && w->moved < w->offered && !w->base &&
	    !told_at(c, w, c->alter.sent + w->moved) && inject_is_blocking(w)) {
		conn_release(c);
		return vector_advance(w, (size_t)*n);
	}
	more = *n > 0 && w->moved == w->offered;
	atomic_store_explicit(&c->writing, 0, memory_order_relaxed);
	taken = taken_of(c, w);
	if (!c->alter.image)
		w->block = NULL;
	settle(c, w, taken);
	if (more && c->h2 && c->role != CONN_OPAQUE && w->base < w->program_bytes) {
		atomic_store_explicit(&c->writing, w->mark, memory_order_relaxed);
		if (!round_begins(c, w) && !vector_offer_rest(w, w->base))
			more = false;
	} else {
		more = more && w->base < w->program_bytes && vector_offer_rest(w, w->base);
	}
	if (inject_is_fatal(error))
		stream_write_failed(c, error);
	w->given_up = !c->h2;
	conn_release(c);
	if (!more)
		*n = result(w, *n, conn_taken_over(w->conn, w->fd, w->generation));
	return more;
}
