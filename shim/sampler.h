/* SPDX-License-Identifier: Apache-2.0 */
/* Which traces are recorded: OTEL_TRACES_SAMPLER. */
#ifndef SHIM_SAMPLER_H
#define SHIM_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

/* Takes sampler and ratio from the configuration. Once, from the constructor. */
void sampler_init(void);

/* Whether a span with this trace id is recorded. has_parent: a parent whose decision is known;
 * where it was left open (B3 without a state), or where there is only a decision and no parent (B3
 * with nothing but a state: see propagate.h), say what applies. Same id, same answer, in each
 * process. */
bool sampler_decide(const uint8_t trace_id[static 16], bool has_parent, bool parent_sampled);

#endif
