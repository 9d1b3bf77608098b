/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of both directions (RFC 9113 sections 3 to 6), after their bytes were moved. Payload of
 * DATA, and of what we do not know, is skipped; header blocks and what bears on them are read. */
#include "shim/h2.h"

#include "base/counters.h"
#include "base/pool.h"
#include "shim/block.h"
#include "shim/h2_ahead.h"
#include "shim/h2_edit.h"

static struct pool pool;

int h2_init(void)
{
	return pool_init(&pool, sizeof(struct h2), H2_CONNECTIONS_MAX);
}

/* ---- begin and end ---- */

static int side_open(struct h2_side *s)
{
	*s = (struct h2_side){ .table = H2_TABLE_DEFAULT,
			       .frame_max = H2_MAX_FRAME_DEFAULT,
			       .list_max = UINT32_MAX };
	s->hpack = hpack_open();
	return s->hpack ? 0 : -ENOMEM;
}

static void side_close(struct h2_side *s)
{
	h2_buffer_free(&s->payload);
	h2_buffer_free(&s->block);
	hpack_close(s->hpack);
}

int h2_open(struct conn *c, unsigned preface)
{
	struct h2 *h = pool_get(&pool);
	int err;

	if (!h)
		return -ENOMEM;
	memset(h, 0, sizeof(*h));
	err = side_open(&h->in);
	if (!err)
		err = side_open(&h->out);
	if (err) {
		side_close(&h->in);
		side_close(&h->out);
		pool_put(&pool, h);
		return err;
	}
	(c->role == CONN_SERVER ? &h->in : &h->out)->preface = (uint8_t)preface;
	c->h2 = h;
	direction_reset(&c->in);
	direction_reset(&c->out);
	c->in.in_body = c->out.in_body = false;
	atomic_store_explicit(&c->body_out, false, memory_order_relaxed);
	count(connections_http2);
	return 0;
}

void h2_close(struct conn *c)
{
	struct h2 *h = c->h2;

	if (!h)
		return;
	c->h2 = NULL;
	c->in.in_body = c->out.in_body = false;
	h2_ahead_free(h);
	h2_edits_free(h);
	side_close(&h->in);
	side_close(&h->out);
	pool_put(&pool, h);
}

int h2_upgrade(struct conn *c)
{
	struct exchange *e = conn_oldest(c);
	struct h2_side *answers;
	int err = h2_open(c, H2_PREFACE_LEN);

	if (err)
		return err;
	c->queue_head = c->queue_tail = 0;
	c->queued = 0;
	h2_add(c, e, 1);
	e->stream_state = H2_STREAM_REQUEST_OVER;
	(c->role == CONN_SERVER ? &c->h2->in : &c->h2->out)->last_stream = 1;
	/* The SETTINGS in the request are acknowledged by the 101. */
	answers = c->role == CONN_SERVER ? &c->h2->out : &c->h2->in;
	if (!c->upgrade_table || c->upgrade_table - 1 == answers->table)
		return 0;
	answers->table = c->upgrade_table - 1;
	return hpack_limit_table(answers->hpack, answers->table);
}

/* ---- bytes that come in pieces ---- */

void h2_buffer_free(struct h2_buffer *b)
{
	block_put(b->p);
	*b = (struct h2_buffer){ .p = NULL };
}

int h2_buffer_add(struct h2_buffer *b, struct bytes more)
{
	size_t need = b->n + more.n, size;
	char *block;

	if (need > H2_PAYLOAD_MAX)
		return -EMSGSIZE;
	if (!more.n)
		return 0;
	if (need > b->size) {
		block = block_get(need, &size);
		if (!block)
			return -ENOMEM;
		if (b->n)
			memcpy(block, b->p, b->n);
		block_put(b->p);
		b->p = block;
		b->size = (uint32_t)size;
	}
	memcpy(b->p + b->n, more.p, more.n);
	b->n += (uint32_t)more.n;
	return 0;
}

/* ---- frames ---- */

struct moved {
	struct conn *c;
	int fd;
	bool out;
	struct h2_side *side;
	struct direction *direction;
	struct inbound_place *place; /* NULL: nothing can be changed */
	ssize_t frame;               /* offset of the frame's head in it; negative: not there */
};

