/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of a runtime with a lock of its own: contexts go from one to the other, calls are made
 * without the lock, and others, that know of no contexts, ask and call meanwhile. Worth most under
 * SAN=thread. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sys/epoll.h>
#include "base/counters.h"
#include "base/thread.h"
#include "shim/conn.h"
#include "shim/flow.h"
#include "shim/link.h"
#include "shim/process_state.h"
#include "shim/question.h"
#include "shim_fixture.h"

#define WITH_LOCK 3
#define THREADS   5
#define FIRST     500
#define NUMBERS   8
#define CONTEXTS  6
#ifdef TAGALONG_SANITIZED
#define ROUNDS 50000
#else
#define ROUNDS 100000
#endif

/* What is copied from an exchange that its owner may close meanwhile is looked at afterwards: was
 * it closed, the copy is dropped. ThreadSanitizer sees the copying only. */
const char *__tsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void)
{
	return "race:inherit_texts\nrace:inherited_size\nrace:lines_of\n";
}

const char *__tsan_default_options(void);
__attribute__((visibility("default"))) const char *__tsan_default_options(void)
{
	return "history_size=7";
}

static const char request[] = "GET /a HTTP/1.1\r\nHost: a\r\nbaggage: a=b\r\n\r\n";
static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct shim_flow contexts[CONTEXTS];
static _Atomic bool taken[NUMBERS];
static _Atomic unsigned told, answered, carried;

static unsigned draw(unsigned *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* Even numbers serve, odd ones ask. */
static int number(unsigned *state, bool serves)
{
	return FIRST + (int)(draw(state) % (NUMBERS / 2)) * 2 + !serves;
}

static struct shim_flow *context(unsigned *state)
{
	return &contexts[draw(state) % CONTEXTS];
}

/* ---- calls ---- */

static void reads(int fd, const char *text)
{
	char buffer[512];
	struct iovec part = { buffer, sizeof(buffer) };
	struct shim_read r;

	shim_read_begin(&r, fd, &part, 1, 0, SHIM_CALL_RECV);
	strcpy(buffer, text);
	shim_read_end(&r, (ssize_t)strlen(text), 0);
}

static void writes(int fd, const char *text)
{
	struct iovec part = { (char *)(uintptr_t)text, strlen(text) };
	struct shim_write w;
	ssize_t n;

	shim_write_begin(&w, fd, &part, 1, 0, SHIM_CALL_SEND);
	do {
		n = 0;
		for (int i = 0; i < w.iovcnt; i++)
			n += (ssize_t)w.iov[i].iov_len;
	} while (shim_write_again(&w, &n));
}

static void opens(int fd)
{
	if (atomic_exchange(&taken[fd - FIRST], true))
		return;
	if (fd % 2 == 0)
		shim_on_accept(3, fd, NULL, 0);
	else
		shim_on_socket(fd, AF_UNIX, SOCK_STREAM);
}

static void closes(int fd)
{
	shim_before_close(fd);
	atomic_store(&taken[fd - FIRST], false);
}

static void asks(unsigned *state)
{
	int fd = number(state, false);

	opens(fd);
	writes(fd, request);
	reads(fd, response);
}

/* ---- with contexts ---- */

static void in_context(unsigned *state)
{
	int fd = number(state, draw(state) % 4);
	unsigned what = draw(state) % 8;
	struct shim_flow *c = context(state), now;
	struct thread_flow saved;

	pthread_mutex_lock(&lock);
	now = *c;
	shim_flow_begin(&saved, what < 4 ? NULL : &now);
	pthread_mutex_unlock(&lock);
	if (what < 4)
		reads(fd, fd % 2 == 0 ? request : response);
	else
		writes(fd, fd % 2 == 0 ? response : request);
	pthread_mutex_lock(&lock);
	if (shim_flow_end(&saved, &now, draw(state) % 2 ? SHIM_FLOW_OWN : SHIM_FLOW_ANY))
		*c = now;
	pthread_mutex_unlock(&lock);
}

static void accepts_in_context(unsigned *state)
{
	int fd = number(state, true);
	struct shim_flow *c = context(state);
	struct thread_flow saved;

	pthread_mutex_lock(&lock);
	shim_flow_begin(&saved, NULL);
	opens(fd);
	shim_flow_end(&saved, c, SHIM_FLOW_ANY);
	shim_flow_child(c, context(state));
	pthread_mutex_unlock(&lock);
}

static void looks_at_context(unsigned *state)
{
	char text[TRACEPARENT_LEN + 1];

	pthread_mutex_lock(&lock);
	if (shim_flow_traceparent(context(state), text))
		atomic_fetch_add(&told, 1);
	shim_flow_awaited(context(state));
	shim_flow_child(context(state), context(state));
	pthread_mutex_unlock(&lock);
	/* As if nothing had been lost yet. */
	if (draw(state) % 16 == 0) {
		atomic_store(&process_state.unseen_inbound, 0);
		atomic_store(&process_state.other_answered, false);
		thread_state.waits_on_inbound = draw(state) % 2;
	}
}

static void runtime_step(unsigned *state)
{
	unsigned what = draw(state) % 32;

	if (what == 0)
		closes(number(state, draw(state) % 2));
	else if (what < 5)
		accepts_in_context(state);
	else if (what < 10)
		looks_at_context(state);
	else
		in_context(state);
}

/* ---- without ---- */

static void asks_as_node_does(unsigned *state)
{
	struct {
		struct question q;
		char target[200];
	} buf = { { .fd = number(state, true), .target_n = 2 }, "/a" };

	if (shim_answer(&buf, sizeof(buf)) > 0)
		atomic_fetch_add(&answered, 1);
}

/* For this one alone, in a process whose readers answer. */
static void waits(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };

	shim_on_poll(&one, 1);
	atomic_store(&process_state.reader_answers, LINK_EVIDENCE);
	atomic_store(&process_state.other_answered, false);
	atomic_store(&process_state.readers_ask_for_nobody, false);
	atomic_store(&process_state.readers_wander, false);
}

