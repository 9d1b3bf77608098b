/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPORTER_LAST_THREAD_H
#define EXPORTER_LAST_THREAD_H

#include <stdbool.h>

/* True when the main thread has ended and no other but the calling one is left: without us the
 * process would be over. Needs /proc (without it: false). */
bool last_thread_is_this(void);

#endif
