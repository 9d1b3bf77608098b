/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a script: what a program, its kernel and its peers do on a handful of connections.
 * Whatever it is, the wire carries the program's bytes and at most whole headers of ours, the
 * program is told what the kernel did, it reads what its peer sent, and nothing is left behind. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/thread.h"
#include "shim/block.h"
#include "shim/conn.h"
#include "shim/process_state.h"
#include "shim_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define DESCRIPTORS 8
#define CALLS_MAX   128 /* real calls one call of the program may become: our bytes one by one */

struct descriptor {
	int fd; /* 0: none */
	struct stream *stream;
};

/* A call whose second half is still to come: it is another thread's. */
struct half {
	struct shim_write write;
	struct shim_read read;
	struct stream *stream;
	ssize_t result;
	int fd;
	int error;
	unsigned bytes;
	bool reads;
};

static struct script {
	const uint8_t *p;
	size_t n;
} script;

static struct descriptor descriptors[DESCRIPTORS];
static struct half halves[2];

static unsigned next_byte(void)
{
	if (!script.n)
		return 0;
	script.n--;
	return *script.p++;
}

/* Mostly small numbers, sometimes large ones. */
static size_t next_size(void)
{
	unsigned n = next_byte();

	return n < 200 ? n : (n - 199) * 97;
}

static struct descriptor *any(void)
{
	return &descriptors[next_byte() % DESCRIPTORS];
}

static struct descriptor *any_open(void)
{
	struct descriptor *d = any();

	return d->fd ? d : NULL;
}

static void forget(struct descriptor *d)
{
	if (d->stream && --d->stream->references == 0)
		stream_free(d->stream);
	*d = (struct descriptor){ 0 };
}

/* ---- descriptors ---- */

static void close_descriptor(struct descriptor *d)
{
	int fd = d->fd;

	if (!fd)
		return;
	shim_before_close(fd);
	close(fd);
	forget(d);
}

static void open_descriptor(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(4711) };
	struct descriptor *d = any();
	unsigned how = next_byte();
	int ends[2];

	close_descriptor(d);
	if (socketpair(AF_UNIX, SOCK_STREAM | (how & 8 ? 0 : SOCK_NONBLOCK), 0, ends) < 0)
		return;
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	d->fd = ends[0];
	d->stream = stream_new(ends[1], how & 8);
	d->stream->references = 1;
	switch (how & 3) {
	case 0:
		shim_on_socket(d->fd, AF_INET, SOCK_STREAM);
		shim_on_connect(d->fd, (struct sockaddr *)&address, sizeof(address), 0, 0);
		break;
	case 1:
		shim_on_accept(0, d->fd, (struct sockaddr *)&address, sizeof(address));
		break;
	case 2:
		shim_on_received_fd(d->fd);
		break;
	default:
		shim_on_socket(d->fd, AF_UNIX, SOCK_STREAM);
	}
}

static void double_descriptor(void)
{
	struct descriptor *from = any_open(), *to = any();

	if (!from || from == to)
		return;
	if (to->fd && next_byte() & 1) {
		/* dup2(): the shim hears of the close first. */
		shim_before_close(to->fd);
		must(dup2(from->fd, to->fd) == to->fd);
		from->stream->references++;
		if (--to->stream->references == 0)
			stream_free(to->stream);
	} else {
		close_descriptor(to);
		to->fd = dup(from->fd);
		from->stream->references++;
	}
	to->stream = from->stream;
	shim_on_dup(from->fd, to->fd);
}

/* ---- writing ---- */

/* The program's bytes as the call takes them: parts of their own, so that nothing reads past. */
struct parts {
	struct iovec iov[6];
	int count;
};

static void parts_make(struct parts *p, const char *bytes, size_t n, enum shim_call call)
{
	unsigned wanted =
		call == SHIM_CALL_WRITEV || call == SHIM_CALL_SENDMSG ? 1 + next_byte() % 6 : 1;

	p->count = (int)wanted;
	for (unsigned i = 0; i < wanted; i++) {
		size_t part = i + 1 == wanted ? n : next_size();

		part = part < n ? part : n;
		p->iov[i] = (struct iovec){ malloc(part ? part : 1), part };
		memcpy(p->iov[i].iov_base, bytes, part);
		bytes += part;
		n -= part;
	}
}

static void parts_free(struct parts *p)
{
	for (int i = 0; i < p->count; i++)
		free(p->iov[i].iov_base);
}

static enum shim_call write_call(void)
{
	static const enum shim_call calls[] = { SHIM_CALL_WRITE, SHIM_CALL_SEND, SHIM_CALL_WRITEV,
						SHIM_CALL_SENDMSG };

	return calls[next_byte() % 4];
}

