/* SPDX-License-Identifier: Apache-2.0 */
/* Whose request is this? The parent of an outgoing request by the first rule that applies; a link
 * is known or it is not made. */
#ifndef SHIM_LINK_H
#define SHIM_LINK_H

#include "exporter/record.h"
#include "shim/exchange.h"
#include "shim/wire/http1.h"

/* So many answers by their readers, while several requests were open, show that readers answer. One
 * or two happen by chance where any thread may answer (a pool that steals work: one in three). */
#define LINK_EVIDENCE 16
/* And so many, of requests that nothing else was open beside, while there is nothing else. */
#define LINK_EVIDENCE_ALONE 4
/* Where threads go from one open connection to another they are a pool's, and so may be the jobs
 * that they find in its queue: requests that others have read, once these are handed over.
 * A process of several threads one of whose readers has asked for something with none of its own
 * open does other jobs on them, too, and shows nothing by who answers. */

#define LINK_CANDIDATES_MAX 8 /* open exchanges a span without a parent may link to */

struct conn;

enum link_rule {
	LINK_RULE_HEADER,
	LINK_RULE_FLOW,
	LINK_RULE_THREAD,
	LINK_RULE_PROCESS,
	LINK_RULE_ONLY,
	LINK_RULE_NONE
};

/* The value of tagalong.link. */
struct bytes link_rule_name(enum link_rule rule);

/* One client span by this rule. */
void link_count(enum link_rule rule);

struct link_candidates {
	unsigned count;
	struct span_context context[LINK_CANDIDATES_MAX];
};

struct link {
	enum link_rule rule;
	bool has_parent;
	struct span_context parent;
	bool parent_remote; /* the parent span is another process's */
	/* The exchange the parent comes from, for its tracestate and baggage; generation 0: none.
	 */
	uint32_t exchange, generation;
	bool rewrite; /* the head's own context, `found`, is to be replaced, not added to */
	struct span_context found;
	bool leave; /* the program's own header: no span, no header of ours */
};

struct conn;

/* For the head of a request about to be written on c (acquired). */
void link_find(struct link *link, const struct conn *c, const struct http1_head *head);

/* For a call of a client library that this thread makes now: rule "thread", or false. */
bool link_for_caller(struct link *link);

/* What the open request whose span is `own` came with; *out stays as it is when there is none, or
 * nothing came. */
void link_received(struct span_context *out, const struct span_context *own);

/* For rule "none": the open candidates, or count 0 when they are more than 8 or not all known. */
void link_candidates(struct link_candidates *out);

/* What the rules live on. */
void link_on_accept(void); /* this thread accepted */
/* This thread read its head from c, by fd; dontwait: by a call that would not have waited for it;
 * pipelined: behind another one on the same connection. */
void link_on_request_read(struct exchange *e, struct conn *c, int fd, bool dontwait,
			  bool pipelined);
void link_on_answer(struct exchange *e);   /* this thread writes its response */
void link_on_answered(struct exchange *e); /* the response is complete */

#endif
