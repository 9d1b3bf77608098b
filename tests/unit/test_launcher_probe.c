/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include "guard.h"
#include "launcher/probe.h"

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
