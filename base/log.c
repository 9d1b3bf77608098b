/* SPDX-License-Identifier: Apache-2.0 */
/* A message never blocks the program and never kills it: it is dropped when the other end does not
 * read (poll says so first), and the SIGPIPE of a pipe without readers is swallowed. Standard error
 * is written to only while it is the file it was at the start: a program may close it and be given
 * the number 2 for its database. */
#include "base/log.h"

#include <stdarg.h>
#include "base/own_fd.h"
#include "base/quiet_write.h"
#include "base/raw.h"
#include "base/text.h"

#define LINE_MAX_LEN 1024 /* small: it lies on the stack of whatever thread warns */
#define STATS_MAX    3072
#define STANDARD_ERR 2

static enum log_level max_level = LOG_OFF;
static bool to_stderr, to_file; /* as was asked for; the file may be none that can be opened */
static struct {
	dev_t dev, rdev;
	ino_t ino;
	bool known;
} first_stderr;

static void remember_stderr(void)
{
	struct stat st;

	if (first_stderr.known || raw_fstat(STANDARD_ERR, &st) < 0)
		return;
	first_stderr.dev = st.st_dev;
	first_stderr.rdev = st.st_rdev;
	first_stderr.ino = st.st_ino;
	first_stderr.known = true;
}

bool log_stderr_is_first(void)
{
	struct stat st;

	return first_stderr.known && raw_fstat(STANDARD_ERR, &st) == 0 &&
	       st.st_dev == first_stderr.dev && st.st_rdev == first_stderr.rdev &&
	       st.st_ino == first_stderr.ino;
}

bool log_uses_stderr(void)
{
	return to_stderr;
}

void log_init(const char *destination, enum log_level level)
{
	int fd;

	remember_stderr();
	to_stderr = to_file = false;
	max_level = LOG_OFF;
	own_fd_close(OWN_FD_LOG);
	if (!destination || !*destination || strcmp(destination, "off") == 0)
		return;
	if (strcmp(destination, "stderr") == 0) {
		to_stderr = true;
	} else {
		to_file = true;
		fd = raw_open(destination,
			      O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
			      0644);
		if (fd < 0 || own_fd_adopt(OWN_FD_LOG, fd) < 0)
			return;
	}
	max_level = level;
}

static bool takes_bytes(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return raw_poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) && !(p.revents & POLLERR);
}

static void write_line(int fd, struct bytes line)
{
	struct stat st;

	if (raw_fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		raw_write(fd, line.p, line.n);
	else if (takes_bytes(fd)) /* after this answer the last reader may go */
		quiet_write(fd, line.p, line.n);
}

/* One line whatever is in it: control characters would forge others or drive the terminal. */
static struct bytes finish_line(struct text *t)
{
	if (t->cut && t->n >= 3)
		memcpy(t->p + t->n - 3, "...", 3);
	for (size_t i = 0; i < t->n; i++)
		if ((unsigned char)t->p[i] < ' ' || t->p[i] == 0x7f)
			t->p[i] = '?';
	t->p[t->n] = '\n'; /* the byte past size was kept */
	return (struct bytes){ t->p, t->n + 1 };
}

static struct bytes format_line(struct text t, const char *label, const char *format, va_list args)
{
	t.size--; /* for the line end */

	text_format(&t, "tagalong[%d]: %s", raw_getpid(), label);
	text_vformat(&t, format, args);
	return finish_line(&t);
}

static void log_line(const char *label, const char *format, va_list args)
{
	char line[LINE_MAX_LEN];
	int fd;

	if (to_stderr) {
		if (log_stderr_is_first())
			write_line(STANDARD_ERR, format_line(TEXT_ON(line), label, format, args));
		return;
	}
	fd = own_fd_get(OWN_FD_LOG);
	if (fd < 0)
		return;
	write_line(fd, format_line(TEXT_ON(line), label, format, args));
	own_fd_put(OWN_FD_LOG);
}

#define LOG_FUNCTION(name, level, label)       \
	void name(const char *format, ...)     \
	{                                      \
		va_list args;                  \
                                               \
		if (max_level < (level))       \
			return;                \
		va_start(args, format);        \
		log_line(label, format, args); \
		va_end(args);                  \
	}

LOG_FUNCTION(log_error, LOG_ERROR, "error: ")
LOG_FUNCTION(log_warn, LOG_WARN, "warning: ")
LOG_FUNCTION(log_info, LOG_INFO, "")
LOG_FUNCTION(log_debug, LOG_DEBUG, "debug: ")
#undef LOG_FUNCTION

void log_print(const char *format, ...)
{
	char line[STATS_MAX];
	int fd = own_fd_get(OWN_FD_LOG);
	va_list args;

	remember_stderr(); /* log_init() did, unless it never ran */
	va_start(args, format);
	if (fd >= 0)
		write_line(fd, format_line(TEXT_ON(line), "", format, args));
	else if (!to_file && log_stderr_is_first())
		write_line(STANDARD_ERR, format_line(TEXT_ON(line), "", format, args));
	va_end(args);
	if (fd >= 0)
		own_fd_put(OWN_FD_LOG);
}
