/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include "guard.h"
#include "shim/wire/route_text.h"
#include "shim/wire/url.h"

static bool matches(const char *pattern, const char *path)
{
	return route_match(guard_string(pattern), guard_string(path));
}

Test(route_text, braces_stand_for_one_segment)
{
	cr_assert(matches("/users/{id}", "/users/42"));
	cr_assert(matches("/users/{id}", "/users/anything-else"));
	cr_assert_not(matches("/users/{id}", "/users/"));
	cr_assert_not(matches("/users/{id}", "/users"));
	cr_assert_not(matches("/users/{id}", "/users/42/"));
	cr_assert_not(matches("/users/{id}", "/users/42/orders"));
	cr_assert(matches("/users/{id}/orders/{o}", "/users/42/orders/7"));
	cr_assert_not(matches("/users/{id}/orders", "/users/42/order"));
	cr_assert(matches("/{a}/{b}", "/x/y"));
}

Test(route_text, a_last_star_stands_for_any_rest)
{
	cr_assert(matches("/static/*", "/static/"));
	cr_assert(matches("/static/*", "/static/css/x.css"));
	cr_assert_not(matches("/static/*", "/static"));
	cr_assert_not(matches("/static/*", "/statics/x"));
	cr_assert(matches("/img*", "/imgs/x"));
	cr_assert(matches("*", "/any"));
	cr_assert(matches("/*", "/"));
	cr_assert(matches("/u/{id}/*", "/u/1/x/y"));
	cr_assert_not(matches("/u/{id}/*", "/u//x"));
}

Test(route_text, other_patterns_are_literal)
{
	cr_assert(matches("/", "/"));
	cr_assert(matches("/a/b", "/a/b"));
	cr_assert(matches("/a/", "/a/"));
	cr_assert_not(matches("/a", "/a/"));
	cr_assert_not(matches("/a/", "/a"));
	cr_assert_not(matches("/a", "/A"));
	cr_assert_not(matches("", "/"));
	cr_assert(matches("/a/*/b", "/a/x/b"));
	cr_assert_not(matches("/a/*/b", "/a/x/y/b"));
	cr_assert_not(matches("/v{n}/x", "/v1/x"));
}

static bool is_id(const char *segment)
{
	struct route_segment s = { { NULL, 0 }, 0 };
	size_t pos = 0;

	route_next_segment(guard_string(segment), &pos, &s);
	return route_segment_is_id(s);
}

Test(route_text, knows_identifiers)
{
	static const char *const ids[] = {
		"0",
		"42",
		"1234567890123",
		"-7",
		"2024-01-31",
		"550e8400-e29b-41d4-a716-446655440000",
		"550E8400-E29B-41D4-A716-446655440000",
		"550e8400e29b41d4a716446655440000",
		"507f1f77bcf86cd799439011",
		"deadbeef",
		"0x1a2b3c4d5e",
		"dQw4w9WgXcQ",
		"01ARZ3NDEKTSV4RRFFQ69G5FAV",
		"V1StGXR8_Z5jdHi6B-myT",
		"pi_3MtwBwLkdIwHu7ix28a3tqPa",
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
	};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		cr_assert(is_id(ids[i]), "%s", ids[i]);
}

Test(route_text, leaves_words_alone)
{
	static const char *const words[] = {
		"",
		"users",
		"v1",
		"v2.1",
		"1.1",
		"api",
		"oauth2-authorize",
		"oauth2-authorize-v2",
		"getUserV2ByName",
		"favicon.ico",
		"robots.txt",
		"index.html",
		"bootstrap.min.css",
		"a",
		"abc",
		"facade",
		"product-of-the-year",
		"top-10-of-2024",
		"s3",
		"utf8",
		"-",
		"--",
		"internationalization",
		"{id}",
		"*",
		"~user",
		"@scope",
		"GetInvoicesV2ByCustomerId",
		"k8s-cluster",
		"x509",
		"sha256",
		"base64url",
		"well-known",
		".well-known",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		cr_assert_not(is_id(words[i]), "%s", words[i]);
}

static const char *template_of(const char *path)
{
	static char room[256];
	struct text t = TEXT_ON(room);

	route_put_template(&t, guard_string(path));
	return text_string(&t);
}

Test(route_text, writes_identifiers_as_id)
{
	cr_assert_str_eq(template_of("/"), "/");
	cr_assert_str_eq(template_of("/users/42"), "/users/{id}");
	cr_assert_str_eq(template_of("/users/42/"), "/users/{id}/");
	cr_assert_str_eq(template_of("/a//b"), "/a//b");
	cr_assert_str_eq(template_of("/users/550e8400-e29b-41d4-a716-446655440000/orders/7"),
			 "/users/{id}/orders/{id}");
	cr_assert_str_eq(template_of("/cart;jsessionid=1A530637289A03B07199A44E8D531427/x"),
			 "/cart/x");
	cr_assert_str_eq(template_of("*"), "*");
	cr_assert_str_eq(template_of(""), "");
}

Test(route_text, reads_nothing_past_any_cut)
{
	static const char path[] = "/users/550e8400-e29b-41d4-a716-446655440000/0x12;a=b//x";
	char room[256];

	for (size_t n = 0; n < sizeof(path); n++) {
		struct bytes b = guard_copy(path, n);
		struct text t = TEXT_ON(room);

		route_put_template(&t, b);
		route_match(BYTES("/users/{id}/{x}/*"), b);
		route_match(b, BYTES("/users/1/2/3"));
		guard_free(b);
	}
}
