/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that read, write, double and close the same few connections. Worth most under
 * SAN=thread; without it, nothing may be left behind, twice used or stuck. The descriptors are
 * numbers only: nothing real closes under somebody else. */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/epoll.h>
#include "base/counters.h"
#include "base/thread.h"
#include "exporter/exporter.h"
#include "shim/block.h"
#include "shim/conn.h"
#include "shim/process_state.h"
#include "shim_fixture.h"

#define PARENT  "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#define THREADS 4
#define FIRST   500
#define NUMBERS 6
#ifdef TAGALONG_SANITIZED
#define ROUNDS 50000
#else
#define ROUNDS 200000
#endif

/* What is copied from an exchange that its owner may close meanwhile is looked at afterwards: was
 * it closed, the copy is dropped. ThreadSanitizer sees the copying only. */
const char *__tsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void)
{
	return "race:inherit_texts\nrace:inherited_size\n";
}

/* Without its stack the one that copied is not recognised. */
const char *__tsan_default_options(void);
__attribute__((visibility("default"))) const char *__tsan_default_options(void)
{
	return "history_size=7";
}

static const char *const requests[] = {
	"GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST /b HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\n12345",
	"GET /a HTTP/1.1\r\nHost: a\r\ntraceparent: " PARENT "\r\ntracestate: a=b\r\n\r\n",
	"GET /c HTTP/1.1\r\nHost: c\r\n\r\n",
	"POST /d HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
	"GET / HTTP/1.1\r\nHo",
	"st: a\r\n\r\n",
	"junk",
};

static const char *const responses[] = {
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
	"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok",
	"HTTP/1.1 204 No\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1",
	"ok",
	"HTTP/1.1 200 OK\r\n\r\nuntil",
};

static unsigned draw(unsigned *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

static int number(unsigned *state)
{
	return FIRST + (int)(draw(state) % NUMBERS);
}

/* The kernel's side: a number is given to one at a time. */
static _Atomic bool taken[NUMBERS];

static int kernel_opens(unsigned *state)
{
	int fd = number(state);

	return atomic_exchange(&taken[fd - FIRST], true) ? -1 : fd;
}

static void kernel_closes(int fd)
{
	atomic_store(&taken[fd - FIRST], false);
}

/* Even numbers serve, odd ones ask. Seldom what is no whole message. */
static bool serves(int fd)
{
	return fd % 2 == 0;
}

static const char *message(bool request, unsigned *state)
{
	unsigned i = draw(state) % 64 ? draw(state) % 3 : draw(state) % 8;

	return request ? requests[i] : responses[i];
}

static void reads(unsigned *state)
{
	int fd = number(state);
	const char *piece = message(serves(fd), state);
	char buffer[512];
	struct iovec part = { buffer, sizeof(buffer) };
	struct shim_read r;

	shim_read_begin(&r, fd, &part, 1, 0, SHIM_CALL_RECV);
	strcpy(buffer, piece);
	cr_assert(shim_read_end(&r, (ssize_t)strlen(piece), 0) >= (ssize_t)strlen(piece));
}

/* The kernel takes a part, all, or nothing. */
static ssize_t takes(const struct shim_write *w, unsigned *state)
{
	size_t n = 0;

	for (int i = 0; i < w->iovcnt; i++)
		for (size_t j = 0; j < w->iov[i].iov_len; j++)
			n += ((volatile char *)w->iov[i].iov_base)[j] != 0;
	switch (draw(state) % 32) {
	case 0:
		errno = EAGAIN;
		return -1;
	case 1:
		return (ssize_t)(1 + draw(state) % n);
	default:
		return (ssize_t)n;
	}
}

static void writes(unsigned *state)
{
	int fd = number(state);
	const char *piece = message(!serves(fd), state);
	struct iovec part = { (char *)(uintptr_t)piece, strlen(piece) };
	struct shim_write w;
	ssize_t n;

	shim_write_begin(&w, fd, &part, 1, 0, SHIM_CALL_WRITE);
	do
		n = takes(&w, state);
	while (shim_write_again(&w, &n));
	cr_assert(n <= (ssize_t)strlen(piece));
	cr_assert(n != 0);
}

static void opens(unsigned *state)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = kernel_opens(state);

	if (fd < 0)
		return;
	if (serves(fd))
		shim_on_accept(3, fd, (struct sockaddr *)&a, sizeof(a));
	else
		shim_on_socket(fd, AF_INET, SOCK_STREAM);
}

static void waits(unsigned *state)
{
	struct pollfd fds[2] = { { .fd = number(state) }, { .fd = number(state) } };

	shim_on_epoll_ctl(FIRST + NUMBERS, EPOLL_CTL_ADD, number(state));
	if (draw(state) % 50 == 0)
		shim_on_epoll_wait(FIRST + NUMBERS);
	shim_on_poll(fds, 1 + draw(state) % 50 / 49);
	/* As if nothing had been lost yet, or the thread were a new one: all rules of links. */
	if (draw(state) % 4 == 0) {
		atomic_store(&process_state.unseen_inbound, 0);
		atomic_store(&process_state.other_answered, false);
		thread_state.waits_on_inbound = false;
	}
}

static void step(unsigned *state)
{
	int from = number(state), to;

	if (!shim_tracked(from)) { /* it was given up, or never opened */
		shim_before_close(from);
		kernel_closes(from);
		opens(state);
	}
	switch (draw(state) % 16) {
	case 0:
		opens(state);
		break;
	case 1:
		if (draw(state) % 8)
			break;
		shim_before_close(from);
		kernel_closes(from);
		break;
	case 2:
		to = kernel_opens(state);
		if (to >= 0 && serves(to) == serves(from))
			shim_on_dup(from, to);
		break;
	case 3:
		waits(state);
		break;
	case 4:
		if (draw(state) % 64 == 0)
			shim_on_sent_unseen(from, 2);
		break;
	case 5:
		if (draw(state) % 64 == 0)
			shim_make_opaque(from);
		else
			shim_on_shutdown(from, SHUT_WR);
		break;
	case 6:
	case 7:
	case 8:
	case 9:
	case 10:
		reads(state);
		break;
	default:
		writes(state);
	}
}

static pthread_barrier_t start;

static void *play(void *seed)
{
	unsigned state = (unsigned)(uintptr_t)seed;

	pthread_barrier_wait(&start);
	for (unsigned i = 0; i < ROUNDS; i++)
		step(&state);
	return NULL;
}

static void play_all(const char *variable)
{
	pthread_t threads[THREADS];
	static char *envp[] = { (char *)"TAGALONG_TRACES_FILE=/dev/null", NULL, NULL };

	envp[1] = (char *)variable;
	shim_start(envp);
	shim_before_close_range(0, ~0u);
	pthread_barrier_init(&start, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, play, (void *)(i + 1));
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	shim_before_close_range(0, ~0u);
	cr_assert_eq(conn_in_use(), 0);
	cr_assert_eq(exchange_in_use(), 0);
	cr_assert_eq(exchange_open_count(), 0);
	cr_assert(counted(exchanges_server) > 0);
	cr_assert(counted(exchanges_client) > 0);
	cr_assert(counted(spans_committed) > 0);
}

Test(threads, use_the_same_connections, .timeout = 120)
{
	play_all("TAGALONG_LINK=best");
	cr_assert_eq(block_in_use(), 0);
}

Test(threads, use_the_same_connections_with_headers_put_in, .timeout = 120)
{
	play_all("TAGALONG_INBOUND_HEADER=on");
	cr_assert_eq(block_in_use(), 0);
}
