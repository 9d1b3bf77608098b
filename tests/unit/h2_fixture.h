/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of HTTP/2 in bytes: frames are written with nghttp2's encoder and read back with its
 * decoder, so that what is tested has no part in what it is judged by. */
#ifndef TESTS_H2_FIXTURE_H
#define TESTS_H2_FIXTURE_H

#include <nghttp2/nghttp2.h>
#include "base/counters.h"
#include "shim/h2.h"
#include "shim/hpack_memory.h"
#include "shim_halves.h"

#define FLOW_MAX   262144
#define FIELDS_MAX 128

/* ---- writing ---- */

/* The bytes of one direction. */
struct flow {
	char p[FLOW_MAX];
	size_t n;
	nghttp2_hd_deflater *deflater;
};

static inline void flow_begin(struct flow *f)
{
	if (f->deflater)
		nghttp2_hd_deflate_del(f->deflater);
	f->n = 0;
	must(nghttp2_hd_deflate_new(&f->deflater, 4096) == 0);
}

static inline void flow_put(struct flow *f, const void *p, size_t n)
{
	must(f->n + n <= sizeof(f->p));
	if (n)
		memcpy(f->p + f->n, p, n);
	f->n += n;
}

static inline void flow_frame(struct flow *f, uint8_t type, uint8_t flags, uint32_t stream,
			      struct bytes payload)
{
	const char head[H2_FRAME_HEAD] = { (char)(payload.n >> 16),
					   (char)(payload.n >> 8),
					   (char)payload.n,
					   (char)type,
					   (char)flags,
					   (char)(stream >> 24),
					   (char)(stream >> 16),
					   (char)(stream >> 8),
					   (char)stream };

	flow_put(f, head, sizeof(head));
	flow_put(f, payload.p, payload.n);
}

/* "name: value\n" for each field, the name from its second byte on a name of its own; "!" before
 * it: never indexed. */
static inline size_t fields_of_text(const char *text, nghttp2_nv *nv)
{
	size_t n = 0;

	while (*text) {
		bool never = *text == '!';
		const char *name = text + never, *colon = strchr(name + 1, ':');
		const char *end = strchr(name, '\n');

		must(n < FIELDS_MAX);
		nv[n++] =
			(nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)(colon + 2),
				      (size_t)(colon - name), (size_t)(end - colon - 2),
				      never ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE };
		text = end + 1;
	}
	return n;
}

/* The block of a header list; valid until the next one. */
static inline struct bytes flow_block(struct flow *f, const char *text)
{
	static uint8_t block[131072];
	nghttp2_nv nv[FIELDS_MAX];
	ssize_t n = nghttp2_hd_deflate_hd(f->deflater, block, sizeof(block), nv,
					  fields_of_text(text, nv));

	must(n >= 0);
	return (struct bytes){ (char *)block, (size_t)n };
}

static inline void flow_headers(struct flow *f, uint32_t stream, bool end, const char *text)
{
	flow_frame(f, H2_HEADERS, (uint8_t)(H2_FLAG_END_HEADERS | (end ? H2_FLAG_END_STREAM : 0)),
		   stream, flow_block(f, text));
}

/* In `parts` frames of nearly the same size. */
static inline void flow_continued(struct flow *f, uint32_t stream, bool end, const char *text,
				  size_t parts)
{
	struct bytes block = flow_block(f, text);

	for (size_t i = 0; i < parts; i++) {
		size_t from = block.n * i / parts, to = block.n * (i + 1) / parts;
		uint8_t flags = i + 1 == parts ? H2_FLAG_END_HEADERS : 0;

		flow_frame(f, i ? H2_CONTINUATION : H2_HEADERS,
			   (uint8_t)(flags | (!i && end ? H2_FLAG_END_STREAM : 0)), stream,
			   (struct bytes){ block.p + from, to - from });
	}
}

static inline void flow_data(struct flow *f, uint32_t stream, bool end, struct bytes data)
{
	flow_frame(f, H2_DATA, end ? H2_FLAG_END_STREAM : 0, stream, data);
}

