/* SPDX-License-Identifier: Apache-2.0 */
/* The examples of RFC 7541 appendix C, and blocks that are no good. */
#include "hpack_blocks.h"

struct example {
	const char *hex;
	const char *fields; /* name: value, one a line */
};

static void expect_all(uint32_t limit, const struct example *examples, size_t n)
{
	struct hpack *h = hpack_open();
	char text[4096];

	cr_assert_not_null(h);
	cr_assert_eq(hpack_limit_table(h, limit), 0);
	for (size_t i = 0; i < n; i++) {
		int result = read_hex(h, examples[i].hex, text, sizeof(text));

		cr_expect_eq(result, 0, "%s: %d", examples[i].hex, result);
		cr_expect_str_eq(text, examples[i].fields, "%s: %s", examples[i].hex, text);
	}
	hpack_close(h);
}

Test(hpack, reads_each_representation)
{
	static const struct example c2[] = {
		{ "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
		  "custom-key: custom-header\n" },
		{ "040c 2f73 616d 706c 652f 7061 7468", ":path: /sample/path\n" },
		{ "1008 7061 7373 776f 7264 0673 6563 7265 74", "password: secret\n" },
		{ "82", ":method: GET\n" },
		{ "be", "custom-key: custom-header\n" }, /* only the first was indexed */
		{ "7e 01 61", "custom-key: a\n" },
		{ "0f 2f 01 62", "custom-key: b\n" },
		{ "1f 2f 01 63", "custom-key: c\n" },
		{ "", "" },
	};

	expect_all(4096, c2, COUNT(c2));
}

#define FIRST_REQUEST  ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n"
#define SECOND_REQUEST FIRST_REQUEST "cache-control: no-cache\n"
#define THIRD_REQUEST                                        \
	":method: GET\n:scheme: https\n:path: /index.html\n" \
	":authority: www.example.com\ncustom-key: custom-value\n"

Test(hpack, reads_requests_without_huffman)
{
	static const struct example c3[] = {
		{ "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", FIRST_REQUEST },
		{ "8286 84be 5808 6e6f 2d63 6163 6865", SECOND_REQUEST },
		{ "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
		  THIRD_REQUEST },
	};

	expect_all(4096, c3, COUNT(c3));
}

Test(hpack, reads_requests_with_huffman)
{
	static const struct example c4[] = {
		{ "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", FIRST_REQUEST },
		{ "8286 84be 5886 a8eb 1064 9cbf", SECOND_REQUEST },
		{ "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", THIRD_REQUEST },
	};

	expect_all(4096, c4, COUNT(c4));
}

#define FIRST_RESPONSE                           \
	":status: 302\ncache-control: private\n" \
	"date: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com\n"
#define SECOND_RESPONSE                          \
	":status: 307\ncache-control: private\n" \
	"date: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com\n"
#define THIRD_RESPONSE                                                             \
	":status: 200\ncache-control: private\n"                                   \
	"date: Mon, 21 Oct 2013 20:13:22 GMT\nlocation: https://www.example.com\n" \
	"content-encoding: gzip\n"                                                 \
	"set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\n"

/* The table is of 256 bytes, so that entries are evicted. RFC 7541 section 4.2 wants a size update
 * at the start, which the examples leave out: 3f e1 01. */
Test(hpack, reads_responses_without_huffman_with_evictions)
{
	static const struct example c5[] = {
		{ "3f e1 01 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420"
		  "3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777"
		  "2e65 7861 6d70 6c65 2e63 6f6d",
		  FIRST_RESPONSE },
		{ "4803 3330 37c1 c0bf", SECOND_RESPONSE },
		{ "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d"
		  "54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049"
		  "5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e"
		  "3d31",
		  THIRD_RESPONSE },
	};

	expect_all(256, c5, COUNT(c5));
}

Test(hpack, reads_responses_with_huffman_with_evictions)
{
	static const struct example c6[] = {
		{ "3f e1 01 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81"
		  "66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
		  FIRST_RESPONSE },
		{ "4883 640e ffc1 c0bf", SECOND_RESPONSE },
		{ "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab"
		  "77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f"
		  "9587 3160 65c0 03ed 4ee5 b106 3d50 07",
		  THIRD_RESPONSE },
	};

	expect_all(256, c6, COUNT(c6));
}

