/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include "shim/h2_head.h"

static char room[4096];

static struct h2_head decode(const char *const (*fields)[2], bool request, size_t size)
{
	struct hpack *h = hpack_open();
	struct h2_head out;
	char block[8192];
	size_t n = 0;

	for (; (*fields)[0]; fields++)
		n += hpack_put(block + n, sizeof(block) - n, bytes_of((*fields)[0]),
			       bytes_of((*fields)[1]));
	cr_assert_eq(h2_head_decode(&out, h, (struct bytes){ block, n }, request, room, size), 0);
	hpack_close(h);
	return out;
}

static bool same(struct bytes is, const char *should)
{
	return bytes_equal(is, bytes_of(should));
}

static const char *const get[][2] = {
	{ ":method", "GET" },  { ":scheme", "https" }, { ":authority", "a.test:8443" },
	{ ":path", "/a?b=c" }, { "accept", "*/*" },    { "traceparent", "00-1-2-3" },
	{ "cookie", "a=b" },   { "cookie", "c=d" },    { NULL, NULL },
};

Test(h2_head, lays_a_request_out_as_http1)
{
	struct h2_head out = decode(get, true, sizeof(room));
	const struct http1_head *head = &out.head;

	cr_expect(!out.malformed && !out.cut && !out.trailers);
	cr_expect(head->request && head->http2 && head->minor == 0);
	cr_expect(same(head->method, "GET") && same(head->target, "/a?b=c"));
	cr_expect(same(head->scheme, "https") && same(head->field[HTTP1_HOST], "a.test:8443"));
	cr_expect(same(out.whole, "host: a.test:8443\r\naccept: */*\r\ntraceparent: 00-1-2-3\r\n"
				  "cookie: a=b\r\ncookie: c=d\r\n\r\n"));
	cr_expect_eq(head->header_count, 5);
	cr_expect_eq(head->count[HTTP1_TRACEPARENT], 1);
	cr_expect(same(out.traceparent_place.value, "00-1-2-3"));
	cr_expect(same(out.traceparent_place.name, "traceparent"));
	cr_expect(out.traceparent_place.value_at > out.traceparent_place.at);
}
