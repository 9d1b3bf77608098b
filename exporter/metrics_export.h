/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of this process, sent by it: every OTEL_METRIC_EXPORT_INTERVAL by the worker, and once
 * more when the program ends or execs. There is one; without OTEL_METRICS_EXPORTER=otlp all of this
 * does nothing. */
#ifndef EXPORTER_METRICS_EXPORT_H
#define EXPORTER_METRICS_EXPORT_H

#include "exporter/drain.h"
#include "exporter/request_metrics.h"

/* From the constructor: reads the configuration, and the resource when nobody has done so. stop:
 * the word that ends all waits of the transports. supervised: another process will send, and only
 * if it fails we do. False: there will be no metrics. */
bool metrics_export_init(const struct config *c, struct resource *r, char **envp,
			 const _Atomic uint32_t *stop, bool supervised);

/* There are metrics, or will be, until metrics_export_end(). */
bool metrics_export_is_wanted(void);

/* This process sends them from now on: the table it counts in already, or one of its own. */
void metrics_export_begin(void);

/* This process counts in a table (all zero) from which another one sends, since a time that both
 * know (since 1970). */
void metrics_export_share(struct request_metrics *m, uint64_t since_ns);

/* This process sends. */
bool metrics_export_is_on(void);

/* The earlier of the two: deadline_ns, and when the next export is due (both monotonic). */
uint64_t metrics_export_until(uint64_t deadline_ns);

/* Sends what there is if that is due, unless or until *asked is not `seen` any more: somebody waits
 * for the spans behind it, and has called metrics_export_interrupt(). One thread at a time; another
 * one finds it busy and does nothing. d: where the spans are, about whom it tells. */
void metrics_export_due(const struct drain *d, const _Atomic uint32_t *asked, uint32_t seen);

/* Sends it now, by the deadline at the latest. */
void metrics_export_now(const struct drain *d, uint64_t deadline_ns);

/* True: requests have been counted that were not sent yet, and the last export got through. */
bool metrics_export_waiting(void);

/* An export that another thread is at ends soon. */
void metrics_export_interrupt(void);

/* Memory goes back to the system, unless somebody is at it. */
void metrics_export_idle(void);

/* Nothing is counted or sent any more. */
void metrics_export_end(void);

/* In a new process: an empty table of its own, or none until one is shared. */
void metrics_export_child(bool own);

/* True when address:port is where metrics go. Any thread may ask. */
bool metrics_export_owns(struct bytes host, uint16_t port);

#endif