static const char *const broken[] = {
	"80",                         /* index 0 */
	"be",                         /* past the table */
	"ff 80 80 80 80 80 80 80 01", /* an integer past all bounds */
	"ff ff ff ff ff ff ff ff ff",
	"7f ff ff ff ff ff ff 01 61",
	"7e 01 61",                   /* a name past the table */
	"40 01",                      /* cut */
	"40 01 61 05 61",             /* cut value */
	"40 01 61 ff ff ff ff ff 0f", /* a length past the block */
	"44 81 ff",                   /* padding of eight bits */
	"44 82 1f ff",                /* of more than seven */
	"44 81 00",                   /* padding of zeros */
	"44 84 ff ff ff ff",          /* the code of the end of the text */
	"44 84 ff ff ff fc",
	"3f e2 1f", /* a table of 4097 bytes */
	"82 20",    /* a size update behind a field */
	"82 3f e1 1f 82",
};

Test(hpack, refuses_broken_blocks_from_then_on)
{
	char text[256];

	for (size_t i = 0; i < COUNT(broken); i++) {
		struct hpack *h = hpack_open();

		cr_expect_eq(read_hex(h, broken[i], text, sizeof(text)), -EBADMSG, "%s", broken[i]);
		cr_expect_eq(read_hex(h, "82", text, sizeof(text)), -EBADMSG, "%s", broken[i]);
		cr_expect_eq(hpack_limit_table(h, 0), -EBADMSG);
		hpack_close(h);
	}
}

Test(hpack, reads_blocks_that_only_look_broken)
{
	static const struct example odd[] = {
		{ "20", "" }, /* size updates and no field */
		{ "20 3f e1 1f", "" },
		{ "3f e1 1f 82", ":method: GET\n" }, /* 4096 */
		{ "00 00 00", ": \n" },
		{ "00 80 80", ": \n" },
		{ "44 00", ":path: \n" },
		{ "44 81 1f", ":path: a\n" },
		{ "be", ":path: a\n" },
		{ "0f 00 01 61", "accept-charset: a\n" },
	};

	expect_all(4096, odd, COUNT(odd));
}

Test(hpack, wants_a_size_update_after_the_limit_went_down)
{
	struct hpack *h = hpack_open();
	char text[256];

	cr_expect_eq(read_hex(h, "40 01 61 01 62", text, sizeof(text)), 0);
	cr_expect_eq(hpack_limit_table(h, 100), 0);
	cr_expect_eq(read_hex(h, "3f 45 be", text, sizeof(text)), 0);
	cr_expect_str_eq(text, "a: b\n");
	cr_expect_eq(hpack_limit_table(h, 0), 0);
	cr_expect_eq(hpack_limit_table(h, 200), 0);
	cr_expect_eq(read_hex(h, "20 3f a9 01 82", text, sizeof(text)), 0);
	cr_expect_eq(read_hex(h, "be", text, sizeof(text)), -EBADMSG); /* evicted */
	hpack_close(h);

	h = hpack_open();
	cr_expect_eq(hpack_limit_table(h, 100), 0);
	cr_expect_eq(read_hex(h, "82", text, sizeof(text)), -EBADMSG);
	hpack_close(h);
}

Test(hpack, follows_no_table_past_the_ceiling)
{
	struct hpack *h = hpack_open();
	char text[256];

	cr_expect_eq(hpack_limit_table(h, HPACK_TABLE_MAX + 1), -E2BIG);
	cr_expect_eq(hpack_limit_table(h, HPACK_TABLE_MAX), 0);
	cr_expect_eq(read_hex(h, "3f e1 ff 03 82", text, sizeof(text)), 0); /* 65536 */
	cr_expect_eq(read_hex(h, "3f e2 ff 03 82", text, sizeof(text)), -EBADMSG);
	hpack_close(h);
	hpack_close(NULL);
}
