/* SPDX-License-Identifier: Apache-2.0 */
/* What nghttp2's own encoder writes for random header lists is read as it was, table sizes changing
 * in between. Of what is damaged nghttp2's decoder alone makes the same. */
#include <nghttp2/nghttp2.h>
#include "hpack_blocks.h"
#include "shim/hpack_memory.h"
#include "shim/hpack_read.h"

#define FIELDS_MAX 24
#define TEXT_MAX   120
#define BLOCKS     400
#define COURSES    60

struct list {
	char text[FIELDS_MAX][2][TEXT_MAX];
	nghttp2_nv fields[FIELDS_MAX];
	size_t n;
};

static uint64_t state;

static unsigned below(unsigned n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(state >> 33) % n;
}

static const char *const names[] = {
	":method",      "cookie",     "x-request-id",  "traceparent", "content-type",
	"grpc-timeout", "user-agent", "authorization", "te",          "x-long-name-of-no-use",
};

/* Few enough different ones that the table is used, any bytes now and then. */
static size_t put_text(char to[TEXT_MAX])
{
	size_t n = below(8) ? 1 + below(12) : below(TEXT_MAX);
	bool any = below(6) == 0;

	for (size_t i = 0; i < n; i++)
		to[i] = any ? (char)below(256) : (char)('a' + below(2));
	return n;
}

static void make_list(struct list *l)
{
	l->n = below(FIELDS_MAX + 1);
	for (size_t i = 0; i < l->n; i++) {
		const char *name = names[below(COUNT(names))];
		size_t n = strlen(name);

		if (below(5))
			memcpy(l->text[i][0], name, n);
		else
			n = put_text(l->text[i][0]);
		l->fields[i] = (nghttp2_nv){
			.name = (uint8_t *)l->text[i][0],
			.value = (uint8_t *)l->text[i][1],
			.namelen = n,
			.valuelen = put_text(l->text[i][1]),
			.flags = below(10) ? NGHTTP2_NV_FLAG_NONE : NGHTTP2_NV_FLAG_NO_INDEX,
		};
	}
}

/* The string as it stands in the block says the same. */
static bool says(const struct hpack_field *f, struct bytes block)
{
	struct bytes written = { block.p + f->value_at, f->end - f->value_at };
	char coded[TEXT_MAX * 4];

	if (f->form == HPACK_INDEXED)
		return f->value_at == 0 && !f->huffman;
	if (!f->huffman)
		return bytes_equal(written, f->value);
	return bytes_equal(written, (struct bytes){ coded, hpack_huffman_put(coded, sizeof(coded),
									     f->value) });
}

static void expect_list(struct hpack *h, struct bytes block, const struct list *l)
{
	struct hpack_field f;
	size_t pos = 0;

	for (size_t i = 0; i < l->n; i++) {
		const nghttp2_nv *nv = &l->fields[i];
		size_t from = pos;

		cr_assert_eq(hpack_next(h, block, &pos, &f), 1);
		cr_assert(bytes_equal(f.name, (struct bytes){ (char *)nv->name, nv->namelen }));
		cr_assert(bytes_equal(f.value, (struct bytes){ (char *)nv->value, nv->valuelen }));
		cr_assert(f.at >= from && f.at < f.end && f.end == pos);
		cr_assert(f.at == from || i == 0);
		if (nv->flags == NGHTTP2_NV_FLAG_NO_INDEX) /* it may do so unasked, too */
			cr_assert_eq(f.form, HPACK_NEVER_INDEXED);
		cr_assert(says(&f, block));
	}
	cr_assert_eq(hpack_next(h, block, &pos, &f), 0);
	cr_assert_eq(pos, block.n);
}

static void run_course(uint64_t seed)
{
	static const uint32_t limits[] = { 0, 40, 100, 256, 1000, 4096, 10000, 65536 };
	static uint8_t bytes[FIELDS_MAX * TEXT_MAX * 8];
	static struct list list;
	nghttp2_hd_deflater *deflater;
	struct hpack *h = hpack_open();

	state = seed;
	cr_assert_eq(nghttp2_hd_deflate_new(&deflater, HPACK_TABLE_MAX), 0);
	for (unsigned i = 0; i < BLOCKS; i++) {
		struct bytes block;
		ssize_t n;

		for (unsigned changes = below(10) ? 0 : 1 + below(3); changes; changes--) {
			uint32_t limit = limits[below(COUNT(limits))];

			cr_assert_eq(nghttp2_hd_deflate_change_table_size(deflater, limit), 0);
			cr_assert_eq(hpack_limit_table(h, limit), 0);
		}
		make_list(&list);
		n = nghttp2_hd_deflate_hd(deflater, bytes, sizeof(bytes), list.fields, list.n);
		cr_assert_geq(n, 0);
		block = guard_copy(bytes, (size_t)n);
		if (n || list.n) /* an empty list says nothing of the table */
			expect_list(h, block, &list);
		guard_free(block);
	}
	nghttp2_hd_deflate_del(deflater);
	hpack_close(h);
}

