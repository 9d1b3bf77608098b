/* SPDX-License-Identifier: Apache-2.0 */
/* The exchanges of a connection of HTTP/1, oldest first: answers come in the order of requests. */
#include "shim/conn.h"

void conn_push(struct conn *c, struct exchange *e)
{
	uint32_t i = exchange_index(e) + 1;

	e->next = 0;
	if (c->queue_tail)
		exchange_at(c->queue_tail - 1)->next = i;
	else
		c->queue_head = i;
	c->queue_tail = i;
	c->queued++;
}

struct exchange *conn_oldest(struct conn *c)
{
	return c->queue_head ? exchange_at(c->queue_head - 1) : NULL;
}

void conn_pop(struct conn *c)
{
	struct exchange *e = conn_oldest(c);

	c->queue_head = e->next;
	if (!c->queue_head)
		c->queue_tail = 0;
	c->queued--;
	exchange_close(e);
}