static bool is_looked_at(uint8_t type)
{
	return type == H2_HEADERS || type == H2_RST_STREAM || type == H2_SETTINGS ||
	       type == H2_PUSH_PROMISE || type == H2_GOAWAY || type == H2_CONTINUATION;
}

/* True: what passes here answers. */
static bool is_response(const struct moved *m)
{
	return (m->c->role == CONN_SERVER) == m->out;
}

/* Part of a header block. Returns the bytes put in. */
static ssize_t fragment(struct moved *m, struct bytes payload)
{
	struct h2_side *s = m->side;
	struct h2_block b = { m->c, m->fd, m->out, s->block_ends, s->block_type, 0, payload };
	struct inbound_place *place = s->block.n || s->payload.n ? NULL : m->place;
	ssize_t added = h2_frame_fragment(&b.bytes, &s->frame, payload);

	if (added < 0)
		return added;
	b.stream = s->block_stream;
	if (!(s->frame.flags & H2_FLAG_END_HEADERS) || s->block.n) {
		added = h2_buffer_add(&s->block, b.bytes);
		if (added < 0 || !(s->frame.flags & H2_FLAG_END_HEADERS))
			return added;
		b.bytes = (struct bytes){ s->block.p, s->block.n };
		place = NULL;
	}
	s->block_stream = 0;
	added = m->out ? h2_ahead_left(m->c, &b) : 0;
	if (added == 0)
		added = h2_block_moved(&b, place, m->frame);
	else if (added > 0) /* decoded before it left */
		added = 0;
	h2_buffer_free(&s->block);
	return added;
}

static int reset(struct moved *m, struct bytes payload)
{
	struct exchange *e = h2_find(m->c->h2, m->side->frame.stream);

	if (payload.n != 4)
		return -EBADMSG;
	if (e)
		h2_stream_reset(m->c, e, h2_get_u32(payload.p), m->out);
	return 0;
}

static int goaway(struct moved *m, struct bytes payload)
{
	if (payload.n < 8)
		return -EBADMSG;
	h2_goaway(m->c, h2_get_u32(payload.p) & 0x7fffffff, m->out);
	return 0;
}

/* All of a frame has passed. Returns the bytes put in, or -errno. */
static ssize_t frame_over(struct moved *m, struct bytes payload)
{
	struct h2_side *s = m->side;

	s->in_frame = false;
	s->head_n = 0;
	switch (s->frame.type) {
	case H2_DATA:
		if (s->frame.flags & H2_FLAG_END_STREAM)
			h2_stream_over(m->c, s->frame.stream, is_response(m));
		return 0;
	case H2_HEADERS:
	case H2_PUSH_PROMISE:
	case H2_CONTINUATION:
		return fragment(m, payload);
	case H2_RST_STREAM:
		return reset(m, payload);
	case H2_SETTINGS:
		return h2_settings_moved(m->c, s, payload);
	case H2_GOAWAY:
		return goaway(m, payload);
	default:
		return 0;
	}
}

/* The head of a frame is here: what may follow what. */
static int frame_begins(struct h2_side *s, const char *head)
{
	struct h2_frame *f = &s->frame;

	*f = h2_frame_unpack(head);
	s->in_frame = true;
	if (!s->started && (f->type != H2_SETTINGS || f->flags & H2_FLAG_ACK))
		return -EBADMSG;
	s->started = true;
	if (s->block_stream ? f->type != H2_CONTINUATION || f->stream != s->block_stream
			    : f->type == H2_CONTINUATION)
		return -EBADMSG;
	if (f->type == H2_HEADERS || f->type == H2_PUSH_PROMISE) {
		if (!f->stream)
			return -EBADMSG;
		s->block_stream = f->stream;
		s->block_type = f->type;
		s->block_ends = f->type == H2_HEADERS && f->flags & H2_FLAG_END_STREAM;
	}
	return is_looked_at(f->type) && f->length > H2_PAYLOAD_MAX ? -EMSGSIZE : 0;
}

static ssize_t take_preface(struct h2_side *s, struct bytes rest)
{
	size_t n = rest.n < s->preface ? rest.n : s->preface;

	if (memcmp(rest.p, &H2_PREFACE[H2_PREFACE_LEN - s->preface], n) != 0)
		return -EBADMSG;
	s->preface -= (uint8_t)n;
	return (ssize_t)n;
}