Test(hpack_agree, with_the_encoder_over_random_lists)
{
	for (uint64_t seed = 1; seed <= COURSES; seed++)
		run_course(seed);
	cr_expect_eq(hpack_memory_in_use(), 0);
}

/* One more field, or the end: both say the same. The result of hpack_next(). */
static int agree(struct hpack *h, nghttp2_hd_inflater *oracle, struct bytes block, size_t *pos)
{
	const uint8_t *rest = (const uint8_t *)block.p + *pos;
	struct hpack_field f;
	size_t left = block.n - *pos, from = *pos;
	int result = hpack_next(h, block, pos, &f), flags = 0;
	nghttp2_nv nv;
	ssize_t n = nghttp2_hd_inflate_hd2(oracle, &nv, &flags, rest, left, 1);

	if (result < 0) {
		cr_assert_lt(n, 0);
		return result;
	}
	cr_assert_eq((size_t)n, *pos - from);
	cr_assert_eq(result, flags & NGHTTP2_HD_INFLATE_EMIT ? 1 : 0);
	if (flags & NGHTTP2_HD_INFLATE_FINAL)
		nghttp2_hd_inflate_end_headers(oracle);
	if (!result)
		return 0;
	cr_assert(bytes_equal(f.name, (struct bytes){ (char *)nv.name, nv.namelen }));
	cr_assert(bytes_equal(f.value, (struct bytes){ (char *)nv.value, nv.valuelen }));
	return 1;
}

/* Bytes changed, taken out and put in. */
static size_t damage(uint8_t *bytes, size_t n)
{
	for (unsigned changes = below(4) ? 0 : 1 + below(3); changes && n; changes--) {
		size_t at = below((unsigned)n);

		switch (below(4)) {
		case 0: /* cut off */
			n = at;
			break;
		case 1: /* what begins is an update, or an index, or a literal */
			bytes[at] = (uint8_t)(below(8) << 5 | (bytes[at] & 31));
			break;
		case 2:
			memmove(bytes + at, bytes + at + 1, n - at - 1);
			n--;
			break;
		default:
			bytes[at] ^= (uint8_t)(1 << below(8));
		}
	}
	return n;
}

/* Until one of the blocks is refused. */
static void run_damaged(uint64_t seed)
{
	static uint8_t bytes[FIELDS_MAX * TEXT_MAX * 8];
	static struct list list;
	nghttp2_hd_deflater *deflater;
	nghttp2_hd_inflater *oracle;
	struct hpack *h = hpack_open();
	int result = 0;

	state = seed;
	cr_assert_eq(nghttp2_hd_deflate_new(&deflater, HPACK_TABLE_MAX), 0);
	cr_assert_eq(nghttp2_hd_inflate_new(&oracle), 0);
	for (unsigned i = 0; i < BLOCKS && result == 0; i++) {
		struct bytes block;
		size_t pos = 0;

		if (below(20) == 0) {
			uint32_t limit = below(5000);

			nghttp2_hd_deflate_change_table_size(deflater, limit);
			cr_assert_eq(nghttp2_hd_inflate_change_table_size(oracle, limit), 0);
			cr_assert_eq(hpack_limit_table(h, limit), 0);
		}
		make_list(&list);
		block.n =
			damage(bytes, (size_t)nghttp2_hd_deflate_hd(deflater, bytes, sizeof(bytes),
								    list.fields, list.n));
		block = guard_copy(bytes, block.n);
		do
			result = agree(h, oracle, block, &pos);
		while (result == 1);
		guard_free(block);
	}
	nghttp2_hd_deflate_del(deflater);
	nghttp2_hd_inflate_del(oracle);
	hpack_close(h);
}

Test(hpack_agree, with_the_decoder_over_damaged_blocks)
{
	for (uint64_t seed = 1; seed <= 50 * COURSES; seed++)
		run_damaged(seed);
	cr_expect_eq(hpack_memory_in_use(), 0);
}

/* In a text of fourteen bytes 64 bits are at hand behind the sixth code, as many as there can be.
 */
Test(hpack_agree, a_code_that_is_none_ends_a_text_however_many_bits_are_at_hand)
{
	uint8_t code[24];
	char text[HPACK_HUFFMAN_ROOM(sizeof(code))];

	memset(code, 0xff, sizeof(code));
	for (size_t plain = 0; plain < 16; plain++) {
		memset(code, 0xf8, plain); /* '&', of eight bits */
		for (size_t n = plain + 2; n <= sizeof(code); n++)
			cr_expect_eq(hpack_huffman_get(text, (struct bytes){ (char *)code, n }), -1,
				     "%zu of %zu", plain, n);
	}
}
