/* SPDX-License-Identifier: Apache-2.0 */
/* What either side's SETTINGS (RFC 9113 section 6.5) say of the header blocks it is sent. */
#include "shim/h2.h"

#define NOT_NAMED UINT32_MAX

/* The other side wants its blocks encoded so. What is allowed anew counts at once, what is
 * forbidden once it is acknowledged. */
static int settings_of_peer(struct h2_side *bound, const struct h2_settings *s)
{
	if (bound->awaiting == H2_SETTINGS_MAX)
		return -EMSGSIZE;
	bound->awaited_least[bound->awaiting] = s->has_table ? s->table_least : NOT_NAMED;
	bound->awaited[bound->awaiting++] = s->has_table ? s->table : NOT_NAMED;
	if (s->has_frame)
		bound->frame_max = s->frame;
	if (s->has_list)
		bound->list_max = s->list;
	if (!s->has_table || s->table <= bound->table)
		return 0;
	bound->table = s->table;
	return hpack_limit_table(bound->hpack, s->table);
}

static int settings_acknowledged(struct h2_side *s)
{
	uint32_t least = s->awaited_least[0], table = s->awaited[0];
	int err = 0;

	if (!s->awaiting)
		return -EBADMSG;
	s->awaiting--;
	memmove(s->awaited, s->awaited + 1, s->awaiting * sizeof(s->awaited[0]));
	memmove(s->awaited_least, s->awaited_least + 1, s->awaiting * sizeof(s->awaited[0]));
	if (table == NOT_NAMED)
		return 0;
	if (least < table)
		err = hpack_limit_table(s->hpack, least);
	s->table = table;
	return err ? err : hpack_limit_table(s->hpack, table);
}

static int settings_take(struct h2_side *bound, struct bytes payload)
{
	struct h2_settings said;
	int err = h2_settings_parse(&said, payload);

	return err ? err : settings_of_peer(bound, &said);
}

int h2_settings_leave(struct conn *c, struct bytes payload)
{
	if (c->h2->settings_ahead == H2_SETTINGS_MAX)
		return -EMSGSIZE;
	c->h2->settings_ahead++;
	return settings_take(&c->h2->in, payload);
}

int h2_settings_moved(struct conn *c, struct h2_side *s, struct bytes payload)
{
	if (s->frame.flags & H2_FLAG_ACK)
		return settings_acknowledged(s);
	if (s == &c->h2->in)
		return settings_take(&c->h2->out, payload);
	if (!c->h2->settings_ahead)
		return settings_take(&c->h2->in, payload);
	c->h2->settings_ahead--;
	return 0;
}
