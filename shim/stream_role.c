/* SPDX-License-Identifier: Apache-2.0 */
/* Which protocol a connection speaks, which side of it we are, and the switch from HTTP/1.1 to
 * HTTP/2 (RFC 7540 section 3.2; RFC 9113 has given it up, programs have not). */
#include "base/counters.h"
#include "shim/block.h"
#include "shim/h2.h"
#include "shim/inbound.h"
#include "shim/stream.h"

/* HTTP/2 with prior knowledge: what came of the preface in earlier calls was its beginning; what a
 * server has said before are its first frames. */
static int begin_h2(struct conn *c, bool out)
{
	struct direction *server = out ? &c->in : &c->out;
	unsigned preface = H2_PREFACE_LEN - (out ? c->out.carried : c->in.carried);
	struct piece said = { server->carry, server->carried, 0, false };
	struct inbound_place place = { .piece = &said };
	ssize_t n = 0;
	int err;

	server->carry = NULL;
	err = h2_open(c, preface);
	for (size_t at = 0; !err && at < said.n; at += (size_t)n) {
		n = h2_feed(c, -1, (struct bytes){ said.p + at, said.n - at }, out ? &place : NULL);
		if (n < 0)
			err = (int)n;
	}
	block_put(said.p);
	if (err)
		h2_close(c);
	return err;
}

int stream_decide_role(struct conn *c, struct bytes rest, bool out)
{
	struct bytes start;
	int err;

	if (c->role != CONN_NEW)
		return 1;
	err = direction_join(out ? &c->out : &c->in, rest, &start);
	if (err)
		return err;
	switch (http1_sniff(start)) {
	case HTTP1_START_H2_PREFACE:
		c->role = out ? CONN_CLIENT : CONN_SERVER;
		if (!out)
			c->inbound = true;
		err = begin_h2(c, out);
		return err ? err : 1;
	case HTTP1_START_REQUEST:
		c->role = out ? CONN_CLIENT : CONN_SERVER;
		if (!out)
			c->inbound = true;
		count(connections_http1);
		return 1;
	case HTTP1_MORE:
		return 0;
	default:
		/* A server of HTTP/2 may speak first: the client's preface decides. */
		return out == c->inbound && h2_frame_may_be_settings(start) ? 0 : -EBADMSG;
	}
}

uint32_t stream_upgrade_table(const struct http1_head *head, struct bytes whole)
{
	struct http1_header header;
	struct h2_settings said;
	size_t pos = head->headers;
	char room[128];
	ssize_t n;

	if (!head->upgrade)
		return 0;
	while (http1_next_header(head, whole, &pos, &header)) {
		if (!bytes_equal_nocase(header.name, BYTES("http2-settings")))
			continue;
		n = h2_settings_from_header(room, sizeof(room), header.value);
		if (n > 0 && !h2_settings_parse(&said, (struct bytes){ room, (size_t)n }) &&
		    said.has_table && said.table < HPACK_TABLE_MAX)
			return said.table + 1;
	}
	return 0;
}

bool stream_switches_to_h2(const struct http1_head *head)
{
	return head->status == 101 && http1_list_has(head->field[HTTP1_UPGRADE], BYTES("h2c"));
}

void stream_upgrade(struct conn *c, int fd, struct direction *d)
{
	struct exchange *e = conn_oldest(c);
	/* While it is being written, it may be that it has. */
	bool left = !c->alter.head || atomic_load_explicit(&c->writing, memory_order_relaxed);

	if (left && c->queued == 1 && !(d == &c->out ? &c->in : &c->out)->in_body) {
		/* The answer is still to come. */
		e->status_seen = false;
		if (!h2_upgrade(c))
			return;
		count(opaque_memory);
	} else {
		count(opaque_framing);
	}
	conn_give_up(c, fd);
}
