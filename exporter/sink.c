/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/sink.h"

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "base/quiet_write.h"
#include "base/raw.h"
#include "exporter/console.h"
#include "exporter/json.h"
#include "exporter/otlp.h"

#define ENCODE_MAX     (12u << 20)   /* bytes of memory for one encoded batch */
#define FILE_WAIT_NS   1000000000ull /* for a pipe behind TAGALONG_TRACES_FILE that is full */
#define STANDARD_ERROR 2

static bool file_still_ours(const struct sink *s, int fd)
{
	struct stat st;

	return raw_fstat(fd, &st) == 0 && st.st_ino == s->file_inode && st.st_dev == s->file_device;
}

/* Opened now, before the program may chroot or drop its privileges. */
static int open_file(struct sink *s, const char *path)
{
	/* O_NONBLOCK: opening a pipe without a reader must not hang the program. */
	int fd = raw_open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
			  0644);
	struct stat st;
	int err;

	if (fd < 0)
		return fd;
	err = raw_fstat(fd, &st);
	if (err < 0) {
		raw_close(fd);
		return err;
	}
	s->file_device = st.st_dev;
	s->file_inode = st.st_ino;
	fd = own_fd_adopt(OWN_FD_TRACES, fd);
	return fd < 0 ? fd : 0;
}

static int choose(struct sink *s, const struct config *c)
{
	bool has_file = *c->traces_file != '\0';

	s->to_console = c->traces_exporter & EXPORTER_CONSOLE;
	/* The file takes the place of OTLP, unless OTLP was asked for by name. */
	s->to_otlp = c->traces_exporter & EXPORTER_OTLP && (!has_file || c->traces_exporter_set);
	s->to_file = has_file;
	return s->to_otlp || s->to_file || s->to_console ? 0 : -ENOENT;
}

static void open_file_or_warn(struct sink *s, const struct config *c)
{
	int err = s->to_file ? open_file(s, c->traces_file) : 0;

	if (err >= 0)
		return;
	count(warnings);
	log_warn("TAGALONG_TRACES_FILE=%s cannot be opened (error %d): no span is written",
		 c->traces_file, -err);
}

int sink_init(struct sink *s, const struct config *c, char **envp, _Atomic uint32_t *stop,
	      bool supervised)
{
	int err = choose(s, c);

	if (err)
		return err;
	if (s->to_otlp)
		transport_init(&s->transport, c, stop, supervised);
	if (!supervised)
		open_file_or_warn(s, c);
	resource_detect(&s->resource, envp);
	return arena_init(&s->arena, ENCODE_MAX);
}

int sink_init_local(struct sink *s, const struct config *c, bool *to_otlp)
{
	int err = choose(s, c);

	*to_otlp = s->to_otlp;
	s->to_otlp = false;
	if (err)
		return err;
	open_file_or_warn(s, c);
	return arena_init(&s->arena, ENCODE_MAX);
}

void sink_fall_back(struct sink *s, const struct config *c)
{
	open_file_or_warn(s, c);
	if (s->to_otlp && s->transport.endpoint.trouble)
		log_warn("spans cannot be sent from here: %s", s->transport.endpoint.trouble);
}

bool sink_is_undeliverable(const struct sink *s)
{
	if (s->to_otlp && !s->transport.endpoint.trouble)
		return false;
	return !s->to_console && !(s->to_file && s->file_inode);
}

/* One write a line, so that the lines of several processes do not mix. */
static int write_line(struct sink *s, struct bytes line)
{
	uint64_t deadline = clock_monotonic_ns() + FILE_WAIT_NS;

	while (line.n) {
		struct timespec pause = { .tv_nsec = 100000000 };
		struct pollfd p = { .events = POLLOUT };
		ssize_t n = -EBADF;

		p.fd = own_fd_get(OWN_FD_TRACES);
		if (p.fd >= 0 && file_still_ours(s, p.fd))
			n = quiet_write(p.fd, line.p, line.n);
		if (p.fd >= 0)
			own_fd_put(OWN_FD_TRACES);
		if (n == -EAGAIN && clock_monotonic_ns() < deadline) {
			raw_ppoll(&p, 1, &pause, NULL);
			continue;
		}
		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n ? (int)n : -EIO;
		/* From now on the line stands there in part: a failure would tear it. */
		line = (struct bytes){ line.p + n, line.n - (size_t)n };
		s->file_torn = line.n > 0;
	}
	return 0;
}

static enum loss export_file(struct sink *s, const struct batch *b)
{
	struct bytes line;
	int err = json_encode(&s->arena, b->resource, b->records, b->count, &line);

	if (err) {
		arena_reset(&s->arena);
		return LOSS_MEMORY;
	}
	/* Behind half a line a new one starts, so that only the torn one is lost. */
	if (s->file_torn)
		err = write_line(s, BYTES("\n"));
	if (!err)
		err = write_line(s, line);
	arena_reset(&s->arena);
	if (err)
		complain(&s->complaints, "the trace file cannot be written: error %d", -err);
	return err ? LOSS_FILE : LOSS_NONE;
}

static void export_otlp(struct sink *s, const struct batch *b, uint64_t deadline_ns,
			struct outcome *o)
{
	struct bytes request;

	if (otlp_encode(&s->arena, b->resource, b->records, b->count, &request))
		o->loss = LOSS_MEMORY;
	else
		transport_send(&s->transport, request, deadline_ns, o);
	arena_reset(&s->arena);
}

void sink_export(struct sink *s, const struct batch *b, uint64_t deadline_ns, struct outcome *o)
{
	*o = (struct outcome){ .loss = LOSS_NONE };
	/* The quick ones first: OTLP may take its time. */
	if (s->to_console) {
		if (console_write(STANDARD_ERROR, &s->arena, b->resource, b->records, b->count) &&
		    !s->to_file && !s->to_otlp)
			o->loss = LOSS_FILE;
		arena_reset(&s->arena);
	}
	if (s->to_file)
		o->loss = s->file_inode ? export_file(s, b) : LOSS_FILE;
	if (s->to_otlp)
		export_otlp(s, b, deadline_ns, o);
}

bool sink_failing(const struct sink *s)
{
	return s->to_otlp && transport_failing(&s->transport);
}

void sink_idle(struct sink *s)
{
	arena_free(&s->arena);
	if (s->to_otlp)
		transport_idle(&s->transport);
}

void sink_child(struct sink *s)
{
	resource_child(&s->resource);
	arena_free(&s->arena);
	memset(&s->complaints, 0, sizeof(s->complaints));
	if (s->to_otlp)
		transport_child(&s->transport);
}
