/* SPDX-License-Identifier: Apache-2.0 */
/* What a program writes and reads on a connection of HTTP/2, with the kernel played. */
#ifndef TESTS_H2_FIXTURE_H
#define TESTS_H2_FIXTURE_H

#include "base/counters.h"
#include "shim/h2.h"
#include "shim/hpack_memory.h"
#include "shim_halves.h"

#include "h2_flow.h" /* behind must() */

/* ---- the program's calls ---- */

static struct wire h2_wire;

/* Writes p[from, to) in `parts` parts until all is taken; never a short count that the kernel did
 * not make. The number of calls it took. */
static inline unsigned h2_write(int fd, const char *p, size_t from, size_t to, unsigned parts,
				enum shim_call call)
{
	static struct iovec iov[1024];
	unsigned tries = 0;

	while (from < to) {
		size_t left = to - from, at = from, calls = h2_wire.calls, before = h2_wire.n;
		unsigned count = parts < left ? parts : (unsigned)left;
		ssize_t n;

		for (unsigned i = 0; i < count; i++) {
			size_t end = from + left * (i + 1) / count;

			iov[i] = (struct iovec){ (char *)(uintptr_t)p + at, end - at };
			at = end;
		}
		n = wire_write(&h2_wire, fd, iov, (int)count, call);
		must(++tries < 100000);
		if (n < 0) {
			must(errno == EAGAIN);
			must(!h2_wire.limit || fcntl(fd, F_GETFL) & O_NONBLOCK);
			continue;
		}
		must(n > 0 && (size_t)n <= left);
		if ((size_t)n < left)
			must(h2_wire.limit &&
			     h2_wire.n - before <= (h2_wire.calls - calls) * h2_wire.limit);
		from += (size_t)n;
	}
	return tries;
}

static inline void h2_wire_begin(size_t limit)
{
	h2_wire.n = h2_wire.calls = 0;
	h2_wire.limit = limit;
	h2_wire.refused = false;
}

/* The peer's bytes, as the program's read with room for `room` of them gets them: the kernel is
 * played. What it is told it got. */
static inline ssize_t h2_read(int fd, char *to, size_t room, struct bytes bytes)
{
	struct iovec part = { to, room };
	struct shim_read r;
	size_t n;

	shim_read_begin(&r, fd, &part, 1, 0, SHIM_CALL_RECV);
	n = bytes.n < r.iov->iov_len ? bytes.n : r.iov->iov_len;
	memcpy(r.iov->iov_base, bytes.p, n);
	return shim_read_end(&r, (ssize_t)n, 0);
}

/* All of it, by reads of at most `step` bytes, with nothing put in. */
static inline void h2_reads(int fd, struct bytes bytes, size_t step)
{
	static char buffer[FLOW_MAX];

	for (size_t at = 0; at < bytes.n;) {
		size_t n = bytes.n - at < step ? bytes.n - at : step;

		must(h2_read(fd, buffer, sizeof(buffer), (struct bytes){ bytes.p + at, n }) ==
		     (ssize_t)n);
		at += n;
	}
}

static inline void expect_no_h2_in_use(void)
{
	expect_nothing_in_use();
	cr_assert_eq(hpack_memory_in_use(), 0);
}

#endif
