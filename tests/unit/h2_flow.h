/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of HTTP/2 in bytes: frames are written with nghttp2's encoder and read back with its
 * decoder, so that what is tested has no part in what it is judged by. Who includes this has a
 * must(condition). */
#ifndef TESTS_H2_FLOW_H
#define TESTS_H2_FLOW_H

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include "shim/wire/h2_frame.h"

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

static inline bool is_of_block(uint8_t type)
{
	return type == H2_HEADERS || type == H2_CONTINUATION || type == H2_PUSH_PROMISE;
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
		if (!is_of_block(f.type)) {
			transcript_line(t, &f, payload);
			continue;
		}
		if (f.type != H2_CONTINUATION) {
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
	while (w < wire->p + wire->n) {
		if (strncmp(w, "traceparent: 00-", 16) == 0 && strncmp(o, "traceparent", 11) != 0) {
			w += TRACEPARENT_LINE;
			(*traceparents)++;
			continue;
		}
		if (strncmp(w, "traceparent: 00-", 16) == 0) { /* another id in its place */
			if (memcmp(w, o, 49) != 0)
				return false;
			w += TRACEPARENT_LINE;
			o += TRACEPARENT_LINE;
			continue;
		}
		if (*w++ != *o++)
			return false;
	}
	return (size_t)(o - own->p) == own->n;
}

static inline struct bytes flow_bytes(const struct flow *f)
{
	return (struct bytes){ f->p, f->n };
}

#endif
