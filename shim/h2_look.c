/* SPDX-License-Identifier: Apache-2.0 */
/* Before the call: where the frames are, which of them hold whole header blocks, and what goes into
 * those. Nothing here counts as sent: frames are walked again when they have left (h2.c). */
#include "shim/h2_look.h"

#include "base/counters.h"
#include "shim/h2_cursor.h"
#include "shim/h2_edit.h"
#include "shim/h2_fields.h"
#include "shim/vector.h"

struct look {
	struct conn *c;
	const struct shim_write *w;
	struct h2_cursor at;   /* from w->base on */
	uint32_t settings;     /* SETTINGS met */
	uint32_t known;        /* blocks met that were decoded at an earlier look */
	bool proven;           /* SETTINGS came first */
	size_t until;          /* no room for what begins here; SIZE_MAX: there was */
	struct h2_buffer copy; /* of what does not stand in one piece */
	char *room;            /* what heads stand in, or NULL */
	size_t room_size;
};

/* A block, and the frame in which it ends: offsets from w->base on. */
struct whole_block {
	struct h2_block block;
	struct h2_frame frame;
	size_t begins_at; /* its first frame; head_at: the last */
	size_t head_at, fragment_at, fragment_n;
	bool one_frame;
};

/* ---- editing ---- */

/* The traceparent of the block by ours. */
static int replace(struct look *l, const struct whole_block *b, const struct h2_ahead_entry *entry,
		   const struct exchange *e)
{
	char literal[H2_TRACEPARENT_LITERAL];
	int err = h2_edits_copy(l->c, l->w, b->fragment_at + entry->at);

	if (err)
		return err;
	h2_fields_replacement(literal, entry, e);
	return h2_edits_replace(l->c, entry->end - entry->at,
				(struct bytes){ literal, sizeof(literal) });
}

/* What the block lacks. */
static int append(struct look *l, const struct whole_block *b, const struct h2_ahead_entry *entry,
		  const struct exchange *e)
{
	size_t room = h2_fields_room(e), list = entry->list, n;
	char *to;
	int err = h2_edits_copy(l->c, l->w, b->fragment_at + b->fragment_n);

	if (err)
		return err;
	to = h2_edits_room(l->c, room);
	if (!to)
		return -ENOMEM;
	n = h2_fields_put(to, room, entry, e, &list);
	if (!h2_fields_allowed(entry->list, list, l->c->h2->out.list_max))
		return -EMSGSIZE;
	return n ? h2_edits_replace(l->c, 0, (struct bytes){ to, n }) : -ENOENT;
}

/* begun: the state behind the three bytes of the length. */
static int patch_length(struct look *l, const struct whole_block *b, struct h2_edits_mark begun)
{
	const struct h2_edits *e = l->c->h2->edits;
	uint32_t grown = (e->total - begun.total) - (e->covered - begun.covered);

	if (b->frame.length + grown > l->c->h2->out.frame_max)
		return -EMSGSIZE;
	h2_frame_put_length(l->c->alter.image + begun.total - 3, b->frame.length + grown);
	return 0;
}

/* The frame's length first, then what goes into it. */
static int edit(struct look *l, const struct whole_block *b, const struct h2_ahead_entry *entry,
		const struct exchange *e)
{
	struct h2_edits_mark begun, replaced;
	int err = h2_edits_begin_block(l->c, l->w, b->begins_at);

	if (!err)
		err = h2_edits_copy(l->c, l->w, b->head_at);
	if (!err)
		err = h2_edits_replace(l->c, 3, (struct bytes){ "\0\0", 3 });
	if (err)
		return err;
	begun = h2_edits_mark(l->c->h2);
	if (entry->action != H2_INSERT)
		err = replace(l, b, entry, e);
	replaced = h2_edits_mark(l->c->h2);
	if (!err && entry->action != H2_RESTORE)
		err = append(l, b, entry, e);
	/* What is replaced does not depend on room for more. */
	if (err && entry->action == H2_REPLACE && replaced.count > begun.count) {
		h2_edits_back(l->c->h2, replaced);
		err = 0;
	}
	return err ? err : patch_length(l, b, begun);
}

static void count_edit(const struct h2_ahead_entry *entry, struct exchange *e, int err)
{
	if (!err && entry->action == H2_INSERT)
		e->stream_state |= H2_STREAM_INSERTED;
	else if (!err && entry->action == H2_REPLACE)
		e->stream_state |= H2_STREAM_REPLACED;
	else if (err == -EMSGSIZE)
		count(inject_skipped_limit);
	else if (err == -ENOMEM)
		count(inject_skipped_memory);
	else if (err && err != -ENOENT)
		count(inject_skipped_vector);
	if (err && entry->action == H2_REPLACE)
		h2_fields_leave(e);
}

