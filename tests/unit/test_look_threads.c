/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at what is loaded: one thread at a time, whatever others do meanwhile. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include "base/counters.h"
#include "shim/caller.h"
#include "shim/conn.h"
#include "shim/flow.h"
#include "shim/tls.h"
#include "shim_fixture.h"

#define THREADS 4
#define ROUNDS  20000
#define FIRST   500

/* No atomics: whoever looks is alone. */
static unsigned calling, serving, tls, inside;

static void alone(void)
{
	cr_assert_eq(inside++, 0);
	for (unsigned i = 0; i < 20; i++)
		sched_yield();
	cr_assert_eq(--inside, 0);
}

static void look_when_calling(void)
{
	alone();
	calling++;
}

static bool look_when_serving(void)
{
	alone();
	serving++;
	return true;
}

static void look_when_tls(void)
{
	alone();
	tls++;
}

static pthread_barrier_t begin;

static void *play(void *arg)
{
	static const char request[] = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
	static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
	int fd = FIRST + (int)(uintptr_t)arg;

	pthread_barrier_wait(&begin);
	for (unsigned i = 0; i < ROUNDS; i++) {
		char buffer[100];
		struct iovec part = { buffer, sizeof(buffer) };
		const char *text = i % 8 ? request : hello;
		struct shim_read r;

		if (i % 16 == 0) {
			shim_on_socket(fd, AF_INET, SOCK_STREAM);
			shim_on_listen(fd);
			shim_before_close(fd);
		}
		shim_on_accept(3, fd, NULL, 0);
		shim_read_begin(&r, fd, &part, 1, 0, SHIM_CALL_RECV);
		strcpy(buffer, text);
		shim_read_end(&r, (ssize_t)strlen(text), 0);
		shim_before_close(fd);
	}
	return NULL;
}

Test(look_threads, look_one_at_a_time, .timeout = 120)
{
	pthread_t threads[THREADS];

	shim_when_calling(look_when_calling);
	shim_when_serving(look_when_serving);
	shim_when_tls(look_when_tls);
	fixture_start(NULL);
	pthread_barrier_init(&begin, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, play, (void *)i);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_assert(calling > 10 && serving > 0 && tls > 0);
}
