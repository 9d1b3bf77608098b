/* SPDX-License-Identifier: Apache-2.0 */
/* What must be true of one stream, kept beside the shim: the bytes the program was told have left,
 * the bytes that are on the wire, those its peer sent and those it read. */
#ifndef TESTS_FUZZ_SHIM_MODEL_H
#define TESTS_FUZZ_SHIM_MODEL_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/thread.h"
#include "shim/process_state.h"
#include "shim/shim.h"

#define STREAM_MAX 65536 /* bytes in one direction of a stream */

#define must(c)    ((c) ? (void)0 : must_failed(__LINE__, #c))

static inline void must_failed(int line, const char *what)
{
	fprintf(stderr, "line %d: %s\n", line, what);
	abort();
}

struct bytes_seen {
	char p[STREAM_MAX + 128];
	size_t n;
};

struct stream {
	int peer;
	bool blocking, dead, unordered, unread_order, peer_closed;
	unsigned references, busy;
	struct bytes_seen told, wire; /* out: what the program was told has left; what has */
	struct bytes_seen sent, got;  /* in: what the peer sent; what the program was given */
	char pending[8192];           /* what the program wants to write next */
	size_t unsent;
};

#define WITH_PARENT                                  \
	"GET / HTTP/1.1\r\nHost: a\r\nTraceParent: " \
	"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n"

static const char *const pieces[] = {
	"GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n",
	"POST /b HTTP/1.1\r\nHost: b\r\nContent-Length: 10\r\n\r\n0123456789",
	"PUT /c HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n",
	"3\r\nabc\r\n",
	"0\r\n\r\n",
	"HEAD / HTTP/1.1\nHost: a\n\n",
	"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
	"GET /health HTTP/1.0\r\n\r\n",
	WITH_PARENT,
	"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\n",
	"X-More: some value\r\n",
	"\r\n",
	"\r",
	"\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	"HTTP/1.1 100 Continue\r\n\r\n",
	"HTTP/1.1 204 No Content\r\n\r\n",
	"HTTP/1.1 101 Switching Protocols\r\n\r\n",
	"HTTP/1.1 200 OK\r\n\r\n",
	"HTTP/1.1 407 Auth\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
	"tracestate: a=b,c=d\r\nbaggage: e=f\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n",
};
#define PIECES (sizeof(pieces) / sizeof(pieces[0]))

static inline void model_reset(void)
{
	thread_state = (struct thread_state){ 0 };
	atomic_store(&process_state.listener, false);
	atomic_store(&process_state.reader_answers, 0);
	atomic_store(&process_state.other_answered, false);
	atomic_store(&process_state.unseen_inbound, 0);
	atomic_store(&process_state.forks, 0);
}

static inline struct stream *stream_new(int peer, bool blocking)
{
	struct stream *s = calloc(1, sizeof(*s));

	s->peer = peer;
	s->blocking = blocking;
	return s;
}

/* ---- comparing ---- */

#define OWN_NAME "traceparent: 00-" /* the program and its peers spell it otherwise */

/* The value of a header of theirs may have our ids in it: bytes to leave out, as far as they are
 * there. */
static inline size_t skip_value(const char *p, size_t n)
{
	static const char name[] = "TraceParent: 00-";
	size_t all = sizeof(name) - 1 + 52;

	if (n < sizeof(name) - 1 || memcmp(p, name, sizeof(name) - 1) != 0)
		return 0;
	return n < all ? n : all;
}

static inline bool starts_like(const char *p, size_t n, const char *text, size_t len)
{
	return memcmp(p, text, n < len ? n : len) == 0;
}

/* `altered` is `plain` with lines of ours in it. The last one may be cut if `cut`; plain may have
 * more than altered if `less` (what is still under way). */
static inline void show(const char *what, const struct bytes_seen *b)
{
	fprintf(stderr, "%s: %zu bytes: ", what, b->n);
	fwrite(b->p, 1, b->n, stderr);
	fprintf(stderr, "|\n");
}

static inline void compare(const struct bytes_seen *altered, const struct bytes_seen *plain,
			   bool cut, bool less)
{
	size_t i = 0, j = 0;

	while (i < altered->n) {
		const char *p = altered->p + i;
		size_t left = altered->n - i, own = sizeof(OWN_NAME) - 1, value;
		const char *end;

		if (left >= own ? memcmp(p, OWN_NAME, own) == 0
				: cut && j == plain->n && starts_like(p, left, OWN_NAME, own)) {
			end = memchr(p, '\n', left);
			must(end || (cut && j == plain->n));
			if (!end)
				return;
			if (end - p != 68 && end - p != 69) {
				show("altered", altered);
				show("plain", plain);
			}
			must(end - p == 68 || end - p == 69);
			i += (size_t)(end - p) + 1;
			continue;
		}
		value = skip_value(p, left);
		must(j < plain->n);
		if (value && skip_value(plain->p + j, plain->n - j)) {
			must(value <= plain->n - j);
			i += value;
			j += value;
			continue;
		}
		must(*p == plain->p[j]);
		i++;
		j++;
	}
	must(less || j == plain->n);
}

