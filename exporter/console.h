/* SPDX-License-Identifier: Apache-2.0 */
/* OTEL_TRACES_EXPORTER=console: each trace of a batch as a readable tree. */
#ifndef EXPORTER_CONSOLE_H
#define EXPORTER_CONSOLE_H

#include "exporter/record.h"
#include "exporter/resource.h"

struct arena;

/* Writes n records to fd, grouped by trace, children under their parents, a trace in one piece as
 * far as pipes allow. What takes no bytes is waited for CONSOLE_WAIT_MS a trace at most; SIGPIPE is
 * swallowed. 0 or a negative errno (some of it may be written); -EBADF also when fd is 2 and no
 * longer the file it was at log_init(). Only for the worker or the program's end. */
int console_write(int fd, struct arena *a, const struct resource *r,
		  const struct record_head *const *records, size_t n);

#define CONSOLE_WAIT_MS 1000

#endif
