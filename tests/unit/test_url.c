/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include "guard.h"
#include "shim/wire/url.h"

static char room[4096];

static void assert_is(struct bytes b, const char *want, const char *of)
{
	cr_assert(bytes_equal(b, bytes_of(want)), "%s: '%.*s', want '%s'", of, (int)b.n, b.p, want);
}

static struct url_target parsed(const char *target, bool connect)
{
	struct url_target t;

	cr_assert_eq(url_parse_target(&t, guard_string(target), connect), 0, "%s", target);
	return t;
}

static bool rejected(const char *target, bool connect)
{
	struct url_target t;

	return url_parse_target(&t, guard_string(target), connect) != 0;
}

Test(url, parses_origin_form)
{
	struct url_target t = parsed("/a/b?x=1&y=?", false);

	assert_is(t.path, "/a/b", "path");
	assert_is(t.query, "x=1&y=?", "query");
	cr_assert_null(t.scheme.p);
	cr_assert_null(t.authority.p);
	t = parsed("/", false);
	assert_is(t.path, "/", "path");
	cr_assert_null(t.query.p);
	t = parsed("/a?", false);
	cr_assert_not_null(t.query.p);
	cr_assert_eq(t.query.n, 0);
	t = parsed("//evil@host/x", false);
	assert_is(t.path, "//evil@host/x", "path");
}

Test(url, drops_a_fragment)
{
	struct url_target t = parsed("/a#f?q", false);

	assert_is(t.path, "/a", "path");
	cr_assert_null(t.query.p);
	t = parsed("/a?q#f", false);
	assert_is(t.query, "q", "query");
}

Test(url, parses_absolute_form)
{
	struct url_target t = parsed("http://user:pa@ss@example.com:8080/p?q=http://x/", false);

	assert_is(t.scheme, "http", "scheme");
	assert_is(t.userinfo, "user:pa@ss", "userinfo");
	assert_is(t.authority, "example.com:8080", "authority");
	assert_is(t.path, "/p", "path");
	assert_is(t.query, "q=http://x/", "query");
	t = parsed("http://example.com", false);
	assert_is(t.path, "/", "path");
	t = parsed("http://example.com?q", false);
	assert_is(t.path, "/", "path");
	assert_is(t.query, "q", "query");
	t = parsed("https://[::1]:8443/", false);
	assert_is(t.authority, "[::1]:8443", "authority");
	t = parsed("http://@h/", false);
	cr_assert_not_null(t.userinfo.p);
	assert_is(t.authority, "h", "authority");
}

Test(url, parses_authority_form_and_asterisk_form)
{
	struct url_target t = parsed("example.com:443", true);

	assert_is(t.authority, "example.com:443", "authority");
	cr_assert_eq(t.path.n, 0);
	t = parsed("*", false);
	assert_is(t.path, "*", "path");
}

Test(url, rejects_other_targets)
{
	cr_assert(rejected("", false));
	cr_assert(rejected("a/b", false));
	cr_assert(rejected("http:/x", false));
	cr_assert(rejected("http://", false));
	cr_assert(rejected("http:///x", false));
	cr_assert(rejected("http://user@/x", false));
	cr_assert(rejected("1http://x/", false));
	cr_assert(rejected("**", false));
	cr_assert(rejected("", true));
	cr_assert(rejected("/x", true));
	cr_assert(rejected("u@h:1", true));
}

static void splits(const char *authority, const char *want, unsigned want_port)
{
	struct bytes host;
	uint16_t port;

	cr_assert_eq(url_split_host(&host, &port, guard_string(authority)), 0, "%s", authority);
	assert_is(host, want, authority);
	cr_assert_eq(port, want_port, "%s: %u", authority, port);
}

