/* SPDX-License-Identifier: Apache-2.0 */
/* trap_threads with 1 MiB of thread-locals in each thread: pthread_create() refuses stacks that are
 * too small for them, the worker's too. */
#define TLS_MIB 1
#include "trap_threads.c"
