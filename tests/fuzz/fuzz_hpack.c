/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's header blocks: a length byte before each, 255 before a change of the table's
 * limit. What is read is where it says it is, is read again from plain literals, and is laid out as
 * a head of HTTP/1 that the parser of these reads the same way. nghttp2 alone reads the same
 * fields, and refuses what is refused. */
#include <errno.h>
#include <stdlib.h>
#include "shim/h2_head.h"
#include "shim/hpack_memory.h"

#define ROOM        16384
#define CODED_MAX   (4 * H2_LIST_MAX)
#define LIMIT_COMES 255

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct connection {
	struct hpack *decoder, *for_heads, *again;
	nghttp2_hd_inflater *oracle;
	size_t limit; /* of the room for heads */
};

static void must(bool true_always)
{
	if (!true_always)
		abort();
}

static void check_place(const struct hpack_field *f, struct bytes block, size_t from, size_t pos)
{
	static char coded[CODED_MAX];
	struct bytes written = { block.p + f->value_at, f->end - f->value_at };

	must(from <= f->at && f->at < f->end && f->end == pos && pos <= block.n);
	must(f->form <= HPACK_NEVER_INDEXED);
	if (f->form == HPACK_INDEXED) {
		must(f->value_at == 0 && !f->huffman && (block.p[f->at] & 0x80));
	} else if (!f->huffman) {
		must(f->value_at > f->at && bytes_equal(written, f->value));
	} else {
		/* The code is unambiguous and its padding is checked. */
		must(hpack_huffman_put(coded, sizeof(coded), f->value) == written.n);
		must(memcmp(coded, written.p, written.n) == 0);
		must(f->value_at > f->at && (hpack_huffman_bits(f->value) + 7) / 8 == written.n);
	}
}

/* Another decoder is told the same in the plainest way. */
static void check_literal(struct hpack *again, const struct hpack_field *f)
{
	size_t size = f->name.n + f->value.n + 23, n, pos = 0;
	char *block = malloc(size);
	struct hpack_field g;

	n = hpack_put(block, size, f->name, f->value);
	must(n > 0 && hpack_put(block, n - 1, f->name, f->value) == 0);
	n = hpack_put(block, n, f->name, f->value);
	must(hpack_next(again, (struct bytes){ block, n }, &pos, &g) == 1 && pos == n);
	must(bytes_equal(f->name, g.name) && bytes_equal(f->value, g.value));
	must(g.form == HPACK_WITHOUT_INDEXING && !g.huffman && g.at == 0);
	must(hpack_next(again, (struct bytes){ block, n }, &pos, &g) == 0);
	free(block);
}

/* What nghttp2 says of the same bytes: as hpack_next(). */
static int ask_oracle(nghttp2_hd_inflater *oracle, struct bytes block, size_t *pos, nghttp2_nv *nv)
{
	int flags = 0;
	ssize_t n = nghttp2_hd_inflate_hd2(oracle, nv, &flags, (const uint8_t *)block.p + *pos,
					   block.n - *pos, 1);

	if (n < 0)
		return -EBADMSG;
	*pos += (size_t)n;
	if (flags & NGHTTP2_HD_INFLATE_FINAL)
		nghttp2_hd_inflate_end_headers(oracle);
	return flags & NGHTTP2_HD_INFLATE_EMIT ? 1 : 0;
}

static void check_oracle(struct connection *c, struct bytes block, size_t *asked, int result,
			 const struct hpack_field *f)
{
	nghttp2_nv nv;

	if (result == -ENOMEM) /* it has other bounds */
		return;
	must(ask_oracle(c->oracle, block, asked, &nv) == result);
	if (result != 1)
		return;
	must(*asked == f->end && nv.namelen == f->name.n && nv.valuelen == f->value.n);
	must(!nv.namelen || memcmp(nv.name, f->name.p, nv.namelen) == 0);
	must(!nv.valuelen || memcmp(nv.value, f->value.p, nv.valuelen) == 0);
}

static int read_fields(struct connection *c, struct bytes block)
{
	struct hpack_field f;
	size_t pos = 0, from = 0, asked = 0;
	int result;

	while ((result = hpack_next(c->decoder, block, &pos, &f)) == 1) {
		check_oracle(c, block, &asked, result, &f);
		check_place(&f, block, from, pos);
		check_literal(c->again, &f);
		from = pos;
	}
	check_oracle(c, block, &asked, result, &f);
	must(result == 0 ? pos == block.n : result == -EBADMSG || result == -ENOMEM);
	return result;
}

