/* SPDX-License-Identifier: Apache-2.0 */
/* From a finished exchange to a span record in the ring: names, attributes and status of the HTTP
 * semantic conventions 1.44.0. */
#ifndef SHIM_SPAN_H
#define SHIM_SPAN_H

#include "shim/conn.h"

/* Writes the span of a sampled exchange, and counts its duration among the metrics whether it is
 * sampled or not; once, later calls do nothing. The end time is now unless end_monotonic is set. */
void span_end(struct conn *c, struct exchange *e);

#endif