static void edit_block(struct look *l, const struct whole_block *b,
		       const struct h2_ahead_entry *entry)
{
	struct exchange *e = h2_fields_owner(entry);
	struct h2_edits_mark mark = h2_edits_mark(l->c->h2);
	int err = -EOPNOTSUPP;

	if (!e)
		return;
	if (b->one_frame || entry->action == H2_INSERT)
		err = edit(l, b, entry, e);
	if (err)
		h2_edits_back(l->c->h2, mark);
	/* Once what stands before it has left there may be room. */
	if (err == -ENOMEM && b->begins_at) {
		l->until = b->begins_at;
		return;
	}
	count_edit(entry, e, err);
	if (!err && entry->action != H2_INSERT && entry->form == HPACK_INDEXING)
		l->c->h2->value_in_table = true;
}

/* ---- blocks ---- */

static int decode_new(struct look *l, const struct whole_block *b, struct h2_ahead_entry **out)
{
	struct h2_decoded d;
	struct h2_ahead_entry *entry = h2_ahead_add(l->c->h2, &b->block);
	int err;

	if (!entry) { /* as many as can be remembered; if it is none, all goes as it is */
		l->until = b->begins_at ? b->begins_at : SIZE_MAX;
		return -ENODATA;
	}
	*out = entry;
	d.room = l->room;
	d.size = l->room_size;
	err = h2_decode(&b->block, &d);
	if (!err)
		err = h2_block_take(&b->block, &d, false);
	if (!err && d.opened)
		h2_fields_plan(entry, &b->block, &d);
	l->room = d.room;
	l->room_size = d.size;
	return err;
}

static void note_ending(struct look *l, uint32_t stream)
{
	struct exchange *e = l->c->role == CONN_SERVER ? h2_find(l->c->h2, stream) : NULL;

	if (e)
		e->stream_state |= H2_STREAM_ENDING;
}

static int whole_block(struct look *l, const struct whole_block *b)
{
	struct h2_ahead *ahead = l->c->h2->ahead;
	struct h2_ahead_entry *entry;
	int err = 0;

	if (ahead && l->known < ahead->count) {
		entry = &ahead->entry[l->known];
		if (entry->stream != b->block.stream || entry->length != b->block.bytes.n)
			return -EBADMSG;
	} else {
		err = decode_new(l, b, &entry);
	}
	if (err)
		return err;
	edit_block(l, b, entry);
	if (l->until != SIZE_MAX)
		return -ENODATA;
	l->known++;
	if (b->block.ends)
		note_ending(l, b->block.stream);
	return 0;
}

/* The payload of the frame whose head was taken, and its part of a block. */
static int take_fragment(struct look *l, struct whole_block *b, struct bytes *fragment)
{
	struct bytes payload;
	int err;

	b->head_at = l->at.at - H2_FRAME_HEAD;
	err = h2_cursor_view(&l->at, b->frame.length, &l->copy, &payload);
	if (!err)
		err = h2_frame_fragment(fragment, &b->frame, payload);
	if (err)
		return err;
	b->fragment_at = b->head_at + H2_FRAME_HEAD + (size_t)(fragment->p - payload.p);
	b->fragment_n = fragment->n;
	return 0;
}

static int take_head(struct look *l, struct h2_frame *f)
{
	char room[H2_FRAME_HEAD];
	const char *head = h2_cursor_take(&l->at, room, sizeof(room));

	if (!head)
		return -ENODATA;
	*f = h2_frame_unpack(head);
	return 0;
}

/* A block in more frames than one: as one piece in a buffer of its own. */
static int take_continuations(struct look *l, struct whole_block *b, struct bytes first,
			      struct h2_buffer *all)
{
	struct bytes fragment = first;
	int err = h2_buffer_add(all, first);

	while (!err && !(b->frame.flags & H2_FLAG_END_HEADERS)) {
		err = take_head(l, &b->frame);
		if (!err &&
		    (b->frame.type != H2_CONTINUATION || b->frame.stream != b->block.stream))
			err = -EBADMSG;
		if (!err)
			err = take_fragment(l, b, &fragment);
		if (!err)
			err = h2_buffer_add(all, fragment);
	}
	b->block.bytes = (struct bytes){ all->p, all->n };
	return err;
}

