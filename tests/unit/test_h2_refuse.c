/* SPDX-License-Identifier: Apache-2.0 */
/* Where nothing can be put in, or not now: the program's bytes leave as they are. */
#include <sys/mman.h>
#include "hooks/hook.h"
#include "h2_fixture.h"

#define PAGE 4096
/* AddressSanitizer's own hooks look at what some calls are given. */
#ifdef TAGALONG_SANITIZED
#define REAL_CALLS_LOOK true
#else
#define REAL_CALLS_LOOK false
#endif
#define WILD ((void *)(uintptr_t)1)

static struct flow flow, said;
static struct transcript own, wire;

TestSuite(h2_refuse, .init = start, .timeout = 60);

/* How many traceparents are on the wire that the program did not write. */
static size_t expect_understood(void)
{
	size_t n;

	cr_assert(transcript_read(&own, flow_bytes(&flow)));
	cr_assert(transcript_read(&wire, (struct bytes){ h2_wire.bytes, h2_wire.n }), "%s", wire.p);
	cr_assert(transcript_is_traced(&wire, &own, &n), "%s", wire.p);
	return n;
}

/* ---- what the peer takes ---- */

/* The peer has said that setting; the program's request has a field of n bytes. */
static size_t put_into(uint16_t id, uint32_t value, size_t n)
{
	static char text[40000];
	int peer, fd = fixture_socket(&peer, false, false);
	int at = sprintf(text, GET_FIELDS("/big") "!x-big: ");

	/* '&' is coded in eight bits: the block is as long as the text. */
	memset(text + at, '&', n);
	strcpy(text + at + n, "\n");
	flow_begin(&said);
	flow_setting(&said, id, value);
	flow_begin(&flow);
	flow_preface(&flow);
	h2_wire_begin(FLOW_MAX);
	h2_write(fd, flow.p, 0, flow.n, 1, SHIM_CALL_WRITE);
	h2_reads(fd, flow_bytes(&said), 100);
	at = (int)flow.n;
	flow_headers(&flow, 1, true, text);
	h2_write(fd, flow.p, (size_t)at, flow.n, 1, SHIM_CALL_WRITE);
	fixture_close(fd, peer);
	return expect_understood();
}

Test(h2_refuse, makes_no_frame_longer_than_the_peer_takes)
{
	for (size_t n = 19700; n < 19960; n++) {
		size_t put = put_into(5, 20000, n);
		size_t length = flow.n - H2_PREFACE_LEN - 2 * (size_t)H2_FRAME_HEAD;

		cr_assert_eq(put, length + 69 <= 20000, "%zu", length);
	}
	expect_no_h2_in_use();
}

Test(h2_refuse, makes_no_list_longer_than_the_peer_takes)
{
	/* RFC 9113 section 6.5.2: the six fields are of 1260 bytes, ours of 98. */
	for (uint32_t limit = 1000; limit < 1600; limit++)
		cr_assert_eq(put_into(6, limit, 1000), limit >= 1358, "%u", limit);
	cr_assert_gt(counted(inject_skipped_limit), 0);
}

/* ---- what the configuration wants ---- */

Test(h2_refuse, skips_hosts_outside_propagate_to, .init = NULL)
{
	int peer, fd;

	spans_main = getpid();
	fixture_start("TAGALONG_PROPAGATE_TO=*.example");
	fd = fixture_socket(&peer, false, false);
	flow_begin(&flow);
	flow_preface(&flow);
	flow_headers(&flow, 1, true, GET_FIELDS("/inside"));
	flow_headers(&flow, 3, true,
		     ":method: GET\n:scheme: http\n:path: /\n:authority: example.org\n");
	flow_headers(&flow, 5, false, ":method: CONNECT\n:authority: a.example:443\n");
	h2_wire_begin(FLOW_MAX);
	h2_write(fd, flow.p, 0, flow.n, 1, SHIM_CALL_WRITE);
	cr_assert_eq(expect_understood(), 1);
	cr_assert_eq(counted(inject_skipped_target), 2);
	fixture_close(fd, peer);
}

/* ---- pools that are empty ---- */

static void *taken[BLOCK_SMALL_COUNT + BLOCK_LARGE_COUNT + 1];

/* Leaves that many blocks of each size. */
static unsigned take_blocks(unsigned small, unsigned large)
{
	unsigned n = 0, all;
	size_t size;

	while ((taken[n] = block_get(1, &size)))
		n++;
	all = n;
	for (unsigned i = 0; i < all && (small || large); i++) {
		/* The last ones are large: small ones are given as long as there are any. */
		if (i < BLOCK_SMALL_COUNT ? !small : !large)
			continue;
		if (i < BLOCK_SMALL_COUNT)
			small--;
		else
			large--;
		block_put(taken[i]);
		taken[i] = NULL;
	}
	return n;
}

static void give_blocks(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		block_put(taken[i]);
}

static void with_blocks(unsigned small, unsigned large, size_t limit, enum shim_call call)
{
	int peer, fd = fixture_socket(&peer, false, false);
	unsigned n = take_blocks(small, large);

	h2_wire_begin(limit);
	h2_write(fd, flow.p, 0, flow.n, call == SHIM_CALL_WRITEV ? 9 : 1, call);
	give_blocks(n);
	fixture_close(fd, peer);
	expect_understood();
	expect_no_h2_in_use();
}

