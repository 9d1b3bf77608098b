/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that is counted, declared once. Nothing is lost without a number here:
 *   spans_committed + dropped before the ring = spans ended and sampled
 *   spans_committed = spans_exported + every spans_dropped_* below the ring + what it holds */
#ifndef BASE_COUNTERS_H
#define BASE_COUNTERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* clang-format off */
#define COUNTERS(X)                                                                               \
	X(connections_tracked)         /* sockets looked at */                                    \
	X(connections_http1)           /* of these, HTTP/1 was proven */                          \
	X(connections_http2)           /* of these, HTTP/2 was, from the start or by an upgrade */ \
	X(connections_other)           /* of these, another protocol: TLS, unknown */             \
	X(connections_tls)             /* plaintext looked at above encryption */                 \
	X(opaque_framing)              /* given up: ambiguous or broken HTTP framing */           \
	X(opaque_limit)                /* given up: a named ceiling (head, headers, pipeline) */  \
	X(opaque_memory)               /* given up: a pool was empty */                           \
	X(opaque_reentered)            /* given up: used from inside our own code (signal) */     \
	X(opaque_concurrent)           /* given up: two writers at once, or a lock not had */     \
	X(opaque_switched)             /* left alone as it should: upgrade, CONNECT, kTLS */      \
	X(untracked_fd_limit)          /* sockets whose number is past the table */               \
	X(untracked_memory)            /* sockets for which no connection was free */             \
	X(exchanges_server)            /* requests read */                                        \
	X(flows_told)                  /* of these, contexts told to a script in the program */   \
	X(exchanges_client)            /* requests written */                                     \
	X(exchanges_excluded)          /* by TAGALONG_EXCLUDE_PATHS */                            \
	X(exchanges_unsampled)         /* the sampler said no */                                  \
	X(exchanges_left_to_program)   /* the program's own trace header was found: no span */    \
	X(spans_started_root)          /* with metrics on: sampled spans by where the parent is */    \
	X(spans_started_local)                                                                    \
	X(spans_started_remote)                                                                   \
	X(spans_unsampled_root)        /* the same of those the sampler said no to */             \
	X(spans_unsampled_local)                                                                  \
	X(spans_unsampled_remote)                                                                 \
	X(exchanges_open_at_exec)      /* when exec was called: nobody ends them if it succeeds */ \
	X(link_header)                 /* client spans by how the parent was known */             \
	X(link_flow)                                                                              \
	X(link_thread)                                                                            \
	X(link_process)                                                                           \
	X(link_only)                                                                              \
	X(link_none)                                                                              \
	X(headers_injected)            /* outgoing requests that gained a trace header */         \
	X(headers_rewritten)           /* outgoing traceparents whose id was replaced */          \
	X(headers_inbound)             /* inbound requests rewritten or given a header */         \
	X(inject_skipped_limit)        /* would have pushed the head across a usual limit */      \
	X(inject_skipped_vector)       /* IOV_MAX parts and no way to merge */                    \
	X(inject_skipped_target)       /* TAGALONG_PROPAGATE_TO, metadata address, CONNECT */     \
	X(inject_skipped_memory)                                                                  \
	X(spans_committed)             /* written to the ring */                                  \
	X(spans_dropped_queue_full)    /* ring or queue full: never entered it */                 \
	X(spans_dropped_share)         /* the same, since others have their share of the queue */ \
	X(spans_dropped_shared)        /* a forked child holds the same connection */             \
	X(spans_processed)             /* taken out of the ring, to be exported */                \
	X(spans_dropped_open)          /* the program ended, and the connection was in use */     \
	X(spans_exported)              /* accepted by the receiver, or written to file/console */ \
	X(spans_dropped_rejected)      /* the receiver's partial success */                       \
	X(spans_dropped_response)      /* answer that must not be retried (400, 413, ...) */      \
	X(spans_dropped_retries)       /* retries used up */                                      \
	X(spans_dropped_exit)          /* the program ended first */                              \
	X(spans_dropped_undeliverable) /* no transport: https, grpc, no worker, seccomp */        \
	X(spans_dropped_file)          /* the trace file could not be written */                  \
	X(spans_dropped_memory)        /* the exporter had no memory for them */                  \
	X(spans_dropped_spill)         /* the disk they waited on lost them: full, damaged */      \
	X(spans_dropped_supervisor)    /* a supervisor was killed that had them: at the most */   \
	X(spans_spilled)               /* put on disk until the receiver takes them */             \
	X(attributes_cut)              /* values shortened to the limit */                        \
	X(exports)                     /* batches tried */                                        \
	X(export_retries)                                                                         \
	X(export_failures)                                                                        \
	X(supervised_fallbacks)        /* no supervisor, or not any more: exports by itself */    \
	X(metric_exports)              /* requests with metrics tried */                          \
	X(metric_export_failures)                                                                 \
	X(warnings)                    /* configuration that was not understood */
/* clang-format on */

struct counters {
#define COUNTER(name) _Atomic uint64_t name;
	COUNTERS(COUNTER)
#undef COUNTER
};

/* Where this process counts: memory of its own at first, a page that its supervisor reads as well
 * once counters_move() has been called. Never NULL. */
extern struct counters *_Atomic counters_place;

#define counter_at(name) (&atomic_load_explicit(&counters_place, memory_order_relaxed)->name)
#define count_add(name, n) \
	((void)atomic_fetch_add_explicit(counter_at(name), (n), memory_order_relaxed))
#define count(name) count_add(name, 1)

/* What has been counted under the name, wherever. */
#define counted(name) counters_sum(offsetof(struct counters, name))
uint64_t counters_sum(size_t offset);

/* Calls fn(name, value) for each counter in the order above. */
void counters_each(void (*fn)(void *arg, const char *name, uint64_t value), void *arg);

/* One counter of a set, by its offset in it. */
static inline uint64_t counters_value(const struct counters *c, size_t offset)
{
	return atomic_load_explicit((_Atomic uint64_t *)((uintptr_t)c + offset),
				    memory_order_relaxed);
}

/* Adds all of `from`, which others may still be counting in, to *to. */
void counters_add(struct counters *to, const struct counters *from);

/* Takes all of `from` away from *to, which nobody else counts in. */
void counters_take(struct counters *to, const struct counters *from);

/* Counts in *to (all zero) from now on; what was counted before is brought along. What another
 * thread counts just now may stay behind until counters_settle(). */
void counters_move(struct counters *to);
void counters_settle(void);

/* A forked child starts at zero, in memory of its own. */
void counters_reset(void);

#endif
