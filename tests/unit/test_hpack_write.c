/* SPDX-License-Identifier: Apache-2.0 */
#include "hpack_blocks.h"

struct coded {
	const char *text, *hex;
};

/* RFC 7541 appendix C.4 and C.6. */
static const struct coded coded[] = {
	{ "www.example.com", "f1e3 c2e5 f23a 6ba0 ab90 f4ff" },
	{ "no-cache", "a8eb 1064 9cbf" },
	{ "custom-key", "25a8 49e9 5ba9 7d7f" },
	{ "custom-value", "25a8 49e9 5bb8 e8b4 bf" },
	{ "302", "6402" },
	{ "private", "aec3 771a 4b" },
	{ "Mon, 21 Oct 2013 20:13:21 GMT",
	  "d07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff" },
	{ "https://www.example.com", "9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3" },
	{ "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
	  "94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160"
	  "65c0 03ed 4ee5 b106 3d50 07" },
	{ "", "" },
};

Test(hpack_write, codes_as_the_examples_do)
{
	for (size_t i = 0; i < COUNT(coded); i++) {
		struct bytes text = guard_string(coded[i].text), code = block_of(coded[i].hex);
		char to[128];
		size_t n = hpack_huffman_put(to, code.n, text);

		cr_expect(bytes_equal(code, (struct bytes){ to, n }), "%s", coded[i].text);
		cr_expect_eq((hpack_huffman_bits(text) + 7) / 8, code.n);
		if (code.n)
			cr_expect_eq(hpack_huffman_put(to, code.n - 1, text), 0);
		guard_free(text);
		guard_free(code);
	}
}

/* The decoder is the judge: all bytes, at every offset within a byte. */
Test(hpack_write, codes_every_byte)
{
	for (unsigned c = 0; c < 256 * 8; c++) {
		char text[10], block[64] = { 0x04, 0 };
		size_t n = 1 + c % 8, length;
		struct hpack *h = hpack_open();
		struct hpack_field f;
		size_t pos = 0;

		memset(text, 'a', sizeof(text)); /* five bits each */
		text[n] = (char)(c / 8);
		length = hpack_huffman_put(block + 2, sizeof(block) - 2,
					   (struct bytes){ text, n + 1 });
		block[1] = (char)(length | 0x80);
		cr_assert_eq(hpack_next(h, (struct bytes){ block, length + 2 }, &pos, &f), 1, "%u",
			     c);
		cr_expect(bytes_equal(f.value, (struct bytes){ text, n + 1 }), "%u", c);
		hpack_close(h);
	}
}

Test(hpack_write, puts_a_literal_whole_or_not_at_all)
{
	static const char want[] = "\0\vtraceparent\002ab";
	struct bytes room = guard_copy(want, sizeof(want) - 1);

	for (size_t n = 0; n < room.n; n++)
		cr_expect_eq(hpack_put((char *)room.p, n, BYTES("traceparent"), BYTES("ab")), 0);
	memset((char *)room.p, 'x', room.n);
	cr_expect_eq(hpack_put((char *)room.p, room.n, BYTES("traceparent"), BYTES("ab")), room.n);
	cr_expect(bytes_equal(room, BYTES(want)));
	cr_expect_eq(hpack_put((char *)room.p, room.n, (struct bytes){ want, SIZE_MAX }, room), 0);
	cr_expect_eq(hpack_put((char *)room.p, room.n, room, (struct bytes){ want, SIZE_MAX - 20 }),
		     0);
	guard_free(room);
}

Test(hpack_write, moves_no_table)
{
	char block[64], text[128];
	struct hpack *h = hpack_open();
	size_t n = hpack_put(block, sizeof(block), BYTES("traceparent"), BYTES("x"));

	cr_expect_eq(read_hex(h, "40 01 61 01 62", text, sizeof(text)), 0);
	cr_expect_eq(read_block(h, (struct bytes){ block, n }, text, sizeof(text)), 0);
	cr_expect_str_eq(text, "traceparent: x\n");
	cr_expect_eq(read_hex(h, "be", text, sizeof(text)), 0);
	cr_expect_str_eq(text, "a: b\n");
	hpack_close(h);
}
