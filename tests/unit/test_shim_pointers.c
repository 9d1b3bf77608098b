/* SPDX-License-Identifier: Apache-2.0 */
/* Pointers that point nowhere: the kernel says EFAULT, and so it comes back. Real calls through the
 * hooks. */
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include "base/counters.h"
#include "hooks/hook.h"
#include "shim/process_state.h"
#include "shim_halves.h"

#define PAGE 4096
/* AddressSanitizer's own hooks look at what some calls are given. */
#ifdef TAGALONG_SANITIZED
#define REAL_CALLS_LOOK true
#else
#define REAL_CALLS_LOOK false
#endif
#define WILD  ((void *)(uintptr_t)1)
#define WILD2 ((void *)(uintptr_t)-16)

static int fd, peer;

static void begin(void)
{
	start();
	real_resolve_all();
}

TestSuite(pointers, .init = begin);

/* For each state of a connection in which its writes are looked at. */
static void in_state(unsigned state)
{
	fd = fixture_socket(&peer, state == 2, false);
	if (state == 1) { /* half a head has left */
		cr_assert_eq(hook_write(fd, request, 10), 10);
	} else if (state == 2) {
		program_reads(fd, peer, REQUEST);
	} else if (state == 3) { /* with half a header of ours */
		struct shim_write w;
		ssize_t n = half_written(&w, fd, BEFORE + 10);

		must(!shim_write_again(&w, &n));
		must(n == (ssize_t)BEFORE);
	} else if (state == 4) { /* in the middle of a body */
		const char *post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90\r\n\r\n";

		cr_assert_eq(hook_write(fd, post, strlen(post)), strlen(post));
	}
}
#define STATES 5

#define expect_efault(call)                                                              \
	do {                                                                             \
		for (unsigned s = 0; s < STATES; s++) {                                  \
			in_state(s);                                                     \
			errno = 0;                                                       \
			cr_assert_eq((call), -1, "state %u", s);                         \
			cr_assert_eq(errno, EFAULT, "state %u: %s", s, strerror(errno)); \
			fixture_close(fd, peer);                                         \
		}                                                                        \
	} while (0)

Test(pointers, of_write)
{
	expect_efault(hook_write(fd, WILD, 100));
	expect_efault(hook_write(fd, WILD2, 10));
	expect_efault(hook_send(fd, NULL, 100, 0));
	expect_efault(hook_sendto(fd, WILD, 100, 0, NULL, 0));
}

Test(pointers, of_vectors, .disabled = REAL_CALLS_LOOK)
{
	struct iovec nowhere[2] = { { WILD, 50 }, { (void *)"abc", 3 } };

	expect_efault(hook_writev(fd, WILD, 2));
	expect_efault(hook_writev(fd, NULL, 1));
	expect_efault(hook_writev(fd, nowhere, 2));
	expect_efault(hook_pwritev2(fd, WILD, 2, -1, 0));
	expect_efault(hook_readv(fd, WILD, 1));
}

Test(pointers, of_messages, .disabled = REAL_CALLS_LOOK)
{
	struct iovec nowhere = { WILD, 50 };
	struct msghdr bad_vector = { .msg_iov = WILD, .msg_iovlen = 1 };
	struct msghdr bad_part = { .msg_iov = &nowhere, .msg_iovlen = 1 };

	expect_efault(hook_sendmsg(fd, WILD, 0));
	expect_efault(hook_sendmsg(fd, &bad_vector, 0));
	expect_efault(hook_sendmsg(fd, &bad_part, 0));
	expect_efault(hook_sendmmsg(fd, WILD, 1, 0));
	expect_efault(hook_recvmsg(fd, WILD, 0));
}

/* What the kernel can read of it it takes. */
Test(pointers, past_the_end_of_what_there_is)
{
	char *map =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t n = strlen(request);
	ssize_t bare, traced;

	memcpy(map + PAGE - n, request, n);
	mprotect(map + PAGE, PAGE, PROT_NONE);
	in_state(0);
	bare = write(fd, map + PAGE - n, n + 100);
	fixture_close(fd, peer);
	in_state(0);
	traced = hook_write(fd, map + PAGE - n, n + 100);
	cr_assert_eq(traced, bare);
	fixture_close(fd, peer);
	expect_nothing_in_use();
}

/* A header whose room the program promised, and does not have. */
Test(pointers, of_a_buffer_that_is_shorter_than_it_says)
{
	char *map =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *buffer = map + PAGE - strlen(REQUEST) - 20;

	mprotect(map + PAGE, PAGE, PROT_NONE);
	process_flag_set(forwards);
	fd = fixture_socket(&peer, true, false);
	must(send(peer, REQUEST, strlen(REQUEST), 0) > 0);
	cr_assert_eq(program_receives(fd, buffer, PAGE, 0, SHIM_CALL_READ), strlen(REQUEST));
	cr_assert_eq(memcmp(buffer, REQUEST, strlen(REQUEST)), 0);
	cr_assert_eq(counted(headers_inbound), 0);
	must(send(peer, REQUEST, strlen(REQUEST), 0) > 0);
	cr_assert_eq(program_receives(fd, map, PAGE, 0, SHIM_CALL_READ), strlen(REQUEST) + 70);
	cr_assert_eq(hook_readv(fd, WILD, 1), -1);
}

Test(pointers, of_waits, .disabled = REAL_CALLS_LOOK)
{
	cr_assert_eq(hook_poll(WILD, 2, 0), -1);
	cr_assert_eq(errno, EFAULT);
	cr_assert_eq(hook_poll(WILD, ~0ul, 0), -1);
	cr_assert_eq(hook_select(8, WILD2, NULL, NULL, NULL), -1);
	cr_assert_eq(errno, EFAULT);
}
