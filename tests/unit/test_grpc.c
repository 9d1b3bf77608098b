/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include "guard.h"
#include "shim/wire/grpc.h"

Test(grpc, tells_calls_from_what_is_like_them)
{
	static const char *const calls[] = { "application/grpc",     "application/grpc+proto",
					     "application/grpc+x",   "application/grpc;a=b",
					     "application/grpc ; a", "APPLICATION/Grpc+JSON" };
	static const char *const others[] = { "",
					      "application/grp",
					      "application/grpc-web",
					      "application/grpc-web-text+proto",
					      "application/grpcs",
					      "text/grpc",
					      "application/json" };

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		struct bytes b = guard_string(calls[i]);

		cr_expect(grpc_is_content_type(b), "%s", calls[i]);
		guard_free(b);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		struct bytes b = guard_string(others[i]);

		cr_expect_not(grpc_is_content_type(b), "%s", others[i]);
		guard_free(b);
	}
}

Test(grpc, reads_the_time_a_caller_waits)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} all[] = {
		{ "1n", 1 },
		{ "2u", 2000 },
		{ "3m", 3000000 },
		{ "4S", 4000000000 },
		{ "5M", 300000000000 },
		{ "6H", 21600000000000 },
		{ "0S", 0 },
		{ "99999999S", 99999999000000000 },
		{ "99999999H", GRPC_TIMEOUT_NONE }, /* past what 64 bits count */
		{ "100000000n", GRPC_TIMEOUT_NONE },
		{ "", GRPC_TIMEOUT_NONE },
		{ "S", GRPC_TIMEOUT_NONE },
		{ "5", GRPC_TIMEOUT_NONE },
		{ "5s", GRPC_TIMEOUT_NONE },
		{ "-5S", GRPC_TIMEOUT_NONE },
		{ "5 S", GRPC_TIMEOUT_NONE },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct bytes b = guard_string(all[i].text);

		cr_expect_eq(grpc_timeout_parse(b), all[i].ns, "%s", all[i].text);
		guard_free(b);
	}
}

Test(grpc, splits_a_path_at_its_last_slash)
{
	static const char *const none[] = { "", "/", "/a", "/a/", "//", "//b", "a/b", "*" };
	struct grpc_method m;
	struct bytes b = guard_string("/pkg.v1/odd.Svc/Meth");

	cr_assert(grpc_split_path(&m, b));
	cr_expect(bytes_equal(m.full, BYTES("pkg.v1/odd.Svc/Meth")));
	cr_expect(bytes_equal(m.service, BYTES("pkg.v1/odd.Svc")));
	cr_expect(bytes_equal(m.method, BYTES("Meth")));
	guard_free(b);
	b = guard_string("/a/b");
	cr_assert(grpc_split_path(&m, b));
	cr_expect(bytes_equal(m.service, BYTES("a")));
	cr_expect(bytes_equal(m.method, BYTES("b")));
	guard_free(b);
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		b = guard_string(none[i]);
		cr_expect_not(grpc_split_path(&m, b), "%s", none[i]);
		guard_free(b);
	}
}

Test(grpc, names_resets)
{
	cr_expect_str_eq(h2_error_name(H2_NO_ERROR), "no_error");
	cr_expect_str_eq(h2_error_name(13), "http_1_1_required");
	cr_expect_str_eq(h2_error_name(14), "_OTHER");
	cr_expect_str_eq(h2_error_name(UINT32_MAX), "_OTHER");
}
