/* SPDX-License-Identifier: Apache-2.0 */
/* OTEL_TRACES_EXPORTER=console: each trace of a batch as a readable tree. */
#ifndef EXPORTER_CONSOLE_H
#define EXPORTER_CONSOLE_H

#include "exporter/record.h"
#include "exporter/resource.h"

struct arena;

/* Writes n records to fd, grouped by trace, children under their parents, one write a trace. A full
 * pipe is waited for CONSOLE_WAIT_MS at most. 0 or a negative errno (some of it may be written).
 * Only for the worker or the program's end: it may block for that long. */
int console_write(int fd, struct arena *a, const struct resource *r,
		  const struct record_head *const *records, size_t n);

#define CONSOLE_WAIT_MS 1000

#endif