static void other_step(unsigned *state)
{
	char lines[SHIM_CALLER_LINES];
	int fd = number(state, true);

	switch (draw(state) % 8) {
	case 0:
		opens(fd);
		waits(fd);
		reads(fd, request);
		if (shim_caller_lines(lines, sizeof(lines)))
			atomic_fetch_add(&carried, 1);
		asks(state);
		break;
	case 1:
		writes(fd, response);
		break;
	case 2:
		if (draw(state) % 4 == 0)
			closes(fd);
		break;
	case 3:
		shim_on_dup(fd, fd);
		break;
	default:
		asks_as_node_does(state);
	}
}

static pthread_barrier_t begin;

static void *play(void *seed)
{
	unsigned state = (unsigned)(uintptr_t)seed;

	pthread_barrier_wait(&begin);
	for (unsigned i = 0; i < ROUNDS; i++)
		(uintptr_t) seed <= WITH_LOCK ? runtime_step(&state) : other_step(&state);
	return NULL;
}

Test(flow_threads, carry_contexts_and_ask_about_them, .timeout = 120)
{
	static char *envp[] = { (char *)"TAGALONG_TRACES_FILE=/dev/null",
				(char *)"TAGALONG_INBOUND_HEADER=on", NULL };
	pthread_t threads[THREADS];

	shim_start(envp);
	shim_before_close_range(0, ~0u);
	pthread_barrier_init(&begin, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, play, (void *)(i + 1));
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	shim_before_close_range(0, ~0u);
	cr_assert_eq(conn_in_use(), 0);
	cr_assert_eq(exchange_in_use(), 0);
	cr_assert_eq(exchange_open_count(), 0);
	cr_assert(atomic_load(&told) > 0);
	cr_assert(atomic_load(&answered) > 0);
	cr_assert(atomic_load(&carried) > 0);
}
