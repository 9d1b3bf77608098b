/* SPDX-License-Identifier: Apache-2.0 */
/* Rule "flow": a runtime carries with each piece of its work, in contexts of its own, which inbound
 * request it is for. What is carried names the request, not the connection it came on: the next one
 * on the same connection is another, and work that goes on behind an answer stays the first one's.
 *
 *	NONE        the request is not known: requests were read before earlier ones were answered
 *	ACCEPTED    the context that accepted; one piece of work made in it takes the connection
 *over CONNECTION  works for all of a connection: the request on it that is open READER      an
 *event loop's, that reads for one connection: the last request it has read THREAD      a thread
 *that reads and answers: the last request it has read REQUEST     that request, for ever
 */
#ifndef SHIM_FLOW_H
#define SHIM_FLOW_H

#include "shim/conn.h"

enum flow_kind {
	FLOW_NONE,
	FLOW_ACCEPTED,
	FLOW_CONNECTION,
	FLOW_READER,
	FLOW_THREAD,
	FLOW_REQUEST
};

/* What this thread's call does, the connection acquired: told to shim_flow_end(). */
void flow_note_accept(const struct conn *c);
void flow_note_request(struct conn *c, struct exchange *e); /* read; pushed already */
void flow_note_answer(const struct conn *c, struct exchange *e);

/* c goes on in place of the connection of this serial, which nobody follows any more: a TLS object
 * above its socket. (Acquired.) */
void flow_take_over(struct conn *c, uint64_t serial);

/* What a thread does in this context (NULL: in none), into *t. */
void flow_of_thread(struct thread_flow *t, const struct shim_flow *now);

/* What `f` means now: false, nothing that is known. */
bool flow_resolve(const struct shim_flow *f, struct shim_flow *out);

/* Whoever works for all of c (acquired) answers e, the newest request. True: *now has changed. */
bool flow_pin(const struct conn *c, struct exchange *e, struct shim_flow *now);

/* What shim_flow_queue() knows. n bytes of the program's have left on c (not acquired). */
void flow_queue_sent(const struct conn *c, size_t n);
/* Whose the bytes are that are about to leave on c (acquired). False: not known, or not one's. */
bool flow_queue_find(const struct conn *c, struct thread_flow *out);

/* The process accepts, or will. */
void flow_on_serving(void);

#endif
