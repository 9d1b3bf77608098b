/* SPDX-License-Identifier: Apache-2.0 */
/* What the script in a Node process (hooks/node/links.cjs) asks: which context belongs to a request
 * that the program is handed just now? It knows the connection and, of HTTP/2, the stream. */
#ifndef SHIM_QUESTION_H
#define SHIM_QUESTION_H

#include "shim/conn.h"

/* A question as it stands in the script's buffer; the answer is written over it. */
struct question {
	int32_t fd;
	uint32_t stream; /* of HTTP/2; 0: HTTP/1 */
	uint32_t
		target_n; /* bytes of the request's target that follow, of the whole or its start */
};

#define QUESTION_TARGET_MAX 2048

/* The request in question, of connection c (acquired), or NULL. In HTTP/1 requests are handed over
 * in the order they came: the oldest that was not asked for yet and has that target. */
struct exchange *question_exchange(struct conn *c, const struct question *q, struct bytes target);

#endif
