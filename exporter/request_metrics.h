/* SPDX-License-Identifier: Apache-2.0 */
/* How long requests took: histograms by what the conventions tell requests apart by, counted in a
 * bounded table of offsets that the threads of one process write to without locks, and that another
 * process may read. All zero is an empty table; magic and version are its owner's affair. */
#ifndef EXPORTER_REQUEST_METRICS_H
#define EXPORTER_REQUEST_METRICS_H

#include <stdatomic.h>
#include "base/bytes.h"

#define REQUEST_SERIES_MAX  256 /* further kinds of requests share one series a histogram */
#define REQUEST_SERIES_TEXT 368 /* bytes of all texts of a series; longer ones are such a kind */
#define REQUEST_HISTOGRAMS  4   /* see request_histogram() */
#define REQUEST_SERIES_ALL  (REQUEST_SERIES_MAX + REQUEST_HISTOGRAMS) /* with those for the rest */
#define REQUEST_BOUNDS      14
#define REQUEST_BUCKETS     (REQUEST_BOUNDS + 1)

struct request_metrics;

enum request_text {
	REQUEST_METHOD, /* of HTTP; rpc.method */
	REQUEST_SCHEME,
	REQUEST_ROUTE,
	REQUEST_ERROR,
	REQUEST_ADDRESS, /* of the server */
	REQUEST_TEXTS
};

/* What one kind of request has in common. Empty, or 0: not known, or not told apart by. */
struct request_key {
	bool client;
	bool rpc;        /* a call of gRPC */
	uint8_t version; /* of HTTP: 10, 11, 20 */
	uint16_t status; /* of HTTP; that of a call, and 1 */
	uint16_t port;
	struct bytes text[REQUEST_TEXTS];
};

/* What a kind of request is counted among: requests to servers, by clients; calls the same. */
static inline unsigned request_histogram(const struct request_key *key)
{
	return 2u * key->rpc + key->client;
}

struct request_view {
	struct request_key key;
	bool overflow;   /* of all other kinds; of the key only `client` and `rpc` count */
	unsigned number; /* of the series, for as long as the table lives; below REQUEST_SERIES_ALL
			  */
	uint64_t buckets[REQUEST_BUCKETS];
	uint64_t count; /* of all buckets */
	uint64_t sum_ns;
};

/* Where this process counts its requests; NULL: nobody wants to know. */
extern struct request_metrics *_Atomic request_metrics_now;

static inline struct request_metrics *request_metrics_wanted(void)
{
	return atomic_load_explicit(&request_metrics_now, memory_order_acquire);
}

/* Bytes of a table. */
size_t request_metrics_size(void);

/* One request more. Async-signal-safe, any number of threads. */
void request_metrics_add(struct request_metrics *m, const struct request_key *key,
			 uint64_t duration_ns);

/* Calls fn for each series that has counted anything, until it returns false: false then. The texts
 * are good until fn returns. The table may be written meanwhile, by whomever and with whatever. */
bool request_metrics_each(const struct request_metrics *m,
			  bool (*fn)(void *arg, const struct request_view *view), void *arg);

/* The upper bounds of the buckets but the last, which has none: a bound belongs to its bucket. */
extern const uint64_t request_bounds_ns[REQUEST_BOUNDS];

#endif