static inline void stream_free(struct stream *s)
{
	if (!s->unordered)
		compare(&s->wire, &s->told, true, false);
	if (!s->unread_order)
		compare(&s->got, &s->sent, false, true);
	close(s->peer);
	free(s);
}

/* ---- out ---- */

/* The kernel takes at most `limit` bytes; mood: now and then an error. *stopped: not all. */
static inline ssize_t stream_take(struct stream *s, const struct iovec *iov, int count,
				  size_t limit, unsigned mood, bool *stopped)
{
	size_t taken = 0, offered = 0;

	for (int i = 0; i < count; i++)
		offered += iov[i].iov_len;
	*stopped = true;
	if (mood >= 252)
		s->dead = true;
	if (s->dead) {
		errno = mood & 1 ? EPIPE : ECONNRESET;
		return -1;
	}
	if (limit > STREAM_MAX - s->wire.n)
		limit = STREAM_MAX - s->wire.n;
	if (!limit && s->blocking && s->wire.n < STREAM_MAX)
		limit = 1;
	if (!limit && s->blocking)
		s->dead = true;
	if (!limit && offered) {
		errno = s->dead ? EPIPE : EAGAIN;
		return -1;
	}
	for (int i = 0; i < count && taken < limit; i++) {
		size_t n = iov[i].iov_len < limit - taken ? iov[i].iov_len : limit - taken;

		memcpy(s->wire.p + s->wire.n, iov[i].iov_base, n);
		s->wire.n += n;
		taken += n;
	}
	*stopped = taken < offered;
	return (ssize_t)taken;
}

/* n of the pending bytes have left. */
static inline void stream_told(struct stream *s, size_t n)
{
	must(n <= s->unsent);
	if (s->told.n + n > sizeof(s->told.p))
		n = sizeof(s->told.p) - s->told.n;
	memcpy(s->told.p + s->told.n, s->pending, n);
	s->told.n += n;
	memmove(s->pending, s->pending + n, s->unsent - n);
	s->unsent -= n;
	if (!s->unordered && !s->busy)
		compare(&s->wire, &s->told, true, false);
}

static inline void stream_file(struct stream *s, size_t n)
{
	if (s->wire.n + n > STREAM_MAX)
		n = STREAM_MAX - s->wire.n;
	memset(s->wire.p + s->wire.n, 'f', n);
	memset(s->told.p + s->told.n, 'f', n);
	s->wire.n += n;
	s->told.n += n;
}

static inline size_t piece_put(char *to, size_t room, unsigned which, size_t many)
{
	size_t n;

	if (which >= 240) { /* a long value, to come near the limits */
		n = many < room ? many : room;
		memset(to, 'v', n);
		return n;
	}
	n = strlen(pieces[which % PIECES]);
	if (many && many < 100 && many < n) /* or a part of it */
		n = many;
	if (n > room)
		return 0;
	memcpy(to, pieces[which % PIECES], n);
	return n;
}

static inline void stream_compose(struct stream *s, unsigned which, size_t many)
{
	s->unsent += piece_put(s->pending + s->unsent, sizeof(s->pending) - s->unsent, which, many);
}

/* ---- in ---- */

static inline void stream_peer_sends(struct stream *s, unsigned which, size_t many)
{
	size_t n = piece_put(s->sent.p + s->sent.n, STREAM_MAX - s->sent.n, which, many);
	ssize_t r;

	if (!n || s->peer_closed)
		return;
	r = send(s->peer, s->sent.p + s->sent.n, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	s->sent.n += r > 0 ? (size_t)r : 0;
}

static inline void stream_peer_closes(struct stream *s)
{
	shutdown(s->peer, SHUT_WR);
	s->peer_closed = true;
}

/* Never waits, whatever the descriptor: the shim is not told. */
static inline ssize_t stream_read(int fd, char *to, size_t room, int flags, enum shim_call call)
{
	struct iovec part = { to, room };
	struct shim_read r;
	ssize_t n;

	shim_read_begin(&r, fd, &part, 1, call == SHIM_CALL_READ ? 0 : flags, call);
	must(r.iov->iov_base == to && r.iov->iov_len <= room);
	n = recv(fd, r.iov->iov_base, r.iov->iov_len,
		 (call == SHIM_CALL_READ ? 0 : r.flags & ~MSG_WAITALL) | MSG_DONTWAIT);
	return shim_read_end(&r, n, 0);
}

static inline void stream_got(struct stream *s, const char *p, size_t n)
{
	if (s->got.n + n > STREAM_MAX) {
		s->unread_order = true;
		return;
	}
	memcpy(s->got.p + s->got.n, p, n);
	s->got.n += n;
	compare(&s->got, &s->sent, false, true);
}

#endif