static void check_lines(const struct h2_head *out)
{
	struct http1_header header;
	size_t pos = out->head.headers;
	unsigned lines = 0;

	for (; http1_next_header(&out->head, out->whole, &pos, &header); lines++)
		must(header.name.n && header.value.p >= header.name.p + header.name.n);
	must(lines == out->head.header_count && pos == out->head.blank);
	must(out->head.blank + 2 == out->head.length && out->head.length == out->whole.n);
	must(memcmp(out->whole.p + pos, "\r\n", 2) == 0);
}

/* The same lines under a start line of HTTP/1. */
static void check_parsed(const struct h2_head *out)
{
	static const char line[] = "GET / HTTP/1.1\r\n";
	static char text[sizeof(line) + ROOM];
	struct http1_head parsed;
	size_t n = sizeof(line) - 1 + out->whole.n;

	if (out->cut || out->head.header_count > HTTP1_HEADERS_MAX)
		return;
	memcpy(text, line, sizeof(line) - 1);
	memcpy(text + sizeof(line) - 1, out->whole.p, out->whole.n);
	must(http1_parse_request(&parsed, (struct bytes){ text, n }, 0) == (ssize_t)n);
	must(parsed.header_count == out->head.header_count);
	for (unsigned id = 0; id < HTTP1_FIELD_COUNT; id++) {
		must(parsed.count[id] == out->head.count[id]);
		must(bytes_equal(parsed.field[id], out->head.field[id]));
	}
	must(parsed.has_length == out->head.has_length || out->malformed);
	must(parsed.content_length == out->head.content_length || out->malformed);
}

static void read_head(struct connection *c, struct bytes block, bool request, int result)
{
	char *room = malloc(c->limit);
	struct h2_head out;

	must(h2_head_decode(&out, c->for_heads, block, request, room, c->limit) == result);
	if (result == 0) {
		check_lines(&out);
		check_parsed(&out);
		must(!out.trailers || !out.head.method.n);
		if (!out.malformed && !out.trailers && !out.cut && request)
			must(out.head.method.n && out.head.target.n);
		if (!out.malformed && !out.trailers && !request)
			must(out.head.status >= 100);
	}
	free(room);
}

/* One byte: a limit of the table. */
static bool change_limit(struct connection *c, uint8_t byte)
{
	uint32_t size = byte < 32 ? byte * 8u : byte < 128 ? byte * 128u : byte * 260u;
	int result = hpack_limit_table(c->decoder, size);

	must(result == (size <= HPACK_TABLE_MAX ? 0 : -E2BIG));
	return result == 0 && hpack_limit_table(c->for_heads, size) == 0 &&
	       nghttp2_hd_inflate_change_table_size(c->oracle, size) == 0;
}

/* False: the connection is lost. */
static bool read_block(struct connection *c, struct bytes block, bool request)
{
	char *copy = malloc(block.n);
	int result;

	if (block.n)
		memcpy(copy, block.p, block.n);
	result = read_fields(c, (struct bytes){ copy, block.n });
	read_head(c, (struct bytes){ copy, block.n }, request, result);
	free(copy);
	return result == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct connection c = { hpack_open(), hpack_open(), hpack_open(), NULL, 0 };
	bool request = false, going = true;
	size_t at = 1;

	if (size) {
		request = data[0] & 1;
		c.limit = data[0] & 2 ? ROOM : data[0];
	}
	must(c.decoder && c.for_heads && c.again && nghttp2_hd_inflate_new(&c.oracle) == 0);
	while (going && at < size) {
		size_t n = data[at++], left = size - at;

		if (n == LIMIT_COMES) {
			going = left && change_limit(&c, data[at++]);
			continue;
		}
		n = n < left ? n : left;
		going = read_block(&c, (struct bytes){ (const char *)data + at, n }, request);
		at += n;
	}
	hpack_close(c.decoder);
	hpack_close(c.for_heads);
	hpack_close(c.again);
	nghttp2_hd_inflate_del(c.oracle);
	must(hpack_memory_in_use() == 0);
	return 0;
}
