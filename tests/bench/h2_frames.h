/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of bench.h as frames of HTTP/2, by nghttp2's encoder: what comes on a connection
 * that has been in use for a while, with most fields in the table. */
#ifndef TESTS_BENCH_H2_FRAMES_H
#define TESTS_BENCH_H2_FRAMES_H

#include <nghttp2/nghttp2.h>
#include <string.h>
#include "tests/bench/bench.h"

#define H2_START       "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" H2_NO_SETTINGS
#define H2_NO_SETTINGS "\0\0\0\4\0\0\0\0\0"

/* Some frames of one stream, whose number is set before each use. */
struct h2_message {
	char p[1024];
	size_t n, heads[4]; /* offsets of the frame heads */
	unsigned frames;
};

static inline char *h2_frame(struct h2_message *m, size_t length, uint8_t type, uint8_t flags)
{
	const char head[9] = { 0, (char)(length >> 8), (char)length, (char)type, (char)flags };

	m->heads[m->frames++] = m->n;
	memcpy(m->p + m->n, head, sizeof(head));
	m->n += sizeof(head) + length;
	return m->p + m->n - length;
}

static inline nghttp2_nv h2_field(const char *name, const char *value, uint8_t flags)
{
	return (nghttp2_nv){ (uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
			     flags };
}

static inline void h2_headers(struct h2_message *m, nghttp2_hd_deflater *d, const nghttp2_nv *nv,
			      size_t count, uint8_t flags)
{
	uint8_t block[512];
	ssize_t n = nghttp2_hd_deflate_hd(d, block, sizeof(block), nv, count);

	if (n < 0)
		abort();
	memcpy(h2_frame(m, (size_t)n, 1, (uint8_t)(flags | 4)), block, (size_t)n);
}

/* Behind the block that was written last. */
static inline void h2_append(struct h2_message *m, const char *p, size_t n)
{
	char *head = m->p + m->heads[m->frames - 1];
	size_t length = m->n - m->heads[m->frames - 1] - 9 + n;

	head[1] = (char)(length >> 8);
	head[2] = (char)length;
	memcpy(m->p + m->n, p, n);
	m->n += n;
}

/* traced: with a context as the library puts it in: not in the table, no Huffman code. */
static inline void h2_request(struct h2_message *m, nghttp2_hd_deflater *d, bool traced, bool grpc)
{
	static const char context[] =
		"\0\013traceparent\06700-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	nghttp2_nv nv[7] = {
		h2_field(":method", grpc ? "POST" : "GET", 0),
		h2_field(":scheme", "http", 0),
		h2_field(":path", grpc ? "/shop.Orders/List" : "/users/1234/orders?page=2", 0),
		h2_field(":authority", "api.example.com:8080", 0),
		h2_field("user-agent", grpc ? "grpc-c++/1.51.1" : "curl/7.88.1", 0),
		h2_field("accept", "*/*", 0),
		h2_field("x-request-id", "1234567890abcdef", 0),
	};
	if (grpc) {
		nv[5] = h2_field("te", "trailers", 0);
		nv[6] = h2_field("content-type", "application/grpc", 0);
	}
	h2_headers(m, d, nv, 7, grpc ? 0 : 1);
	if (traced)
		h2_append(m, context, sizeof(context) - 1);
	if (grpc)
		memcpy(h2_frame(m, 10, 0, 1), "\0\0\0\0\5hello", 10);
}

static inline void h2_response(struct h2_message *m, nghttp2_hd_deflater *d, bool grpc)
{
	nghttp2_nv nv[3] = {
		h2_field(":status", "200", 0),
		h2_field("content-type", grpc ? "application/grpc" : "text/plain", 0),
		h2_field("server", "bench", 0),
	};
	nghttp2_nv status = h2_field("grpc-status", "0", 0);

	h2_headers(m, d, nv, grpc ? 2 : 3, 0);
	if (!grpc) {
		memcpy(h2_frame(m, 5, 0, 1), "hello", 5);
		return;
	}
	memcpy(h2_frame(m, 10, 0, 0), "\0\0\0\0\5hello", 10);
	h2_headers(m, d, &status, 1, 1);
}

static inline void h2_number(struct h2_message *m, uint32_t stream)
{
	const char number[4] = { (char)(stream >> 24), (char)(stream >> 16), (char)(stream >> 8),
				 (char)stream };

	for (unsigned i = 0; i < m->frames; i++)
		memcpy(m->p + m->heads[i] + 5, number, sizeof(number));
}

#endif