/* As it stands, if it stands there whole. */
static ssize_t take_head(struct h2_side *s, struct bytes rest)
{
	size_t n = H2_FRAME_HEAD - s->head_n;
	const char *head = rest.p;
	int err;

	if (n > rest.n)
		n = rest.n;
	if (n < H2_FRAME_HEAD) {
		memcpy(s->head + s->head_n, rest.p, n);
		s->head_n += (uint8_t)n;
		head = s->head;
		if (s->head_n < H2_FRAME_HEAD)
			return (ssize_t)n;
	}
	err = frame_begins(s, head);
	return err ? err : (ssize_t)n;
}

/* A payload that is skipped. */
static ssize_t skip_payload(struct moved *m, struct bytes rest)
{
	struct direction *d = m->direction;
	size_t n = http1_body_feed(&d->body, rest);
	ssize_t err = 0;

	if (d->body.state == BODY_DONE) {
		d->in_body = false;
		err = frame_over(m, (struct bytes){ NULL, 0 });
	}
	return err < 0 ? err : (ssize_t)n;
}

/* A payload that is read: as it stands, if it stands there whole. */
static ssize_t take_payload(struct moved *m, struct bytes rest)
{
	struct h2_side *s = m->side;
	size_t n = s->frame.length - s->payload.n;
	ssize_t added;

	if (!s->payload.n && rest.n >= n) {
		added = frame_over(m, (struct bytes){ rest.p, n });
		return added < 0 ? added : (ssize_t)n + added;
	}
	if (n > rest.n)
		n = rest.n;
	added = h2_buffer_add(&s->payload, (struct bytes){ rest.p, n });
	if (!added && s->payload.n == s->frame.length) {
		added = frame_over(m, (struct bytes){ s->payload.p, s->payload.n });
		h2_buffer_free(&s->payload);
	}
	return added < 0 ? added : (ssize_t)n;
}

/* The payload of a frame whose head has just come, as far as it is here. */
static ssize_t begin_payload(struct moved *m, struct bytes rest)
{
	const struct h2_frame *f = &m->side->frame;
	ssize_t err;

	if (is_looked_at(f->type))
		return take_payload(m, rest);
	if (rest.n >= f->length) {
		err = frame_over(m, (struct bytes){ NULL, 0 });
		return err < 0 ? err : (ssize_t)f->length;
	}
	m->direction->in_body = true;
	m->direction->body = (struct http1_body){ .state = BODY_LENGTH, .remaining = f->length };
	return rest.n ? skip_payload(m, rest) : 0;
}

ssize_t h2_feed(struct conn *c, int fd, struct bytes rest, struct inbound_place *place)
{
	struct moved m = { .c = c, .fd = fd, .out = !place, .place = place };
	ssize_t head = 0, n;

	m.side = place ? &c->h2->in : &c->h2->out;
	m.direction = place ? &c->in : &c->out;
	if (m.side->preface)
		return take_preface(m.side, rest);
	if (m.direction->in_body)
		return skip_payload(&m, rest);
	m.frame = place ? rest.p - place->piece->p - H2_FRAME_HEAD : -1;
	if (m.side->in_frame)
		return take_payload(&m, rest);
	head = take_head(m.side, rest);
	if (head < 0 || !m.side->in_frame)
		return head;
	m.frame += place ? head : 0;
	n = begin_payload(&m, (struct bytes){ rest.p + head, rest.n - (size_t)head });
	return n < 0 ? n : head + n;
}

bool h2_skip(struct conn *c, int fd, bool out, uint64_t n)
{
	struct moved m = { .c = c, .fd = fd, .out = out };

	m.side = out ? &c->h2->out : &c->h2->in;
	m.direction = out ? &c->out : &c->in;
	if (!m.side->in_frame || !m.direction->in_body || !http1_body_skip(&m.direction->body, n))
		return false;
	if (m.direction->body.state != BODY_DONE)
		return true;
	m.direction->in_body = false;
	return frame_over(&m, (struct bytes){ NULL, 0 }) >= 0;
}