Test(url, splits_host_and_port)
{
	splits("host", "host", 0);
	splits("host:8080", "host", 8080);
	splits("host:", "host", 0);
	splits("10.0.0.1:65535", "10.0.0.1", 65535);
	splits("[::1]:8080", "::1", 8080);
	splits("[fe80::1%25eth0]", "fe80::1%25eth0", 0);
	splits(" my_host.internal. ", "my_host.internal.", 0);
	splits("b\xc3\xbc"
	       "cher.example",
	       "b\xc3\xbc"
	       "cher.example",
	       0);
}

Test(url, rejects_what_is_no_host)
{
	static const char *const bad[] = { "",     ":80",     "host:65536", "host:8o", "host:-1",
					   "::1",  "[::1",    "[]",         "[::1]80", "[:: 1]",
					   "a b",  "a/b",     "u@h",        "h:1:2",   "a\tb",
					   "a\"b", "[::1]:x", "h\x01" };
	struct bytes host;
	uint16_t port;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_neq(url_split_host(&host, &port, guard_string(bad[i])), 0, "%s", bad[i]);
}

static const char *redacted(const char *query)
{
	struct text t = TEXT_ON(room);

	url_put_query_redacted(&t, guard_string(query));
	return text_string(&t);
}

Test(url, redacts_signatures_and_keeps_their_keys)
{
	static const char *const keys[] = { "X-Amz-Signature",
					    "X-Amz-Credential",
					    "X-Amz-Security-Token",
					    "sig",
					    "X-Goog-Signature",
					    "AWSAccessKeyId",
					    "Signature" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char query[128], want[128];

		snprintf(query, sizeof(query), "a=1&%s=secret&b=2", keys[i]);
		snprintf(want, sizeof(want), "a=1&%s=REDACTED&b=2", keys[i]);
		cr_assert_str_eq(redacted(query), want);
	}
	cr_assert_str_eq(redacted("sig=a=b&Signature=&sig=x"),
			 "sig=REDACTED&Signature=REDACTED&sig=REDACTED");
}

Test(url, leaves_other_queries_alone)
{
	static const char *const same[] = { "",      "a=1&b=2",     "sig",     "SIG=1",
					    "Sig=1", "sigh=1",      "x=sig=1", "&&",
					    "=",     "signature=x", "a=1&",    "X-Amz-Signature" };

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		cr_assert_str_eq(redacted(same[i]), same[i]);
}

Test(url, leaks_no_secret_when_room_is_short)
{
	static const char query[] = "a=1&sig=topsecret&b=2";

	for (size_t n = 1; n < sizeof(query) + 8; n++) {
		char small[64] = { 0 };
		struct text t = { .p = small, .size = n };

		url_put_query_redacted(&t, BYTES(query));
		cr_assert_null(strstr(small, "top"));
		cr_assert_eq(memcmp(small, "a=1&sig=REDACTED&b=2", t.n), 0);
		cr_assert_eq(t.n, n < 20 ? n : 20);
		cr_assert_eq(t.cut, n < 20);
	}
}

static const char *full(const char *target, const char *scheme, const char *host, uint16_t port)
{
	struct url_target u = parsed(target, false);
	struct text t = TEXT_ON(room);

	url_put_full(&t, &u, bytes_of(scheme), bytes_of(host), port);
	return text_string(&t);
}

Test(url, writes_full_urls)
{
	cr_assert_str_eq(full("/a?b=c", "http", "h", 8080), "http://h:8080/a?b=c");
	cr_assert_str_eq(full("/a", "http", "h", 80), "http://h/a");
	cr_assert_str_eq(full("/a", "http", "h", 443), "http://h:443/a");
	cr_assert_str_eq(full("/a", "https", "h", 443), "https://h/a");
	cr_assert_str_eq(full("/a", "http", "h", 0), "http://h/a");
	cr_assert_str_eq(full("/a?", "http", "h", 0), "http://h/a?");
	cr_assert_str_eq(full("/", "http", "::1", 8080), "http://[::1]:8080/");
	cr_assert_str_eq(full("*", "http", "h", 0), "http://h");
	cr_assert_str_eq(full("/?sig=x", "http", "h", 0), "http://h/?sig=REDACTED");
	cr_assert_str_eq(full("http://u:p@h:81/x", "http", "h", 81),
			 "http://REDACTED:REDACTED@h:81/x");
	cr_assert_str_eq(full("https://h/x", "http", "h", 443), "https://h/x");
}

