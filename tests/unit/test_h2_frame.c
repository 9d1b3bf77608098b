/* SPDX-License-Identifier: Apache-2.0 */
/* Frames as bytes that end at a page nobody may touch, cut at every length. */
#include <criterion/criterion.h>
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include "guard.h"
#include "shim/wire/h2_frame.h"

Test(h2_frame, unpacks_a_head)
{
	struct bytes head = guard_copy("\x01\x02\x03\x09\xa5\xff\x00\x00\x07", H2_FRAME_HEAD);
	struct h2_frame f = h2_frame_unpack(head.p);

	cr_assert_eq(f.length, 0x010203);
	cr_assert_eq(f.type, H2_CONTINUATION);
	cr_assert_eq(f.flags, 0xa5);
	cr_assert_eq(f.stream, 0x7f000007, "the first bit is reserved");
	guard_free(head);
}

Test(h2_frame, puts_a_length_as_it_reads_it)
{
	static const uint32_t lengths[] = { 0, 1, 255, 256, 16384, 65536, 16777215 };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		char head[H2_FRAME_HEAD] = { 0 };

		h2_frame_put_length(head, lengths[i]);
		cr_assert_eq(h2_frame_unpack(head).length, lengths[i]);
	}
}

Test(h2_frame, knows_the_beginning_of_settings_at_every_length)
{
	struct bytes whole = guard_copy("\0\0\6\4\0\0\0\0\0", H2_FRAME_HEAD);
	static const char *const others[] = { "HTTP/1.1 200 OK",    "\1\0\6\4\0\0\0\0\0",
					      "\0\0\6\1\0\0\0\0\0", "\0\0\6\4\1\0\0\0\0",
					      "\0\0\6\4\0\0\0\0\1", "\26\3\1" };
	static const size_t lengths[] = { 15, 9, 9, 9, 9, 3 };

	cr_assert_not(h2_frame_may_be_settings((struct bytes){ whole.p, 0 }));
	for (size_t n = 1; n <= H2_FRAME_HEAD; n++) {
		struct bytes cut = guard_copy(whole.p, n);

		cr_assert(h2_frame_may_be_settings(cut), "%zu", n);
		guard_free(cut);
	}
	for (size_t i = 0; i < 6; i++) {
		struct bytes other = guard_copy(others[i], lengths[i]);

		cr_assert_not(h2_frame_may_be_settings(other), "%zu", i);
		guard_free(other);
	}
	guard_free(whole);
}

/* ---- the part of a block ---- */

static int fragment(uint8_t type, uint8_t flags, const char *payload, size_t n, struct bytes *out)
{
	struct bytes guarded = guard_copy(payload, n);
	struct h2_frame f = { .length = (uint32_t)n, .type = type, .flags = flags, .stream = 1 };
	int err = h2_frame_fragment(out, &f, guarded);

	if (!err) {
		cr_assert(out->p >= guarded.p && out->p + out->n <= guarded.p + n);
		out->p = payload + (out->p - guarded.p);
	}
	guard_free(guarded);
	return err;
}

Test(h2_frame, finds_the_block_between_priority_and_padding)
{
	const uint8_t both = H2_FLAG_PADDED | H2_FLAG_PRIORITY;
	const char *payload = "\2ppppPblock\0\0";
	struct bytes out;

	cr_assert_eq(fragment(H2_HEADERS, both, payload, 13, &out), 0);
	cr_assert(bytes_equal(out, BYTES("block")));
	cr_assert_eq(fragment(H2_HEADERS, 0, payload + 6, 5, &out), 0);
	cr_assert(bytes_equal(out, BYTES("block")));
	cr_assert_eq(fragment(H2_PUSH_PROMISE, H2_FLAG_PADDED, "\1\0\0\0\2block\0", 11, &out), 0);
	cr_assert(bytes_equal(out, BYTES("block")));
	cr_assert_eq(fragment(H2_CONTINUATION, both, "block", 5, &out), 0, "it has neither");
	cr_assert(bytes_equal(out, BYTES("block")));
}

