/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include "guard.h"
#include "launcher/probe.h"

static void assert_url(const char *text, const char *scheme, const char *host, const char *port,
		       const char *path)
{
	struct probe_url url;

	cr_assert_eq(probe_url_parse(&url, text), 0, "%s", text);
	cr_assert_str_eq(url.scheme, scheme, "%s: %s", text, url.scheme);
	cr_assert_str_eq(url.host, host, "%s: %s", text, url.host);
	cr_assert_str_eq(url.port, port, "%s: %s", text, url.port);
	cr_assert_str_eq(url.path, path, "%s: %s", text, url.path);
}

Test(probe, takes_urls_apart)
{
	assert_url("http://localhost:4318/v1/traces", "http", "localhost", "4318", "/v1/traces");
	assert_url("https://x", "https", "x", "443", "/");
	assert_url("http://u:p@x/y?z#f", "http", "x", "80", "/y?z");
	assert_url("collector:4318", "http", "collector", "4318", "/");
	assert_url("http://[::1]:4318/a", "http", "::1", "4318", "/a");
	assert_url("http://[::1]", "http", "::1", "80", "/");
	assert_url("http://x?y", "http", "x", "80", "/?y");
}

Test(probe, refuses_what_is_no_url)
{
	static const char *const wrong[] = {
		"",          "http://", "://x", "http://[::1", "http://x:port", "http://x:99999",
		"http://:80"
	};
	struct probe_url url;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert_neq(probe_url_parse(&url, wrong[i]), 0, "%s", wrong[i]);
}

static struct probe answered(const char *answer, size_t n)
{
	struct bytes b = guard_copy(answer, n);
	struct probe probe = { 0 };

	probe_read_answer(&probe, b.p, b.n);
	guard_free(b);
	return probe;
}

#define ANSWERED(literal) answered(literal, sizeof(literal) - 1)

Test(probe, reads_http_answers)
{
	struct probe p =
		ANSWERED("HTTP/1.1 200 OK\r\nX: y\r\ncontent-TYPE:  application/x-protobuf\r\n"
			 "Content-Length: 0\r\n\r\n");

	cr_assert_eq(p.outcome, PROBE_ANSWER);
	cr_assert_eq(p.status, 200);
	cr_assert_str_eq(p.content_type, "application/x-protobuf");
	p = ANSWERED("HTTP/1.0 404 Not Found\r\n\r\nContent-Type: text/x\r\n");
	cr_assert_eq(p.status, 404);
	cr_assert_str_eq(p.content_type, "");
}

Test(probe, tells_other_protocols)
{
	cr_assert_eq(ANSWERED("\0\0\0\4\0\0\0\0\0").outcome, PROBE_HTTP2);
	cr_assert_eq(ANSWERED("\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x80").outcome, PROBE_HTTP2);
	cr_assert_eq(ANSWERED("\x15\3\1\0\2\2\x46").outcome, PROBE_TLS);
	cr_assert_eq(ANSWERED("SSH-2.0-OpenSSH_9.2\r\n").outcome, PROBE_STRANGE);
	cr_assert_eq(ANSWERED("HTTP/1.1 400 Bad Request\r\n\r\nClient sent an HTTP request to an "
			      "HTTPS server.\n")
			     .outcome,
		     PROBE_TLS);
}

Test(probe, bears_answers_cut_anywhere)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nbody";

	for (size_t n = 0; n < sizeof(answer); n++)
		answered(answer, n);
}
