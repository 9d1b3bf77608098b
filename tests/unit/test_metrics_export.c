/* SPDX-License-Identifier: Apache-2.0 */
/* When metrics are sent, by whom, and who need not wait for it. What they say is tested from end to
 * end. */
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "exporter/metrics_export.h"
#include "exporter/request_metrics.h"
#include "fake_sink.h"

/* ---- a receiver ---- */

static struct {
	int listener;
	_Atomic unsigned requests;
	_Atomic uint32_t silent; /* answers nothing while it is set */
} receiver;

static void *answer(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char room[65536];
	size_t have = 0, all = SIZE_MAX;
	ssize_t n;

	while (have < all && (n = recv(fd, room + have, sizeof(room) - 1 - have, 0)) > 0) {
		char *end, *length;

		have += (size_t)n;
		room[have] = 0;
		end = strstr(room, "\r\n\r\n");
		length = strstr(room, "Content-Length: ");
		if (end && length)
			all = (size_t)(end + 4 - room) + strtoul(length + 16, NULL, 10);
	}
	receiver.requests++;
	while (receiver.silent)
		nap();
	dprintf(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
	close(fd);
	return NULL;
}

static void *accept_all(void *arg)
{
	pthread_t thread;
	int fd;

	while ((fd = accept(receiver.listener, NULL, NULL)) >= 0) {
		pthread_create(&thread, NULL, answer, (void *)(intptr_t)fd);
		pthread_detach(thread);
	}
	return arg;
}

static void start(uint32_t interval_ms)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	static char url[64];
	socklen_t n = sizeof(a);
	pthread_t thread;

	receiver.listener = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(bind(receiver.listener, (struct sockaddr *)&a, n), 0);
	cr_assert_eq(listen(receiver.listener, 16), 0);
	getsockname(receiver.listener, (struct sockaddr *)&a, &n);
	pthread_create(&thread, NULL, accept_all, NULL);
	pthread_detach(thread);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(a.sin_port));
	config.metrics_exporter = EXPORTER_OTLP;
	config.otlp_metrics_endpoint = url;
	config.otlp_endpoint = config.otlp_metrics_headers = config.otlp_metrics_compression = "";
	config.metrics_otlp_timeout = 10000;
	config.metric_interval = interval_ms;
	config.metric_timeout = 30000;
	config.service_name = config.resource_attributes = "";
	setup(50, 512);
}

static void ask(unsigned n)
{
	const struct request_key key = { .version = 11, .text = { BYTES("GET"), BYTES("http") } };

	for (unsigned i = 0; i < n; i++)
		request_metrics_add(request_metrics_wanted(), &key, i * MS);
}

Test(metrics_export, is_off_unless_it_is_asked_for)
{
	config.metrics_exporter = EXPORTER_NONE;
	setup(50, 512);
	cr_expect_not(metrics_export_is_on());
	cr_expect_null(request_metrics_wanted());
	cr_expect_not(metrics_export_waiting());
	cr_expect_eq(metrics_export_until(77), 77);
}

Test(metrics_export, sends_at_the_interval)
{
	start(20);
	exporter_start();
	ask(1);
	EVENTUALLY(receiver.requests >= 3); /* cumulative: also what has not changed */
	EVENTUALLY(!metrics_export_waiting());
	cr_expect_eq(counted(metric_export_failures), 0);
}

Test(metrics_export, sends_at_a_flush_what_is_new)
{
	start(1000000);
	exporter_start();
	exporter_flush(5000, false);
	cr_expect_eq(receiver.requests, 0);
	ask(3);
	cr_expect(metrics_export_waiting());
	exporter_flush(5000, false);
	cr_expect_eq(receiver.requests, 1);
	cr_expect_not(metrics_export_waiting());
	exporter_flush(5000, false);
	cr_expect_eq(receiver.requests, 1);
}

Test(metrics_export, sends_without_a_worker)
{
	start(1000000);
	ask(3);
	exporter_flush(5000, true);
	cr_expect_eq(receiver.requests, 1);
	cr_expect_null(request_metrics_wanted());
}

Test(metrics_export, sends_where_spans_go_nowhere)
{
	start(1000000);
	fake.undeliverable = true;
	cr_assert_eq(exporter_init(NULL), 0);
	cr_expect_eq(commit(2), 0);
	cr_expect_eq(counted(spans_dropped_undeliverable), 2);
	exporter_start();
	ask(1);
	exporter_flush(5000, true);
	cr_expect_eq(receiver.requests, 1);
}

/* The worker is busy with a receiver that does not answer; the spans leave all the same. */
Test(metrics_export, gives_way_to_a_flush)
{
	uint64_t before;

	start(20);
	receiver.silent = 1;
	ask(1);
	exporter_start();
	EVENTUALLY(receiver.requests == 1);
	cr_expect_eq(commit(5), 5);
	before = clock_monotonic_ns();
	exporter_flush(500, true);
	cr_expect_lt(clock_monotonic_ns() - before, 2000 * MS);
	cr_expect_eq(fake.taken, 5);
	receiver.silent = 0;
}

Test(metrics_export, stops_with_the_worker)
{
	uint64_t before;

	start(20);
	receiver.silent = 1;
	ask(1);
	exporter_start();
	EVENTUALLY(receiver.requests == 1);
	before = clock_monotonic_ns();
	exporter_park(true, false);
	cr_expect_lt(clock_monotonic_ns() - before, 2000 * MS);
	cr_expect_null(request_metrics_wanted());
	receiver.silent = 0;
}

Test(metrics_export, does_not_wait_at_the_end_for_a_receiver_that_is_gone)
{
	uint64_t before;

	start(20);
	shutdown(receiver.listener, SHUT_RDWR);
	config.otlp_metrics_endpoint = "http://127.0.0.1:1/";
	cr_assert_eq(exporter_init(NULL), 0);
	ask(1);
	exporter_start();
	EVENTUALLY(counted(metric_export_failures) > 0);
	before = clock_monotonic_ns();
	exporter_flush(5000, true);
	cr_expect_lt(clock_monotonic_ns() - before, 1000 * MS);
}

static void *ask_on(void *arg)
{
	for (unsigned i = 0; i < 200; i++) {
		ask(10);
		commit(1);
		exporter_flush(20, false);
	}
	return arg;
}

Test(metrics_export, is_asked_by_many_threads)
{
	pthread_t threads[3];

	start(1);
	exporter_start();
	for (unsigned i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, ask_on, NULL);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	exporter_flush(5000, false);
	cr_expect_not(metrics_export_waiting());
	cr_expect_gt(receiver.requests, 1);
}
