/* SPDX-License-Identifier: Apache-2.0 */
/* Where fields stand in their block and how they are written. */
#include "hpack_blocks.h"

struct place {
	const char *hex; /* of one representation, size updates first */
	size_t updates;  /* bytes of these */
	enum hpack_form form;
	bool huffman;
	size_t value_at; /* from the start of the representation */
	const char *value;
};

/* In this order, since some need what came before. */
static const struct place places[] = {
	{ "82", 0, HPACK_INDEXED, false, 0, "GET" },
	{ "20 3f e1 1f 82", 4, HPACK_INDEXED, false, 0, "GET" },
	{ "40 01 61 02 78 79", 0, HPACK_INDEXING, false, 4, "xy" },
	{ "44 01 2f", 0, HPACK_INDEXING, false, 2, "/" },
	{ "44 00", 0, HPACK_INDEXING, false, 2, "" },
	{ "bf", 0, HPACK_INDEXED, false, 0, "/" },
	{ "ff 81 00", 0, HPACK_INDEXED, false, 0, NULL }, /* 128 is past the table */
	{ "00 01 61 02 78 79", 0, HPACK_WITHOUT_INDEXING, false, 4, "xy" },
	{ "04 81 1f", 0, HPACK_WITHOUT_INDEXING, true, 2, "a" },
	{ "0f 00 01 61", 0, HPACK_WITHOUT_INDEXING, false, 3, "a" },
	{ "0f 80 00 01 61", 0, HPACK_WITHOUT_INDEXING, false, 4, "a" }, /* a longer 15 */
	{ "0f 2f 80", 0, HPACK_WITHOUT_INDEXING, true, 3, "" },
	{ "10 81 1f 82 1c 7f", 0, HPACK_NEVER_INDEXED, true, 4, NULL },
	{ "1f 00 01 61", 0, HPACK_NEVER_INDEXED, false, 3, "a" },
	{ "10 81 1f 01 61", 0, HPACK_NEVER_INDEXED, false, 4, "a" },
	{ "10 01 61 81 1f", 0, HPACK_NEVER_INDEXED, true, 4, "a" },
	{ "7e 01 61", 0, HPACK_INDEXING, false, 2, "a" },
};

static void expect_place(const struct place *p, const struct hpack_field *f, size_t at, size_t end)
{
	cr_expect_eq(f->at, at + p->updates, "%s: at %zu", p->hex, f->at);
	cr_expect_eq(f->end, end, "%s: end %zu", p->hex, f->end);
	cr_expect_eq(f->form, p->form, "%s: form %u", p->hex, f->form);
	cr_expect_eq(f->huffman, p->huffman, "%s", p->hex);
	cr_expect_eq(f->value_at, p->value_at ? at + p->updates + p->value_at : 0,
		     "%s: value at %zu", p->hex, f->value_at);
	cr_expect(bytes_equal(f->value, bytes_of(p->value)), "%s: value %.*s", p->hex,
		  (int)f->value.n, f->value.p);
}

Test(hpack_place, is_told_of_each_form)
{
	struct hpack *h = hpack_open();

	for (size_t i = 0; i < COUNT(places); i++) {
		struct bytes block = block_of(places[i].hex);
		struct hpack_field f;
		size_t pos = 0;

		if (places[i].value) {
			cr_assert_eq(hpack_next(h, block, &pos, &f), 1, "%s", places[i].hex);
			cr_expect_eq(pos, block.n);
			expect_place(&places[i], &f, 0, block.n);
			cr_expect_eq(hpack_next(h, block, &pos, &f), 0);
		}
		guard_free(block);
	}
	hpack_close(h);
}

/* All in one block but for those with a size update in front or nothing to be found. */
static size_t join(char *hex, const struct place *joined[COUNT(places)])
{
	size_t n = 0;

	*hex = '\0';
	for (size_t i = 0; i < COUNT(places); i++) {
		if (!places[i].value || (places[i].updates && n))
			continue;
		strcat(strcat(hex, places[i].hex), " ");
		joined[n++] = &places[i];
	}
	return n;
}

static size_t bytes_in(const char *hex)
{
	struct bytes block = block_of(hex);
	size_t n = block.n;

	guard_free(block);
	return n;
}

Test(hpack_place, counts_from_the_start_of_the_block)
{
	const struct place *joined[COUNT(places)];
	char hex[2048];
	size_t n = join(hex, joined), pos = 0, at = 0;
	struct hpack *h = hpack_open();
	struct bytes block = block_of(hex);
	struct hpack_field f;

	for (size_t i = 0; i < n; i++) {
		size_t end = at + bytes_in(joined[i]->hex);

		cr_assert_eq(hpack_next(h, block, &pos, &f), 1);
		expect_place(joined[i], &f, at, end);
		cr_expect_eq(pos, end);
		at = end;
	}
	cr_expect_eq(hpack_next(h, block, &pos, &f), 0);
	cr_expect_eq(pos, block.n);
	guard_free(block);
	hpack_close(h);
}

/* Reads a copy that ends at a guard page. True when all was whole. */
static bool is_whole(struct bytes block)
{
	struct hpack *h = hpack_open();
	struct bytes copy = guard_copy(block.p, block.n);
	struct hpack_field f;
	size_t pos = 0;
	int result;

	while ((result = hpack_next(h, copy, &pos, &f)) == 1)
		cr_expect(f.at < f.end && f.end == pos && pos <= copy.n);
	cr_expect(result == 0 || result == -EBADMSG, "%d", result);
	guard_free(copy);
	hpack_close(h);
	return result == 0;
}

Test(hpack_place, ends_a_block_between_fields_only)
{
	const struct place *joined[COUNT(places)];
	char hex[2048];
	size_t n = join(hex, joined), end = 0, field = 0;
	struct bytes block = block_of(hex);

	for (size_t cut = 0; cut <= block.n; cut++) {
		bool between = cut == end;

		cr_expect_eq(is_whole((struct bytes){ block.p, cut }), between, "%zu", cut);
		if (between && field < n)
			end += bytes_in(joined[field++]->hex);
	}
	cr_expect_eq(field, n);
	guard_free(block);
}

/* Lengths of which the integers take one, two and three bytes. */
Test(hpack_place, is_right_behind_long_texts)
{
	static const size_t lengths[] = { 0, 1, 126, 127, 128, 254, 255, 16510, 16511, 65536 };
	static char text[65536], to[2 * sizeof(text) + 16];
	struct hpack *h = hpack_open();

	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < COUNT(lengths) * COUNT(lengths); i++) {
		struct bytes name = { text, lengths[i / COUNT(lengths)] };
		struct bytes value = { text, lengths[i % COUNT(lengths)] };
		struct bytes block = { to, hpack_put(to, sizeof(to), name, value) };
		struct hpack_field f;
		size_t pos = 0;

		cr_assert_eq(hpack_next(h, block, &pos, &f), 1);
		cr_expect(bytes_equal(f.name, name) && bytes_equal(f.value, value));
		cr_expect_eq(f.at, 0);
		cr_expect_eq(f.value_at + value.n, block.n);
		cr_expect_eq(hpack_next(h, block, &pos, &f), 0);
	}
	hpack_close(h);
}
