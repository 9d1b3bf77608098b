/* SPDX-License-Identifier: Apache-2.0 */
/* Our own messages go where TAGALONG_LOG says (stderr or a file, default off), one line a write(2)
 * from a stack buffer. errno is untouched: only raw system calls are made. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_OFF, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* destination: NULL or "" or "off", "stderr", or a file's path (opened now, O_APPEND). */
void log_init(const char *destination, enum log_level level);

/* True while descriptor 2 is the file it was at log_init(): a program may close it and be given the
 * number for its database. */
bool log_stderr_is_first(void);

/* TAGALONG_LOG=stderr: messages may be written to descriptor 2. */
bool log_uses_stderr(void);

/* "tagalong[pid]: warning: ..." and a line end. See text_format() for what the format may hold. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What the user has asked to see (TAGALONG_STATS), whatever the level: to the file of TAGALONG_LOG,
 * or if it names none to standard error while that is the file it was at the start (daemons put
 * another in its place). */
void log_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
