/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include "guard.h"
#include "shim/wire/http1.h"

struct start {
	struct bytes text;
	int answer;
	size_t decided; /* bytes that are enough */
};

#define ALL(text, answer)                                              \
	{                                                              \
		{ (text), sizeof(text) - 1 }, answer, sizeof(text) - 1 \
	}
#define AT(text, answer, n)                             \
	{                                               \
		{ (text), sizeof(text) - 1 }, answer, n \
	}

static const struct start starts[] = {
	ALL("GET / HTTP/1.1\r\n", HTTP1_START_REQUEST),
	ALL("GET / HTTP/1.0\n", HTTP1_START_REQUEST),
	ALL("CONNECT a:1 HTTP/1.1\r\n", HTTP1_START_REQUEST),
	ALL("\r\n\nPOST /x HTTP/1.1\r\n", HTTP1_START_REQUEST),
	ALL("HTTP /x HTTP/1.1\r\n", HTTP1_START_REQUEST),
	ALL("PRI * HTTP/1.1\r\n", HTTP1_START_REQUEST),
	ALL("PRI / HTTP/1.1\r\n", HTTP1_START_REQUEST),
	AT("HTTP/1.1 200 OK\r\n", HTTP1_START_RESPONSE, 9),
	AT("HTTP/1.0 404\r\n", HTTP1_START_RESPONSE, 9),
	AT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP1_START_H2_PREFACE, 14),
	AT("\x16\x03\x01\x02\x00\x01", HTTP1_BAD, 1), /* TLS */
	AT("*1\r\n$4\r\nPING\r\n", HTTP1_BAD, 1),     /* Redis */
	AT("+OK\r\n", HTTP1_BAD, 1),
	AT("PING\r\n", HTTP1_BAD, 5),
	AT("220 mail ESMTP\r\n", HTTP1_BAD, 1), /* SMTP */
	AT("EHLO x\r\n", HTTP1_BAD, 7),
	AT("SSH-2.0-OpenSSH_9.2p1 Debian\r\n", HTTP1_BAD, 29),
	AT("J\0\0\0\n8.0.33\0", HTTP1_BAD, 2),          /* MySQL */
	AT("\0\0\0\x08\x04\xd2\x16\x2f", HTTP1_BAD, 1), /* PostgreSQL */
	AT("set k 0 0 5\r\n", HTTP1_BAD, 7),            /* memcached */
	AT("OPTIONS rtsp://x RTSP/1.0\r\n", HTTP1_BAD, 18),
	AT("INVITE sip:a@b SIP/2.0\r\n", HTTP1_BAD, 16),
	AT("GET /\r\n", HTTP1_BAD, 6),
	AT("GET  /", HTTP1_BAD, 5),
	AT("GET / HTTP/2.0\r\n", HTTP1_BAD, 12),
	AT("GET / HTTP/1.1 \r\n", HTTP1_BAD, 15),
	AT("HTTP/2 200", HTTP1_BAD, 6),
	AT("HTTP/1.1\r\n", HTTP1_BAD, 9),
	AT("\r\nHTTP/1.1 200 OK\r\n", HTTP1_BAD, 7),
	AT("\r\r", HTTP1_BAD, 2),
	AT("AbcdefghijklmnopqrstuvwXY / ", HTTP1_BAD, 25),
	AT("PRI * HTTP/3", HTTP1_BAD, 12),
};

Test(http1_sniff, decides_by_as_few_bytes_as_possible)
{
	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
		const struct start *s = &starts[i];

		for (size_t n = 0; n <= s->text.n; n++) {
			struct bytes in = guard_copy(s->text.p, n);
			int expected = n < s->decided ? HTTP1_MORE : s->answer;

			cr_expect_eq(http1_sniff(in), expected, "%s of %zu bytes: %d", s->text.p, n,
				     http1_sniff(in));
			guard_free(in);
		}
	}
}

Test(http1_sniff, gives_up_at_the_ceiling_of_a_head)
{
	static char text[HTTP1_HEAD_MAX];

	memset(text, 'x', sizeof(text));
	memcpy(text, "GET /", 5);
	cr_expect_eq(http1_sniff((struct bytes){ text, sizeof(text) - 1 }), HTTP1_MORE);
	cr_expect_eq(http1_sniff((struct bytes){ text, sizeof(text) }), HTTP1_BAD);
}

Test(http1_sniff, takes_what_the_parsers_take)
{
	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
		struct http1_head head;
		ssize_t n = http1_parse_request(&head, starts[i].text, 0);

		if (starts[i].answer == HTTP1_START_REQUEST)
			cr_expect_eq(n, HTTP1_MORE, "%s", starts[i].text.p);
		else
			cr_expect_eq(n, HTTP1_BAD, "%s", starts[i].text.p);
	}
}
