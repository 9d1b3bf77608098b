/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/curl/gzip.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <zlib.h>

#define GZIP_WINDOW (MAX_WBITS + 16) /* zlib's way to ask for gzip */
#define MEMORY      8                /* zlib's own default */
#define FIRST_ROOM  4096
#define STRETCH     8192 /* bytes compressed before whoever waits for this processor goes first */

int gzip_reserve(struct gzip_buffer *b, size_t n)
{
	char *p;

	if (n <= b->size)
		return 0;
	p = realloc(b->p, n);
	if (!p)
		return -ENOMEM;
	b->p = p;
	b->size = n;
	return 0;
}

/* The room for what comes out is there. */
static int compress_all(z_stream *z, size_t left)
{
	int state;

	do {
		z->avail_in = (uInt)(left < STRETCH ? left : STRETCH);
		left -= z->avail_in;
		state = deflate(z, left ? Z_NO_FLUSH : Z_FINISH);
		sched_yield();
	} while (state == Z_OK && left);
	return state == Z_STREAM_END ? 0 : -ENOMEM;
}

int gzip_compress(struct gzip_buffer *b, struct bytes in)
{
	z_stream z = { .next_in = (Bytef *)in.p };
	size_t bound;
	int err;

	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, MEMORY,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	bound = deflateBound(&z, in.n);
	err = gzip_reserve(b, b->n + bound);
	if (!err) {
		z.next_out = (Bytef *)b->p + b->n;
		z.avail_out = (uInt)bound;
		err = compress_all(&z, in.n);
	}
	if (!err)
		b->n += z.total_out;
	deflateEnd(&z);
	return err;
}

/* Until the stream ends or `max` is reached. */
static int expand(z_stream *z, struct gzip_buffer *b, size_t max)
{
	const size_t from = b->n;

	for (;;) {
		size_t room = b->size - b->n;
		int state, err;

		if (!room) {
			err = gzip_reserve(b, b->size ? b->size * 2 : FIRST_ROOM);
			if (err)
				return err;
			room = b->size - b->n;
		}
		z->next_out = (Bytef *)b->p + b->n;
		z->avail_out = (uInt)room;
		state = inflate(z, Z_NO_FLUSH);
		b->n += room - z->avail_out;
		if (b->n - from > max)
			return -EFBIG;
		if (state == Z_STREAM_END)
			return 0;
		if (state != Z_OK || (!z->avail_in && z->avail_out))
			return state == Z_MEM_ERROR ? -ENOMEM : -EINVAL;
	}
}

int gzip_expand(struct gzip_buffer *b, struct bytes in, size_t max)
{
	z_stream z = { .next_in = (Bytef *)in.p, .avail_in = (uInt)in.n };
	int err;

	if (inflateInit2(&z, GZIP_WINDOW) != Z_OK)
		return -ENOMEM;
	err = expand(&z, b, max);
	inflateEnd(&z);
	return err;
}