static void program_writes(void)
{
	struct descriptor *d = any_open();
	struct shim_write w;
	struct parts parts;
	enum shim_call call;
	struct stream *s;
	unsigned calls = 0;
	bool stopped;
	ssize_t sent;
	size_t n;

	if (!d || d->stream->busy)
		return;
	s = d->stream;
	n = next_size();
	n = n < s->unsent ? n : s->unsent;
	call = write_call();
	parts_make(&parts, s->pending, n, call);
	shim_write_begin(&w, d->fd, parts.iov, parts.count, 0, call);
	do {
		size_t limit = next_size();

		must(calls++ < CALLS_MAX + s->unsent);
		errno = 0;
		sent = stream_take(s, w.iov, w.iovcnt, limit, next_byte(), &stopped);
	} while (shim_write_again(&w, &sent));
	parts_free(&parts);
	must(sent <= (ssize_t)n);
	must(sent != 0 || n == 0);
	/* A short count is the kernel's, or nothing was to be sent. */
	must(sent == (ssize_t)n || stopped);
	must(sent >= 0 || errno == EAGAIN || errno == EPIPE || errno == ECONNRESET);
	must(sent >= 0 || errno != EAGAIN || !s->blocking);
	if (sent > 0)
		stream_told(s, (size_t)sent);
}

static void program_sends_file(void)
{
	struct descriptor *d = any_open();
	size_t n = next_size();

	/* A program that has bytes left sends these first. */
	if (!d || d->stream->busy || d->stream->unsent || d->stream->dead || !n)
		return;
	stream_file(d->stream, n);
	shim_on_sent_unseen(d->fd, (ssize_t)n);
}

/* The first half of a write in another thread. */
static void write_begins(void)
{
	struct half *h = &halves[next_byte() & 1];
	struct descriptor *d = any_open();
	static char bytes[2][4096];
	static struct iovec parts[2];
	struct stream *s;
	bool stopped;
	size_t n;

	if (!d || h->stream)
		return;
	s = d->stream;
	n = s->unsent < sizeof(bytes[0]) ? s->unsent : sizeof(bytes[0]);
	if (s->busy)
		s->unordered = true; /* two at once: only that nothing breaks is asked */
	memcpy(bytes[h - halves], s->pending, n);
	parts[h - halves] = (struct iovec){ bytes[h - halves], n };
	*h = (struct half){ .stream = s, .fd = d->fd, .bytes = (unsigned)n };
	s->busy++;
	s->references++;
	shim_write_begin(&h->write, d->fd, &parts[h - halves], 1, 0, write_call());
	h->result =
		stream_take(s, h->write.iov, h->write.iovcnt, next_size(), next_byte(), &stopped);
	h->error = errno;
}

/* The first half of a read in another thread. */
static void read_begins(void)
{
	static char bytes[2][4096];
	static struct iovec parts[2];
	struct half *h = &halves[next_byte() & 1];
	struct descriptor *d = any_open();

	if (!d || h->stream)
		return;
	parts[h - halves] = (struct iovec){ bytes[h - halves], next_size() % 4096 };
	*h = (struct half){ .stream = d->stream, .fd = d->fd, .reads = true };
	d->stream->references++;
	d->stream->unread_order = true;
	shim_read_begin(&h->read, d->fd, &parts[h - halves], 1, 0, SHIM_CALL_RECV);
	h->result = recv(d->fd, h->read.iov->iov_base, h->read.iov->iov_len, MSG_DONTWAIT);
	h->error = errno;
}

static void half_ends(struct half *h)
{
	struct stream *s = h->stream;
	bool stopped;

	if (!s)
		return;
	errno = h->error;
	if (h->reads) {
		/* Its descriptor may be closed by now: the rest is not there to be had. */
		shim_read_end(&h->read, h->result, 0);
	} else {
		while (shim_write_again(&h->write, &h->result))
			h->result =
				stream_take(s, h->write.iov, h->write.iovcnt, 65536, 1, &stopped);
		must(h->result <= (ssize_t)h->bytes);
		if (h->result > 0 && !s->unordered)
			stream_told(s, (size_t)h->result);
		s->busy--;
	}
	*h = (struct half){ 0 };
	if (--s->references == 0)
		stream_free(s);
}

/* ---- reading ---- */

static void peer_sends(void)
{
	struct descriptor *d = any_open();

	if (d)
		stream_peer_sends(d->stream, next_byte(), next_size());
}

static void program_reads(void)
{
	struct descriptor *d = any_open();
	static const int flags[] = { 0, 0, 0, MSG_PEEK, MSG_WAITALL, MSG_DONTWAIT, MSG_TRUNC };
	unsigned how = next_byte();
	int flag = flags[how % 7], unread = 0;
	size_t room = 1 + next_size();
	char *buffer;
	ssize_t n;

	if (how & 64)
		flag = 0; /* read() has none */
	if (!d || d->stream->unread_order || flag == MSG_TRUNC)
		return;
	buffer = malloc(room);
	n = stream_read(d->fd, buffer, room, flag, how & 64 ? SHIM_CALL_READ : SHIM_CALL_RECV);
	must(n <= (ssize_t)room);
	if (n > 0 && !(flag & MSG_PEEK))
		stream_got(d->stream, buffer, (size_t)n);
	/* "Not full" means "drained" to those who are told of arrivals only. */
	ioctl(d->fd, FIONREAD, &unread);
	if (n > 0 && n < (ssize_t)room && !(flag & (MSG_PEEK | MSG_WAITALL)) &&
	    !d->stream->blocking)
		must(unread == 0);
	free(buffer);
}