static int look_at_block(struct look *l, const struct h2_frame *f)
{
	struct whole_block b = {
		.block = { .c = l->c, .fd = l->w->fd, .out = true, .type = f->type },
		.frame = *f,
		.one_frame = f->flags & H2_FLAG_END_HEADERS,
	};
	struct h2_buffer all = { .p = NULL };
	int err;

	b.begins_at = l->at.at - H2_FRAME_HEAD;
	b.block.stream = f->stream;
	b.block.ends = f->type == H2_HEADERS && f->flags & H2_FLAG_END_STREAM;
	err = f->length > H2_PAYLOAD_MAX ? -EMSGSIZE : take_fragment(l, &b, &b.block.bytes);
	if (!err && !b.one_frame)
		err = take_continuations(l, &b, b.block.bytes, &all);
	if (!err)
		err = whole_block(l, &b);
	h2_buffer_free(&all);
	h2_buffer_free(&l->copy);
	return err;
}

/* ---- frames ---- */

static int look_at_settings(struct look *l, const struct h2_frame *f)
{
	struct bytes payload;
	int err = f->length > H2_MAX_FRAME_DEFAULT
			  ? -EMSGSIZE
			  : h2_cursor_view(&l->at, f->length, &l->copy, &payload);

	if (!err && l->settings++ >= l->c->h2->settings_ahead)
		err = h2_settings_leave(l->c, payload);
	h2_buffer_free(&l->copy);
	return err;
}

/* What earlier calls have begun: the rest of a preface or a frame. False: not all of it is here, or
 * blocks cannot be told until it has left. */
static int look_behind(struct look *l)
{
	const struct h2_side *s = &l->c->h2->out;
	const struct direction *d = &l->c->out;
	char head[H2_FRAME_HEAD], room[H2_FRAME_HEAD];
	const char *rest;
	struct h2_frame f = s->frame;
	size_t left = 0;
	bool in_block = s->block_stream;

	if (s->preface && !h2_cursor_skip(&l->at, s->preface))
		return -ENODATA;
	if (s->in_frame) {
		left = d->in_body ? d->body.remaining : f.length - s->payload.n;
	} else if (s->head_n) {
		memcpy(head, s->head, s->head_n);
		rest = h2_cursor_take(&l->at, room, H2_FRAME_HEAD - s->head_n);
		if (!rest)
			return -ENODATA;
		memcpy(head + s->head_n, rest, H2_FRAME_HEAD - s->head_n);
		f = h2_frame_unpack(head);
		left = f.length;
		l->proven |= f.type == H2_SETTINGS;
		in_block |= f.type == H2_HEADERS || f.type == H2_PUSH_PROMISE;
	}
	if (!h2_cursor_skip(&l->at, left))
		return -ENODATA;
	if (!in_block)
		return 0;
	while (!(f.flags & H2_FLAG_END_HEADERS)) {
		int err = take_head(l, &f);

		if (err)
			return err;
		if (f.type != H2_CONTINUATION || !h2_cursor_skip(&l->at, f.length))
			return -ENODATA;
	}
	/* A block that has left in part: it is passed by if it was decoded, else it goes first. */
	l->known = l->c->h2->ahead ? 1 : 0;
	if (l->known)
		return 0;
	l->until = l->at.at;
	return -ENODATA;
}

static int look_at_frame(struct look *l)
{
	struct h2_frame f;
	int err = take_head(l, &f);

	if (err)
		return err;
	if (!l->proven && f.type != H2_SETTINGS)
		return -ENODATA;
	l->proven = true;
	if (f.type == H2_HEADERS || f.type == H2_PUSH_PROMISE)
		return look_at_block(l, &f);
	if (f.type == H2_SETTINGS && !(f.flags & H2_FLAG_ACK))
		return look_at_settings(l, &f);
	if (!h2_cursor_skip(&l->at, f.length))
		return -ENODATA;
	if (f.type == H2_DATA && f.flags & H2_FLAG_END_STREAM)
		note_ending(l, f.stream);
	return 0;
}

int h2_look(struct conn *c, const struct shim_write *w, size_t *until)
{
	struct look l = {
		.c = c, .w = w, .at = { .w = w }, .until = SIZE_MAX, .proven = c->h2->out.started
	};
	int err;

	h2_cursor_skip(&l.at, w->base);
	l.at.at = 0;
	err = look_behind(&l);
	while (!err)
		err = look_at_frame(&l);
	h2_buffer_free(&l.copy);
	block_put(l.room);
	*until = l.until;
	return err == -ENODATA ? 0 : err;
}
