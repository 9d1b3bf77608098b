/* SPDX-License-Identifier: Apache-2.0 */
/* When to try again, and for how long. Pure functions on numbers and bytes.
 *
 * OTLP gives no numbers for the backoff. Ours: 1 s, then 1.5 times the last, 5 s at most, each
 * spread by a fifth to both sides so that processes which failed together do not return together.
 * A batch and all its retries share one budget. */
#ifndef EXPORTER_RETRY_H
#define EXPORTER_RETRY_H

#include "base/bytes.h"

#define RETRY_FIRST_MS 1000
#define RETRY_MAX_MS   5000
/* A server that asks for more than this is asked again after this. */
#define RETRY_AFTER_MAX_MS 300000
#define NO_DEADLINE        UINT64_MAX

struct retry {
	uint64_t deadline_ns; /* monotonic, or NO_DEADLINE */
	uint32_t backoff_ms;  /* the next wait, before it is spread */
	unsigned attempts;    /* made so far */
};

/* Both limits are milliseconds, 0 is no limit; the shorter one counts. */
uint64_t retry_deadline(uint64_t now_ns, uint32_t otlp_timeout, uint32_t export_timeout);

void retry_start(struct retry *r, uint64_t deadline_ns);

/* An attempt has failed at now_ns. When to make the next one (monotonic), or 0 when the budget ends
 * before that. asked_ms: what Retry-After said, 0 when it said nothing; it takes the place of the
 * backoff and is never shortened. random: any bits. */
uint64_t retry_next(struct retry *r, uint64_t now_ns, uint64_t asked_ms, uint64_t random);

/* Exactly the codes that OTLP/HTTP calls retryable. */
static inline bool retry_status(int status)
{
	return status == 429 || status == 502 || status == 503 || status == 504;
}

/* Retry-After: delta-seconds or HTTP-date (RFC 9110 section 10.2.3), cut to RETRY_AFTER_MAX_MS; a
 * date that has passed is 0. Returns 0, or -EINVAL (*wait_ms untouched). */
int retry_after_parse(struct bytes value, uint64_t now_unix_s, uint64_t *wait_ms);

/* The three forms of an HTTP-date (RFC 9110 section 5.6.7) as seconds since 1970. now_unix_s places
 * the two-digit year of the RFC 850 form. 0, or -EINVAL (*unix_s untouched). */
int http_date_parse(struct bytes value, uint64_t now_unix_s, int64_t *unix_s);

#endif