/* ---- the rest ---- */

static void call_fails(void)
{
	static const int errors[] = { ECONNRESET, EPIPE, ETIMEDOUT, EAGAIN, EINTR, ENOMEM };
	struct descriptor *d = any_open();
	char byte;
	struct iovec part = { &byte, 1 };
	struct shim_read r;

	if (!d)
		return;
	shim_read_begin(&r, d->fd, &part, 1, 0, SHIM_CALL_READ);
	errno = errors[next_byte() % 6];
	must(shim_read_end(&r, -1, 0) == -1);
}

static void waits(void)
{
	struct pollfd fds[3];
	unsigned n = next_byte() % 4;
	int epfd = 1000 + (int)(next_byte() & 1);
	fd_set in;

	FD_ZERO(&in);
	for (unsigned i = 0; i < n && i < 3; i++) {
		struct descriptor *d = any();

		fds[i] = (struct pollfd){ .fd = d->fd ? d->fd : -1 };
		if (d->fd)
			FD_SET(d->fd, &in);
		shim_on_epoll_ctl(epfd, EPOLL_CTL_ADD, d->fd);
	}
	switch (next_byte() % 4) {
	case 0:
		shim_on_poll(fds, n < 3 ? n : 3);
		break;
	case 1:
		shim_on_select(FD_SETSIZE, &in, NULL);
		break;
	case 2:
		shim_on_epoll_wait(epfd);
		break;
	default:
		thread_state = (struct thread_state){ 0 }; /* a thread that has not waited */
	}
}

static void odd_things(void)
{
	struct descriptor *d = any_open();

	if (!d)
		return;
	switch (next_byte() % 7) {
	case 0:
		shim_make_opaque(d->fd);
		break;
	case 1:
		shim_on_shutdown(d->fd, SHUT_WR);
		break;
	case 2:
		stream_peer_closes(d->stream);
		break;
	case 3: /* a signal handler, while we are inside */
		thread_enter();
		shim_on_shutdown(d->fd, SHUT_RD);
		thread_leave();
		break;
	case 4:
		if (!d->stream->wire.n && !d->stream->busy) {
			/* Nothing can be sent by any of its names from now on. */
			d->stream->dead = true;
			shim_on_listen(d->fd);
		}
		break;
	case 5:
		shim_on_received_unseen(d->fd, 1 + (ssize_t)next_size());
		break;
	default:
		shim_fork_parent();
	}
}

static void compose(void)
{
	struct descriptor *d = any_open();

	if (d && !d->stream->busy)
		stream_compose(d->stream, next_byte(), next_size());
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char *envp[] = { (char *)"TAGALONG_TRACES_FILE=/dev/null",
				(char *)"TAGALONG_INBOUND_HEADER=on",
				(char *)"TAGALONG_LINK=best",
				(char *)"OTEL_SEMCONV_STABILITY_OPT_IN=http/dup",
				(char *)"TAGALONG_EXCLUDE_PATHS=/health*",
				(char *)"OTEL_BSP_SCHEDULE_DELAY=60000",
				NULL };

	(void)argc;
	(void)argv;
	shim_start(envp);
	shim_before_close_range(0, ~0u);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const steps[])(void) = {
		open_descriptor, double_descriptor,
		program_writes,  program_writes,
		program_writes,  program_sends_file,
		write_begins,    read_begins,
		peer_sends,      peer_sends,
		program_reads,   program_reads,
		call_fails,      waits,
		odd_things,      compose,
		compose,
	};

	script = (struct script){ data, size < 4096 ? size : 4096 };
	model_reset();
	for (unsigned i = 0; i < 2; i++)
		open_descriptor();
	while (script.n) {
		unsigned step = next_byte();

		if (step >= 250)
			close_descriptor(any());
		else if (step >= 240)
			half_ends(&halves[step & 1]);
		else
			steps[step % (sizeof(steps) / sizeof(steps[0]))]();
	}
	half_ends(&halves[0]);
	half_ends(&halves[1]);
	for (unsigned i = 0; i < DESCRIPTORS; i++)
		close_descriptor(&descriptors[i]);
	shim_before_close(1000);
	shim_before_close(1001);
	must(conn_in_use() == 0);
	must(exchange_in_use() == 0);
	must(block_in_use() == 0);
	must(exchange_open_count() == 0);
	return 0;
}
