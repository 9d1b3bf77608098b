/* SPDX-License-Identifier: Apache-2.0 */
/* Time. Through the clock the kernel maps into every process once clock_init() found it, else the
 * system call. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Finds the fast clock. Before it, and without one, the system call answers. */
void clock_init(void);

uint64_t clock_realtime_ns(void);  /* since 1970-01-01 UTC; may step */
uint64_t clock_monotonic_ns(void); /* never steps back */

/* What the realtime clock shows at a moment of the monotonic one. A step of it is seen within a
 * second. Reads no clock most of the time. */
uint64_t clock_realtime_at(uint64_t monotonic_ns);

#endif