Test(h2_refuse, sends_what_the_program_wrote_when_blocks_run_out)
{
	static char body[15000];

	flow_begin(&flow);
	flow_preface(&flow);
	for (unsigned i = 0; i < 5; i++) {
		flow_headers(&flow, 4 * i + 1, true, GET_FIELDS("/a"));
		flow_continued(&flow, 4 * i + 3, false, POST_FIELDS("/b"), 3);
		flow_data(&flow, 4 * i + 3, true, (struct bytes){ body, sizeof(body) });
	}
	for (unsigned small = 0; small < 6; small++)
		for (unsigned large = 0; large < 6; large++)
			for (size_t limit = 100; limit < FLOW_MAX; limit *= 3) {
				with_blocks(small, large, limit, SHIM_CALL_WRITE);
				with_blocks(small, large, limit, SHIM_CALL_WRITEV);
			}
	cr_assert_gt(counted(inject_skipped_memory) + counted(opaque_memory), 0);
}

/* Those that are there when a call begins are gone when it goes on, and the other way round. */
Test(h2_refuse, sends_the_rest_when_blocks_run_out_in_between)
{
	size_t at;

	flow_begin(&flow);
	flow_preface(&flow);
	for (unsigned i = 0; i < 8; i++)
		flow_headers(&flow, 2 * i + 1, true, GET_FIELDS("/a"));
	for (size_t limit = 1; limit < flow.n + 200; limit += 3)
		for (unsigned keep = 0; keep < 4; keep++) {
			int peer, fd = fixture_socket(&peer, false, false);
			struct iovec part = { flow.p, flow.n };
			unsigned n;
			ssize_t got;

			h2_wire_begin(limit);
			got = wire_write(&h2_wire, fd, &part, 1, SHIM_CALL_WRITE);
			n = take_blocks(keep & 1, keep & 2);
			h2_wire.limit = FLOW_MAX;
			at = got > 0 ? (size_t)got : 0;
			h2_write(fd, flow.p, at, flow.n, keep & 1 ? 1 : 7,
				 keep & 1 ? SHIM_CALL_WRITE : SHIM_CALL_SENDMSG);
			give_blocks(n);
			fixture_close(fd, peer);
			expect_understood();
			expect_no_h2_in_use();
		}
}

/* ---- pointers that point nowhere ---- */

/* A connection of HTTP/2 on which that many bytes of the flow have left. */
static int opened(int *peer, size_t n)
{
	int fd = fixture_socket(peer, false, false);

	cr_assert_eq(hook_write(fd, flow.p, n), (ssize_t)n);
	return fd;
}

Test(h2_refuse, says_efault_as_the_kernel_does)
{
	int peer, fd;

	real_resolve_all();
	flow_begin(&flow);
	flow_preface(&flow);
	flow_headers(&flow, 1, true, GET_FIELDS("/a"));
	for (size_t n = H2_PREFACE_LEN; n <= flow.n; n++) {
		fd = opened(&peer, n);
		cr_assert_eq(hook_write(fd, WILD, 100), -1);
		cr_assert_eq(errno, EFAULT);
		cr_assert_eq(hook_send(fd, NULL, 10, 0), -1);
		cr_assert_eq(errno, EFAULT);
		fixture_close(fd, peer);
	}
	expect_no_h2_in_use();
}

Test(h2_refuse, says_efault_for_vectors, .disabled = REAL_CALLS_LOOK)
{
	struct iovec parts[2];
	int peer, fd;

	real_resolve_all();
	flow_begin(&flow);
	flow_preface(&flow);
	flow_headers(&flow, 1, true, GET_FIELDS("/a"));
	for (size_t n = H2_PREFACE_LEN; n < flow.n; n++) {
		fd = opened(&peer, H2_PREFACE_LEN);
		cr_assert_eq(hook_writev(fd, WILD, 2), -1);
		cr_assert_eq(errno, EFAULT);
		parts[0] = (struct iovec){ flow.p + H2_PREFACE_LEN, n - H2_PREFACE_LEN };
		parts[1] = (struct iovec){ WILD, 20 };
		cr_assert_eq(hook_writev(fd, parts, 2), -1, "%zu", n);
		cr_assert_eq(errno, EFAULT);
		fixture_close(fd, peer);
	}
	expect_no_h2_in_use();
}

/* What the kernel can read of it it takes. */
Test(h2_refuse, sends_what_there_is_of_a_buffer_that_is_shorter)
{
	char *map =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int peer, fd;

	real_resolve_all();
	mprotect(map + PAGE, PAGE, PROT_NONE);
	flow_begin(&flow);
	flow_preface(&flow);
	flow_headers(&flow, 1, true, GET_FIELDS("/a"));
	for (size_t n = 1; n <= flow.n; n++) {
		ssize_t bare, traced;

		memcpy(map + PAGE - n, flow.p, n);
		fd = fixture_socket(&peer, false, false);
		bare = write(fd, map + PAGE - n, n + 100);
		fixture_close(fd, peer);
		fd = fixture_socket(&peer, false, false);
		traced = hook_write(fd, map + PAGE - n, n + 100);
		cr_assert_eq(traced, bare, "%zu: %zd", n, traced);
		fixture_close(fd, peer);
	}
	expect_no_h2_in_use();
	munmap(map, 2 * PAGE);
}