static inline void flow_preface(struct flow *f)
{
	flow_put(f, H2_PREFACE, H2_PREFACE_LEN);
	flow_frame(f, H2_SETTINGS, 0, 0, BYTES(""));
}

static inline void flow_setting(struct flow *f, uint16_t id, uint32_t value)
{
	const char p[] = { (char)(id >> 8),     (char)id,           (char)(value >> 24),
			   (char)(value >> 16), (char)(value >> 8), (char)value };

	flow_frame(f, H2_SETTINGS, 0, 0, (struct bytes){ p, sizeof(p) });
}

#define GET_FIELDS(path) \
	":method: GET\n:scheme: http\n:path: " path "\n:authority: a.example\nuser-agent: test\n"
#define POST_FIELDS(path) \
	":method: POST\n:scheme: http\n:path: " path "\n:authority: a.example\nx-one: two\n"

/* ---- reading ---- */

/* What a peer understands of a direction: for each block "HEADERS stream flags\n" and its fields as
 * lines, for each other frame a line with its payload. */
struct transcript {
	char p[4 * FLOW_MAX];
	size_t n, requests;
	const char *block; /* where the last block's fields begin */
};

static inline void transcript_put(struct transcript *t, const void *p, size_t n)
{
	must(t->n + n < sizeof(t->p));
	memcpy(t->p + t->n, p, n);
	t->n += n;
	t->p[t->n] = 0;
}

static inline void transcript_line(struct transcript *t, const struct h2_frame *f,
				   struct bytes payload)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "#%u %u %x ", f->type, f->stream, f->flags);

	transcript_put(t, line, (size_t)n);
	if (f->type != H2_HEADERS && f->type != H2_PUSH_PROMISE)
		transcript_put(t, payload.p, payload.n);
	transcript_put(t, "\n", 1);
}

static inline bool transcript_fields(struct transcript *t, nghttp2_hd_inflater *d,
				     struct bytes block)
{
	const uint8_t *p = (const uint8_t *)block.p;
	size_t left = block.n;

	for (;;) {
		nghttp2_nv nv;
		int flags = 0;
		ssize_t n = nghttp2_hd_inflate_hd2(d, &nv, &flags, p, left, 1);

		if (n < 0)
			return false;
		p += n;
		left -= (size_t)n;
		if (flags & NGHTTP2_HD_INFLATE_EMIT) {
			transcript_put(t, nv.name, nv.namelen);
			transcript_put(t, ": ", 2);
			transcript_put(t, nv.value, nv.valuelen);
			transcript_put(t, "\n", 1);
		}
		if (flags & NGHTTP2_HD_INFLATE_FINAL)
			return nghttp2_hd_inflate_end_headers(d) == 0;
	}
}

/* Reads whole frames, behind the client's preface if there is one. False: a peer would not have
 * understood them, or something is left over. */
static inline bool transcript_read_with(struct transcript *t, nghttp2_hd_inflater *d,
					struct bytes in)
{
	static char block[FLOW_MAX];
	struct h2_frame first = { 0 };
	size_t n = 0;

	t->n = t->requests = 0;
	t->p[0] = 0;
	if (bytes_start_with(in, BYTES("PRI")))
		in = (struct bytes){ in.p + H2_PREFACE_LEN, in.n - H2_PREFACE_LEN };
	while (in.n) {
		struct h2_frame f;
		struct bytes payload, part;

		if (in.n < H2_FRAME_HEAD)
			return false;
		f = h2_frame_unpack(in.p);
		if (in.n - H2_FRAME_HEAD < f.length)
			return false;
		payload = (struct bytes){ in.p + H2_FRAME_HEAD, f.length };
		in = (struct bytes){ payload.p + f.length, in.n - H2_FRAME_HEAD - f.length };
		if (f.type != H2_HEADERS && f.type != H2_CONTINUATION) {
			transcript_line(t, &f, payload);
			continue;
		}
		if (f.type == H2_HEADERS) {
			first = f;
			n = 0;
		}
		if (f.stream != first.stream || h2_frame_fragment(&part, &f, payload))
			return false;
		memcpy(block + n, part.p, part.n);
		n += part.n;
		if (!(f.flags & H2_FLAG_END_HEADERS))
			continue;
		first.flags |= H2_FLAG_END_HEADERS;
		transcript_line(t, &first, payload);
		t->requests++;
		if (!transcript_fields(t, d, (struct bytes){ block, n }))
			return false;
	}
	return true;
}

