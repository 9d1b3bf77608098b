/* SPDX-License-Identifier: Apache-2.0 */
/* A net under the reading of memory that another process can take away (by truncating its file). */
#ifndef LAUNCHER_SUPERVISOR_FAULT_H
#define LAUNCHER_SUPERVISOR_FAULT_H

/* Once, before any thread. */
void fault_init(void);

/* What fn(arg) returns, or -EFAULT when it touched what is not there any more: it was left in the
 * middle, so it must not hold locks or memory that nobody else knows of. Not nested. */
int fault_guard(int (*fn)(void *arg), void *arg);

#endif
