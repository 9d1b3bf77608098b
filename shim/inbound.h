/* SPDX-License-Identifier: Apache-2.0 */
/* The inbound side of exact links: a request that is read carries our server span's id on into the
 * program, which hands it back in the requests it causes. */
#ifndef SHIM_INBOUND_H
#define SHIM_INBOUND_H

#include "shim/stream.h"

#define INBOUND_HEADER_LEN                                                    \
	72 /* "traceparent: " + 55 + CR LF, and two to spare; Jaeger needs 70 \
	    */

/* Where a head stands in the buffer the program reads into. */
struct inbound_place {
	struct piece *piece;
	ssize_t offset; /* of the head's first byte; negative: it began in an earlier read */
};

/* What may be done to a request that was read. */
enum inbound_way { INBOUND_LEAVE, INBOUND_OVERWRITE, INBOUND_INSERT };
enum inbound_way inbound_way(const struct exchange *e, const struct http1_head *head);
void inbound_note(struct exchange *e); /* and it was done */

/* Writes our id over the traceparent of the head, or puts the header in. Returns how many bytes
 * were put in (place->piece has grown by them). */
size_t inbound_rewrite(struct exchange *e, const struct http1_head *head, struct bytes whole,
		       const struct inbound_place *place);

/* Whether requests read by this process are given a header when they have none. */
bool inbound_inserts(void);

#endif
