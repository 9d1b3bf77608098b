/* SPDX-License-Identifier: Apache-2.0 */
/* What the drivers share: the clocks, and messages as clients and servers in use write them. */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define REQUEST_START                                \
	"GET /users/1234/orders?page=2 HTTP/1.1\r\n" \
	"Host: api.example.com:8080\r\n"             \
	"User-Agent: curl/7.88.1\r\n"                \
	"Accept: */*\r\n"                            \
	"Accept-Encoding: gzip, deflate\r\n"         \
	"X-Request-Id: 1234567890abcdef\r\n"

/* As it arrives, from a caller that is traced; as a program writes it. */
#define REQUEST_TRACED                \
	REQUEST_START "traceparent: " \
		      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n"
#define REQUEST_PLAIN REQUEST_START "\r\n"

#define RESPONSE                                  \
	"HTTP/1.1 200 OK\r\n"                     \
	"Server: bench\r\n"                       \
	"Date: Fri, 20 Nov 2026 22:38:18 GMT\r\n" \
	"Content-Type: text/plain\r\n"            \
	"Content-Length: 5\r\n"                   \
	"Connection: keep-alive\r\n"              \
	"\r\n"                                    \
	"hello"

/* The head of a message whose body does not end while anybody measures. */
#define RESPONSE_ENDLESS "HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000\r\n\r\n"

#define LENGTH(text)     (sizeof(text) - 1)

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static inline uint64_t thread_cpu_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static inline uint64_t process_cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static inline _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

#endif
