/* SPDX-License-Identifier: Apache-2.0 */
/* Whether another process still is the one it was. By /proc, where the number alone would lie. */
#ifndef EXPORTER_ALIVE_H
#define EXPORTER_ALIVE_H

#include <stdbool.h>
#include <stdint.h>

/* The start of the process in clock ticks since boot; 0 when that cannot be known. */
uint64_t alive_start_ticks(uint32_t pid);

enum alive { ALIVE_YES, ALIVE_NO, ALIVE_UNKNOWN };

/* pid_space: of the process; where it is not ours, nothing can be known of the number. Of a process
 * that /proc hides from us, or that did not know its start_ticks (0), the number has to do. */
enum alive alive_check(uint32_t pid, uint64_t pid_space, uint64_t start_ticks);

#endif
