/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of the processes whose files are mapped, and of what becomes of their spans here
 * (OTEL_METRICS_EXPORTER=otlp): a thread that tells the receiver every OTEL_METRIC_EXPORT_INTERVAL,
 * and soon when a process has ended, whose last numbers are to be told once more. */
#ifndef LAUNCHER_SUPERVISOR_METER_H
#define LAUNCHER_SUPERVISOR_METER_H

#include <pthread.h>
#include "launcher/supervisor/source.h"

struct meter;

/* The list is changed by others with the lock held, and only by taking out sources that
 * meter_lets_go() of. NULL: nobody wants metrics, or there is no memory for them. */
struct meter *meter_start(struct source *const *sources, pthread_mutex_t *lock);

/* Whether an ended process's numbers have been told, or told about in vain for long. To be asked
 * again and again; with the lock held. m may be NULL. */
bool meter_lets_go(struct meter *m, struct source *s);

/* Tells everything once more, by the deadline (monotonic), and ends. m may be NULL. */
void meter_end(struct meter *m, uint64_t deadline_ns);

#endif
