/* SPDX-License-Identifier: Apache-2.0 */
/* Where a process has several threads, the one that has read a request may have handed it over and
 * be at other work: it is taken only when the process has shown that its readers answer, and do
 * nothing else. */
#include <pthread.h>
#include <stdatomic.h>
#include "base/process.h"
#include "exporter/exporter.h"
#include "shim_links.h"

static _Atomic bool go_home;
static pthread_t other;

static void *stand_by(void *arg)
{
	while (!atomic_load(&go_home))
		usleep(100);
	return arg;
}

static void start_two(void)
{
	spans_start(NULL);
	cr_assert_eq(pthread_create(&other, NULL, stand_by, NULL), 0);
}

static void stop_two(void)
{
	atomic_store(&go_home, true);
	pthread_join(other, NULL);
	spans_stop();
}

static void serve_and_answer(void *times)
{
	for (long i = 0; i < (long)times; i++) {
		int fd = serve();

		answer(fd);
		fixture_close(fd, inbound_peer);
	}
}

static void serve_and_ask(void *unused)
{
	int fd = serve();

	(void)unused;
	ask();
	answer(fd);
	fixture_close(fd, inbound_peer);
}

static void serve_elsewhere(void *fd)
{
	*(int *)fd = serve();
}

Test(link_evidence, takes_the_only_open_one_when_readers_have_answered, .init = start_two,
     .fini = stop_two)
{
	in_thread(serve_and_ask, NULL);
	expect_rule("none");
	in_thread(serve_and_answer, (void *)3L);
	in_thread(serve_and_ask, NULL);
	expect_rule("thread");
}

Test(link_evidence, does_not_take_the_only_open_one_when_another_has_answered, .init = start_two,
     .fini = stop_two)
{
	int fd;

	in_thread(serve_and_answer, (void *)20L);
	in_thread(serve_elsewhere, &fd);
	answer(fd);
	in_thread(serve_and_ask, NULL);
	expect_rule("none");
}

/* A pool that serves, and does other jobs. */
Test(link_evidence, does_not_take_readers_that_ask_for_nobody, .init = start_two, .fini = stop_two)
{
	in_thread(serve_and_answer, (void *)20L);
	serve_and_answer((void *)1L);
	ask();
	expect_rule("none");
	in_thread(serve_and_ask, NULL);
	expect_rule("none");
}

Test(link_evidence, does_not_take_those_that_have_asked_for_nobody_before, .init = start_two,
     .fini = stop_two)
{
	in_thread(serve_and_answer, (void *)20L);
	ask();
	serve_and_ask(NULL);
	expect_rule("none");
}

static void ask_in_thread(void *unused)
{
	(void)unused;
	ask();
}

Test(link_evidence, minds_nothing_that_is_asked_for_before_the_first_request, .init = start_two,
     .fini = stop_two)
{
	ask();
	serve_and_answer((void *)20L);
	serve_and_ask(NULL);
	expect_rule("thread");
}

Test(link_evidence, minds_no_threads_that_read_nothing, .init = start_two, .fini = stop_two)
{
	in_thread(serve_and_answer, (void *)20L);
	in_thread(ask_in_thread, NULL);
	in_thread(serve_and_ask, NULL);
	expect_rule("thread");
}

static void serve_two_connections(void *unused)
{
	int first_peer, first = serve();

	(void)unused;
	first_peer = inbound_peer;
	answer(first);
	answer(serve());
	fixture_close(first, first_peer);
}

Test(link_evidence, does_not_take_threads_that_serve_several_connections_by_turns,
     .init = start_two, .fini = stop_two)
{
	in_thread(serve_and_answer, (void *)20L);
	in_thread(serve_two_connections, NULL);
	in_thread(serve_and_ask, NULL);
	expect_rule("none");
}

struct ends {
	int fd, peer;
};

static void read_another(void *of)
{
	const struct ends *c = of;

	program_reads(c->fd, c->peer, REQUEST);
	answer(c->fd);
}

Test(link_evidence, does_not_take_threads_that_serve_one_connection_by_turns, .init = start_two,
     .fini = stop_two)
{
	struct ends c;

	c.fd = serve();
	c.peer = inbound_peer;
	answer(c.fd);
	in_thread(serve_and_answer, (void *)20L);
	in_thread(read_another, &c);
	in_thread(serve_and_ask, NULL);
	expect_rule("none");
}

/* There is nobody to hand anything to. */
Test(link_evidence, needs_none_where_there_is_one_thread, .fini = spans_stop)
{
	spans_start(NULL);
	if (process_threads() != 1 + exporter_threads())
		return; /* the test's frame has some: tests/e2e/test_traps_calls.py sees it */
	serve_and_ask(NULL);
	expect_rule("thread");
	ask();
	serve_and_ask(NULL);
	expect_rule("thread");
}