static inline bool transcript_read(struct transcript *t, struct bytes in)
{
	nghttp2_hd_inflater *d;
	bool good;

	must(nghttp2_hd_inflate_new(&d) == 0);
	good = transcript_read_with(t, d, in);
	nghttp2_hd_inflate_del(d);
	return good;
}

#define TRACEPARENT_LINE (13 + 55 + 1)

/* Whether one is the other with one traceparent more in each block that a request of GET_FIELDS or
 * POST_FIELDS made, and how many there are. */
static inline bool transcript_is_traced(const struct transcript *wire, const struct transcript *own,
					size_t *traceparents)
{
	const char *w = wire->p, *o = own->p;

	*traceparents = 0;
	while (*w && w < wire->p + wire->n) {
		if (strncmp(w, "traceparent: 00-", 16) == 0 && strncmp(o, "traceparent", 11) != 0) {
			w += TRACEPARENT_LINE;
			(*traceparents)++;
			continue;
		}
		if (*w++ != *o++)
			return false;
	}
	return (size_t)(o - own->p) == own->n;
}

/* ---- the program's calls ---- */

static struct wire h2_wire;

/* Writes p[from, to) in `parts` parts until all is taken; never a short count that the kernel did
 * not make. The number of calls it took. */
static inline unsigned h2_write(int fd, const char *p, size_t from, size_t to, unsigned parts,
				enum shim_call call)
{
	static struct iovec iov[1024];
	unsigned tries = 0;

	while (from < to) {
		size_t left = to - from, at = from, calls = h2_wire.calls, before = h2_wire.n;
		unsigned count = parts < left ? parts : (unsigned)left;
		ssize_t n;

		for (unsigned i = 0; i < count; i++) {
			size_t end = from + left * (i + 1) / count;

			iov[i] = (struct iovec){ (char *)(uintptr_t)p + at, end - at };
			at = end;
		}
		n = wire_write(&h2_wire, fd, iov, (int)count, call);
		must(++tries < 100000);
		if (n < 0) {
			must(errno == EAGAIN);
			continue;
		}
		must(n > 0 && (size_t)n <= left);
		if ((size_t)n < left)
			must(h2_wire.limit &&
			     h2_wire.n - before <= (h2_wire.calls - calls) * h2_wire.limit);
		from += (size_t)n;
	}
	return tries;
}

static inline void h2_wire_begin(size_t limit)
{
	h2_wire.n = h2_wire.calls = 0;
	h2_wire.limit = limit;
	h2_wire.refused = false;
}

/* The peer's bytes, as the program's read with room for `room` of them gets them: the kernel is
 * played. What it is told it got. */
static inline ssize_t h2_read(int fd, char *to, size_t room, struct bytes bytes)
{
	struct iovec part = { to, room };
	struct shim_read r;
	size_t n;

	shim_read_begin(&r, fd, &part, 1, 0, SHIM_CALL_RECV);
	n = bytes.n < r.iov->iov_len ? bytes.n : r.iov->iov_len;
	memcpy(r.iov->iov_base, bytes.p, n);
	return shim_read_end(&r, (ssize_t)n, 0);
}

/* All of it, by reads of at most `step` bytes, with nothing put in. */
static inline void h2_reads(int fd, struct bytes bytes, size_t step)
{
	static char buffer[FLOW_MAX];

	for (size_t at = 0; at < bytes.n;) {
		size_t n = bytes.n - at < step ? bytes.n - at : step;

		must(h2_read(fd, buffer, sizeof(buffer), (struct bytes){ bytes.p + at, n }) ==
		     (ssize_t)n);
		at += n;
	}
}

static inline struct bytes flow_bytes(const struct flow *f)
{
	return (struct bytes){ f->p, f->n };
}

static inline void expect_no_h2_in_use(void)
{
	expect_nothing_in_use();
	cr_assert_eq(hpack_memory_in_use(), 0);
}

#endif
