/* SPDX-License-Identifier: Apache-2.0 */
/* A transaction that is interrupted: a request of which the kernel has taken a part. */
#ifndef TESTS_SHIM_HALVES_H
#define TESTS_SHIM_HALVES_H

#include "shim/block.h"
#include "shim/conn.h"
#include "shim_spans.h"

static inline void start(void)
{
	spans_main = getpid();
	fixture_start(NULL);
	shim_before_close_range(0, ~0u); /* what the test program inherited */
}

static inline struct conn *conn_of(int fd)
{
	return atomic_load(&fd_table.conn[fd]);
}

static inline void expect_nothing_in_use(void)
{
	cr_assert_eq(conn_in_use(), 0);
	cr_assert_eq(exchange_in_use(), 0);
	cr_assert_eq(block_in_use(), 0);
}

static const char request[] = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
#define BEFORE (sizeof(request) - 3) /* up to the blank line */

/* Begins a write of the request and lets the kernel take n bytes of it. */
static inline ssize_t half_written(struct shim_write *w, int fd, size_t n)
{
	static struct iovec part;

	part = (struct iovec){ (char *)(uintptr_t)request, sizeof(request) - 1 };
	program_wire.n = 0;
	program_wire.limit = n;
	shim_write_begin(w, fd, &part, 1, 0, SHIM_CALL_WRITE);
	return wire_take(&program_wire, w->iov, w->iovcnt);
}

/* What is on the wire is the request with a whole header of ours, or without. */
static inline void expect_whole(const struct wire *k)
{
	size_t own = k->n - (sizeof(request) - 1);

	must(own == 0 || own == 70);
	must(memcmp(k->bytes, request, BEFORE) == 0);
	if (own)
		must(memcmp(k->bytes + BEFORE, "traceparent: 00-", 16) == 0);
	must(memcmp(k->bytes + BEFORE + own, "\r\n", 2) == 0);
}

static inline void write_rest(int fd, size_t from)
{
	while (from < sizeof(request) - 1) {
		struct iovec part = { (char *)(uintptr_t)request + from,
				      sizeof(request) - 1 - from };
		ssize_t n;

		program_wire.limit = sizeof(program_wire.bytes);
		n = wire_write(&program_wire, fd, &part, 1, SHIM_CALL_WRITE);
		must(n > 0);
		from += (size_t)n;
	}
}

#endif
