/* SPDX-License-Identifier: Apache-2.0 */
/* What the bytes of a connection mean, after they were moved. All with the connection acquired. */
#ifndef SHIM_STREAM_H
#define SHIM_STREAM_H

#include "shim/conn.h"

/* Bytes that were read, in the program's buffer: `room` more bytes of it are free behind them, so
 * that a header can be put in; n grows then. */
struct piece {
	char *p;
	size_t n, room;
	bool dontwait; /* the call would not have waited for them */
};
void stream_received(struct conn *c, int fd, struct piece *piece);

/* Bytes that were sent. */
void stream_sent(struct conn *c, int fd, struct bytes sent);

/* n bytes that went by unseen (sendfile, splice). */
void stream_skipped(struct conn *c, int fd, bool out, uint64_t n);

/* The peer closed, or reading failed with `error` (an errno, 0: closed). */
void stream_ended(struct conn *c, int error);

/* Writing failed: a client may still find the reason in its receive buffer. */
void stream_write_failed(struct conn *c, int error);

/* The oldest answer has left whole, though the thread that sent it has not come back to say so. */
void stream_answer_over(struct conn *c);

/* A request head has left: e becomes the connection's youngest exchange (NULL: it was answered
 * before, and is), body what follows the head. */
void stream_request_sent(struct conn *c, struct exchange *e, const struct http1_body *body);

/* What a request's offer to switch to HTTP/2 (RFC 7540 section 3.2.1) says of its sender's largest
 * dynamic table, + 1; 0: nothing, or there is no offer. */
uint32_t stream_upgrade_table(const struct http1_head *head, struct bytes whole);

/* By the first bytes of an undecided connection: 1 decided (c->role), 0 too few, -EBADMSG no
 * HTTP/1, -ENOMEM. */
int stream_decide_role(struct conn *c, struct bytes rest, bool out);

/* A 101 that switches to HTTP/2, on its way in direction d: what answers the request comes on
 * stream 1 of what begins here. */
bool stream_switches_to_h2(const struct http1_head *head);
void stream_upgrade(struct conn *c, int fd, struct direction *d);

/* What is carried and `rest` as one, without keeping rest. 0 or -ENOMEM. */
int direction_join(struct direction *d, struct bytes rest, struct bytes *whole);

/* Parses what is carried and `rest` together, keeping nothing: the number of bytes of `rest` the
 * head takes (*whole: where it stands), 0 when it is not whole yet, -EBADMSG, -ENOMEM. */
ssize_t direction_head(struct direction *d, struct bytes rest, bool request,
		       struct http1_head *head, struct bytes *whole);

#endif
