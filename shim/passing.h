/* SPDX-License-Identifier: Apache-2.0 */
/* Body bytes that pass without a look. Whoever lets go of a connection in the middle of a body
 * leaves word how many bytes may pass before something has to be looked at; a call that moves fewer
 * counts them off, without the lock. Whoever takes the lock takes the word back, and knows then how
 * far the body has come. The last byte of a body never passes so. */
#ifndef SHIM_PASSING_H
#define SHIM_PASSING_H

#include <stdatomic.h>
#include "shim/wire/http1.h"

struct passing {
	/* The bytes that are left, above them the connection's generation: nobody counts off what a
	 * later connection in its place may move. 0: none, or somebody looks just now. */
	_Atomic uint64_t left;
	uint64_t granted; /* what it started with; under the lock */
};

#define PASSING_BITS 48
#define PASSING_MAX  ((1ull << PASSING_BITS) - 1)

static inline void passing_grant(struct passing *p, const struct http1_body *body,
				 uint32_t generation)
{
	uint64_t n = body->state == BODY_UNTIL_CLOSE ? PASSING_MAX : body->remaining;

	if (body->state != BODY_UNTIL_CLOSE && body->state != BODY_LENGTH &&
	    body->state != BODY_CHUNK_DATA)
		return;
	p->granted = (uint64_t)generation << PASSING_BITS | (n < PASSING_MAX ? n : PASSING_MAX);
	atomic_store_explicit(&p->left, p->granted, memory_order_release);
}

static inline void passing_withdraw(struct passing *p, struct http1_body *body)
{
	if (!p->granted)
		return;
	http1_body_skip(body,
			p->granted - atomic_exchange_explicit(&p->left, 0, memory_order_acquire));
	p->granted = 0;
}

static inline bool passing_fits(uint64_t left, uint32_t generation, uint64_t n)
{
	return (left ^ (uint64_t)generation << PASSING_BITS) >> PASSING_BITS == 0 &&
	       n < (left & PASSING_MAX);
}

/* Whether a call that is going to move at most n bytes needs no look before. */
static inline bool passing_may(struct passing *p, uint32_t generation, uint64_t n)
{
	return passing_fits(atomic_load_explicit(&p->left, memory_order_acquire), generation, n);
}

/* Counts n bytes that were moved; false: they have to be looked at. */
static inline bool passing_count(struct passing *p, uint32_t generation, uint64_t n)
{
	uint64_t left = atomic_load_explicit(&p->left, memory_order_relaxed);

	do
		if (!passing_fits(left, generation, n))
			return false;
	while (!atomic_compare_exchange_weak_explicit(&p->left, &left, left - n,
						      memory_order_relaxed, memory_order_relaxed));
	return true;
}

#endif
