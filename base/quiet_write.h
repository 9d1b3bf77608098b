/* SPDX-License-Identifier: Apache-2.0 */
/* Writing to what may be a pipe or socket without readers, in a thread that may be the program's.
 */
#ifndef BASE_QUIET_WRITE_H
#define BASE_QUIET_WRITE_H

#include <stddef.h>
#include <sys/types.h>

/* As raw_write(), but the SIGPIPE that comes with -EPIPE is swallowed, and so is the SIGXFSZ that
 * comes with -EFBIG (RLIMIT_FSIZE). */
ssize_t quiet_write(int fd, const void *p, size_t n);

#endif