static void forwarded(const char *forwarded, const char *x_for, const char *x_proto,
		      const char *x_host, const char *want)
{
	struct url_forwarded f = url_parse_forwarded(guard_string(forwarded), guard_string(x_for),
						     guard_string(x_proto), guard_string(x_host));
	char got[256];

	snprintf(got, sizeof(got), "%.*s|%.*s|%.*s", (int)f.client.n, f.client.p ? f.client.p : "",
		 (int)f.proto.n, f.proto.p ? f.proto.p : "", (int)f.host.n,
		 f.host.p ? f.host.p : "");
	cr_assert_str_eq(got, want, "%s: %s", forwarded, got);
}

Test(url, reads_the_forwarded_header)
{
	forwarded("", "", "", "", "||");
	forwarded("for=192.0.2.60;proto=http;by=203.0.113.43", "", "", "", "192.0.2.60|http|");
	forwarded("For=\"[2001:db8:cafe::17]:4711\"", "", "", "", "2001:db8:cafe::17||");
	forwarded("for=192.0.2.43:47011, for=198.51.100.17;proto=https", "", "", "",
		  "192.0.2.43||");
	forwarded("host=\"example.com:8443\" ; PROTO=https;for=\"a, b\"", "", "", "",
		  "|https|example.com:8443");
	forwarded("for=\"1.2.3.4\\\"", "5.6.7.8", "", "", "5.6.7.8||");
	forwarded("for=\"unterminated, for=1.2.3.4", "", "", "", "||");
}

Test(url, takes_unknown_and_obfuscated_clients_for_nothing_said)
{
	forwarded("for=unknown;proto=https", "10.1.1.1", "http", "", "10.1.1.1|https|");
	forwarded("for=_gazonk", "", "", "", "||");
	forwarded("", "unknown, 10.1.1.1", "", "", "||");
}

Test(url, reads_the_x_forwarded_headers)
{
	forwarded("", "203.0.113.195, 70.41.3.18", "https,http", "a.example:81, b",
		  "203.0.113.195|https|a.example:81");
	forwarded("", "203.0.113.195:1234", "", "", "203.0.113.195||");
	forwarded("", "2001:db8::1", "", "", "2001:db8::1||");
	forwarded("", "[2001:db8::1]:80", "", "", "2001:db8::1||");
	forwarded("", "not an address", "ht tp", "a b", "||");
	forwarded("for=1.1.1.1;host=h", "2.2.2.2", "https", "x", "1.1.1.1|https|h");
}

Test(url, reads_nothing_past_any_cut)
{
	static const char *const texts[] = {
		"http://u:p@[::1]:80/a?sig=b&c#d", "/a/b?X-Amz-Signature=1&b",
		"for=\"[2001:db8::17]:47\\1\" ;proto=http, for=_x;host=\"h:1\""
	};

	for (size_t i = 0; i < 3; i++) {
		for (size_t n = 0; n <= strlen(texts[i]); n++) {
			struct bytes b = guard_copy(texts[i], n), host;
			struct text t = TEXT_ON(room);
			struct url_target u;
			uint16_t port;

			url_parse_target(&u, b, true);
			if (url_parse_target(&u, b, false) == 0)
				url_put_full(&t, &u, BYTES("http"), BYTES("h"), 1);
			url_split_host(&host, &port, b);
			url_put_query_redacted(&t, b);
			url_parse_forwarded(b, b, b, b);
			guard_free(b);
		}
	}
}
