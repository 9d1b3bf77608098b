/* SPDX-License-Identifier: Apache-2.0 */
/* The examples of RFC 7541 appendix C. */
#include <criterion/criterion.h>
#include <stdio.h>
#include "guard.h"
#include "shim/hpack.h"

struct example {
	const char *hex;
	const char *fields; /* name: value, one a line */
};

static struct bytes from_hex(const char *hex)
{
	static char bytes[512];
	size_t n = 0;

	for (; *hex; hex += hex[0] == ' ' ? 1 : 2) {
		unsigned byte;

		if (*hex != ' ' && sscanf(hex, "%2x", &byte) == 1)
			bytes[n++] = (char)byte;
	}
	return guard_copy(bytes, n);
}

/* The fields as lines in a buffer that the next call overwrites; NULL after an error. */
static const char *decode(struct hpack *h, struct bytes block, int *result)
{
	static char text[4096];
	struct hpack_field f;
	size_t pos = 0, n = 0;

	while ((*result = hpack_next(h, block, &pos, &f)) == 1)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s: %.*s\n", (int)f.name.n,
				      f.name.p, (int)f.value.n, f.value.p);
	text[n] = '\0';
	return text;
}

static void expect(struct hpack *h, const struct example *e)
{
	struct bytes block = from_hex(e->hex);
	int result;
	const char *text = decode(h, block, &result);

	cr_expect_eq(result, 0, "%s: %d", e->hex, result);
	cr_expect_str_eq(text, e->fields, "%s: %s", e->hex, text);
	guard_free(block);
}

static void expect_all(uint32_t limit, const struct example *examples, size_t n)
{
	struct hpack *h = hpack_open();

	cr_assert_eq(hpack_limit_table(h, limit), 0);
	for (size_t i = 0; i < n; i++)
		expect(h, &examples[i]);
	hpack_close(h);
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

Test(hpack, reads_each_representation)
{
	static const struct example c2[] = {
		{ "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
		  "custom-key: custom-header\n" },
		{ "040c 2f73 616d 706c 652f 7061 7468", ":path: /sample/path\n" },
		{ "1008 7061 7373 776f 7264 0673 6563 7265 74", "password: secret\n" },
		{ "82", ":method: GET\n" },
	};

	expect_all(4096, c2, COUNT(c2));
}

static const char first_request[] = ":method: GET\n:scheme: http\n:path: /\n"
				    ":authority: www.example.com\n";
static const char second_request[] = ":method: GET\n:scheme: http\n:path: /\n"
				     ":authority: www.example.com\ncache-control: no-cache\n";
static const char third_request[] = ":method: GET\n:scheme: https\n:path: /index.html\n"
				    ":authority: www.example.com\ncustom-key: custom-value\n";

Test(hpack, reads_requests_without_huffman)
{
	const struct example c3[] = {
		{ "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", first_request },
		{ "8286 84be 5808 6e6f 2d63 6163 6865", second_request },
		{ "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
		  third_request },
	};

	expect_all(4096, c3, COUNT(c3));
}

Test(hpack, reads_requests_with_huffman)
{
	const struct example c4[] = {
		{ "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", first_request },
		{ "8286 84be 5886 a8eb 1064 9cbf", second_request },
		{ "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", third_request },
	};

	expect_all(4096, c4, COUNT(c4));
}
