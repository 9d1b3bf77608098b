/* SPDX-License-Identifier: Apache-2.0 */
/* A connection that speaks HTTP/2 (RFC 9113), both sides of it. All with the connection acquired.
 * Its exchanges are streams here, found by their number, not a queue. What it needs beside the
 * connection is taken from a bounded pool once the protocol is proven. */
#ifndef SHIM_H2_H
#define SHIM_H2_H

#include <errno.h>
#include "shim/conn.h"
#include "shim/h2_sent.h"
#include "shim/hpack.h"
#include "shim/stream.h"
#include "shim/wire/h2_frame.h"

#define H2_CONNECTIONS_MAX 8192
#define H2_STREAMS_MAX     1024 /* open at once on one connection; past it it is given up */
#define H2_BUCKETS         64
#define H2_SETTINGS_MAX    16    /* SETTINGS that wait for their acknowledgement */
#define H2_PAYLOAD_MAX     65536 /* bytes of a frame that is looked at, and of a header block */

struct inbound_place;

/* Bytes that come in pieces and are wanted as one: a block, or none. */
struct h2_buffer {
	char *p;
	uint32_t n, size;
};

/* One direction of the bytes. */
struct h2_side {
	uint8_t preface; /* bytes of the client's preface that are still to come */
	uint8_t head_n;  /* bytes of the next frame head that are here */
	bool in_frame;   /* its head is here; of its payload not all */
	bool started;    /* SETTINGS came first, as it must */
	bool block_ends; /* the block under way ends its side of the stream */
	uint8_t block_type;
	uint8_t awaiting; /* SETTINGS of the other side that this one has not acknowledged */
	char head[H2_FRAME_HEAD];
	struct h2_frame frame;
	uint32_t block_stream; /* whose header block goes on in CONTINUATION frames; 0: none */
	struct h2_buffer payload, block;
	struct hpack *hpack; /* of the blocks in this direction */
	uint32_t table;      /* the largest dynamic table it allows now */
	uint32_t awaited_least[H2_SETTINGS_MAX],
		awaited[H2_SETTINGS_MAX]; /* UINT32_MAX: not named */
	/* What the receiver of this side takes. */
	uint32_t frame_max, list_max;
	uint32_t last_stream; /* the youngest that was opened */
};

struct h2 {
	uint64_t pool_link;
	struct h2_side in, out;
	uint32_t bucket[H2_BUCKETS]; /* exchanges by stream: index + 1, further ones by `next` */
	uint16_t streams;
	bool value_in_table; /* a traceparent of ours stands in the peer's table for another one */
	uint8_t settings_ahead; /* SETTINGS that were taken before they left: they may be answered
				   first */
	struct h2_ahead
		*ahead; /* blocks that were decoded before they left: the own one, or NULL */
	struct h2_edits *edits; /* of the bytes that are on their way: the same */
	struct h2_ahead own_ahead;
	struct h2_edits own_edits;
};

/* What is known of a stream, in exchange.stream_state. */
enum h2_stream_state {
	H2_STREAM_UNSENT = 1,       /* its request has not left yet */
	H2_STREAM_REQUEST_OVER = 2, /* END_STREAM of the request has passed */
	H2_STREAM_ENDING = 4,       /* that of the response is being written just now */
	H2_STREAM_INSERTED = 8,     /* fields of ours are on their way in its request */
	H2_STREAM_REPLACED = 16     /* or an id of ours in place of another */
};

int h2_init(void);

/* The connection speaks HTTP/2 from here on: c->h2. `preface`: bytes of the client's preface that
 * are still to come. -ENOMEM. */
int h2_open(struct conn *c, unsigned preface);

/* An upgrade from HTTP/1.1 (RFC 7540 section 3.2): the connection's oldest exchange becomes stream
 * 1. */
int h2_upgrade(struct conn *c);
void h2_close(struct conn *c); /* the streams were ended before */

/* Bytes that were moved: takes some of `rest`, at least one, and returns how many; with what was
 * put in. -errno: the connection is to be given up. place: of `rest`, where it may be changed;
 * NULL when it was sent. */
ssize_t h2_feed(struct conn *c, int fd, struct bytes rest, struct inbound_place *place);

/* A SETTINGS frame that has passed on side s, or its acknowledgement. 0 or -errno. */
int h2_settings_moved(struct conn *c, struct h2_side *s, struct bytes payload);

/* ---- bytes that are about to be sent: the halves of shim_write_begin() and _again() ---- */

void h2_write_begin(struct conn *c, struct shim_write *w);
bool h2_write_again(struct shim_write *w, ssize_t *n);

/* SETTINGS of ours, before they have left: the peer may acknowledge them, and use what they allow,
 * before the thread that sends them has come back to say so. 0 or -errno. */
int h2_settings_leave(struct conn *c, struct bytes payload);

/* Gives the connection up because of err, which h2_feed() or another of these returned: counted. */
void h2_give_up(struct conn *c, int fd, int err);

/* n bytes that went by unseen: only inside a DATA frame. False: the framing is lost. */
bool h2_skip(struct conn *c, int fd, bool out, uint64_t n);

/* ---- streams ---- */

struct exchange *h2_find(struct h2 *h, uint32_t stream);
void h2_add(struct conn *c, struct exchange *e, uint32_t stream);

/* The request has left, as far as it was not known. */
void h2_stream_left(struct exchange *e);

/* END_STREAM has passed; for a response that completes the exchange. */
void h2_stream_over(struct conn *c, uint32_t stream, bool response);
void h2_stream_complete(struct conn *c, struct exchange *e);

/* RST_STREAM, or a GOAWAY whose last stream is older: code of RFC 9113 section 7. */
void h2_stream_reset(struct conn *c, struct exchange *e, uint32_t code, bool by_us);
void h2_goaway(struct conn *c, uint32_t last, bool by_us);

/* The connection is over: as conn_end_exchanges(). */
void h2_end_streams(struct conn *c, const char *error);

/* ---- header blocks ---- */

struct h2_block {
	struct conn *c;
	int fd;
	bool out;
	bool ends;    /* END_STREAM */
	uint8_t type; /* of its first frame */
	uint32_t stream;
	struct bytes bytes;
};

/* Decodes a whole block that was moved and takes what it says. place: NULL unless all of the frame
 * stands where it may be changed; *frame then is the offset of the frame's head in place->piece,
 * negative when it is not there. Returns the bytes put in, -errno: the connection is to be given
 * up.
 */
ssize_t h2_block_moved(const struct h2_block *b, struct inbound_place *place, ssize_t frame);

void h2_buffer_free(struct h2_buffer *b);
int h2_buffer_add(struct h2_buffer *b, struct bytes more);

#endif