Test(h2_frame, refuses_what_does_not_fit_at_every_length)
{
	const uint8_t both = H2_FLAG_PADDED | H2_FLAG_PRIORITY;
	const char *payload = "\2ppppPblock\0\0";
	struct bytes out = BYTES("untouched");

	for (size_t n = 0; n < 13; n++) {
		int err = fragment(H2_HEADERS, both, payload, n, &out);

		cr_assert_eq(err, n < 8 ? -EBADMSG : 0, "%zu", n);
		if (!err)
			cr_assert_eq(out.n, n - 8);
		else
			cr_assert(bytes_equal(out, BYTES("untouched")));
		out = BYTES("untouched");
	}
	cr_assert_eq(fragment(H2_PUSH_PROMISE, 0, "\0\0\0", 3, &out), -EBADMSG);
	cr_assert_eq(fragment(H2_HEADERS, H2_FLAG_PADDED, "\377abc", 4, &out), -EBADMSG);
	cr_assert_eq(fragment(H2_HEADERS, H2_FLAG_PADDED, "", 0, &out), -EBADMSG);
}

/* ---- SETTINGS ---- */

static int settings(struct h2_settings *out, const char *p, size_t n)
{
	struct bytes payload = guard_copy(p, n);
	int err = h2_settings_parse(out, payload);

	guard_free(payload);
	return err;
}

Test(h2_frame, reads_settings_of_nghttp2_at_every_length)
{
	static const nghttp2_settings_entry entries[] = {
		{ NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, 100 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 7 },
		{ NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, 8192 },
		{ NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 20000 },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 30000 },
	};
	uint8_t p[64];
	ssize_t n = nghttp2_pack_settings_payload(p, sizeof(p), entries, 5);

	cr_assert_eq(n, 30);
	for (size_t cut = 0; cut <= 30; cut++) {
		struct h2_settings s = { .table = 12345 };

		cr_assert_eq(settings(&s, (char *)p, cut), cut % 6 ? -EBADMSG : 0);
		if (cut % 6) {
			cr_assert_eq(s.table, 12345);
			continue;
		}
		cr_assert_eq(s.has_table, cut >= 6);
		cr_assert_eq(s.table, cut >= 18 ? 8192 : cut >= 6 ? 100 : 0);
		cr_assert_eq(s.table_least, cut >= 6 ? 100 : 0);
		cr_assert_eq(s.frame, cut >= 24 ? 20000 : 0);
		cr_assert_eq(s.list, cut >= 30 ? 30000 : 0);
	}
}

Test(h2_frame, refuses_frame_sizes_that_may_not_be)
{
	struct h2_settings s;

	cr_assert_eq(settings(&s, "\0\5\0\0\x3f\xff", 6), -EBADMSG);
	cr_assert_eq(settings(&s, "\0\5\0\0\x40\x00", 6), 0);
	cr_assert_eq(settings(&s, "\0\5\0\xff\xff\xff", 6), 0);
	cr_assert_eq(settings(&s, "\0\5\1\0\0\0", 6), -EBADMSG);
}

Test(h2_frame, reads_the_settings_of_an_upgrade)
{
	char to[16];
	struct bytes text = guard_string("AAMAAABkAAQAAP__");

	cr_assert_eq(h2_settings_from_header(to, sizeof(to), text), 12);
	cr_assert_eq(memcmp(to, "\0\3\0\0\0\x64\0\4\0\0\xff\xff", 12), 0);
	cr_assert_eq(h2_settings_from_header(to, 11, text), -EBADMSG, "no room");
	for (size_t n = 0; n <= text.n; n++) {
		struct bytes cut = guard_copy(text.p, n);

		cr_assert_eq(h2_settings_from_header(to, sizeof(to), cut), n * 6 / 8);
		guard_free(cut);
	}
	cr_assert_eq(h2_settings_from_header(to, sizeof(to), BYTES("AAM=")), 2);
	cr_assert_eq(h2_settings_from_header(to, sizeof(to), BYTES("AA+A")), -EBADMSG);
	cr_assert_eq(h2_settings_from_header(to, sizeof(to), BYTES("A\0AA")), -EBADMSG);
	guard_free(text);
}
