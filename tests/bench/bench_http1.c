/* SPDX-License-Identifier: Apache-2.0 */
/* What http1 costs a call: bench_http1 [rounds [row]]. Instructions, which repeat:
 *   valgrind --tool=callgrind --toggle-collect=http1_parse_request bench_http1 1000 0 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "shim/wire/http1.h"

static const struct bytes request = BYTES(
	"GET /api/users/42/orders?limit=10&sort=date HTTP/1.1\r\n"
	"Host: shop.example.com\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
	"Accept-Language: en-US,en;q=0.5\r\n"
	"Accept-Encoding: gzip, deflate, br\r\n"
	"Referer: https://shop.example.com/api/users/42\r\n"
	"Connection: keep-alive\r\n"
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
	"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
	"X-Request-Id: 5f1c7b1e-3d0b-4c0e-9a53-1b2c3d4e5f60\r\n"
	"\r\n");
static const struct bytes response = BYTES("HTTP/1.1 200 OK\r\n"
					   "Server: nginx/1.22.1\r\n"
					   "Date: Mon, 27 Jul 2026 12:28:53 GMT\r\n"
					   "Content-Type: application/json\r\n"
					   "Content-Length: 1234\r\n"
					   "Connection: keep-alive\r\n"
					   "ETag: \"34aa387-d-1568eb00\"\r\n"
					   "\r\n");

static uint64_t nanoseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void parse_a_request(void)
{
	struct http1_head head;

	if (http1_parse_request(&head, request, 0) != (ssize_t)request.n)
		abort();
}

static void parse_a_response(void)
{
	struct http1_head head;

	if (http1_parse_response(&head, response, 0) != (ssize_t)response.n)
		abort();
}

static void sniff_a_request(void)
{
	if (http1_sniff(request) != HTTP1_START_REQUEST)
		abort();
}

static void feed_inside_a_length(void)
{
	struct http1_body body = { .state = BODY_LENGTH, .remaining = 1 << 20 };

	if (http1_body_feed(&body, (struct bytes){ request.p, 65536 }) != 65536)
		abort(); /* payload is not read: that there is less does not matter */
}

static void feed_a_chunk(void)
{
	struct http1_body body = { .state = BODY_AWAIT_CHUNK_SIZE };
	struct bytes chunk = BYTES("10\r\n0123456789abcdef\r\n");

	if (http1_body_feed(&body, chunk) != chunk.n)
		abort();
}

/* Byte by byte, as the worst of clients sends. */
static void parse_in_bytes(void)
{
	struct http1_head head;

	for (size_t n = 1; n <= request.n; n++)
		http1_parse_request(&head, (struct bytes){ request.p, n }, n - 1);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} rows[] = {
		{ "request head, 10 headers", parse_a_request },
		{ "response head, 6 headers", parse_a_response },
		{ "sniff", sniff_a_request },
		{ "64 KiB inside a length", feed_inside_a_length },
		{ "one chunk", feed_a_chunk },
		{ "request head byte by byte", parse_in_bytes },
	};
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 200000;
	size_t only = argc > 2 ? strtoul(argv[2], NULL, 10) : SIZE_MAX;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows) && rounds; i++) {
		uint64_t start = nanoseconds();

		if (only != SIZE_MAX && only != i)
			continue;
		for (unsigned long n = 0; n < rounds; n++)
			rows[i].run();
		printf("%-28s %8.1f ns\n", rows[i].name,
		       (double)(nanoseconds() - start) / (double)rounds);
	}
	return 0;
}
