/* SPDX-License-Identifier: Apache-2.0 */
/* The way to the receiver with a disk beside it: order, accounts, and who waits for whom. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/config.h"
#include "base/counters.h"
#include "base/id.h"
#include "launcher/supervisor/otlp_way.h"
#include "launcher/supervisor/sender.h"
#include "record_fixture.h"
#include "spill_fixture.h"

enum answer { TAKES, REFUSES, IS_BUSY, HANGS, TAKES_LATE };

static struct {
	int listener;
	_Atomic enum answer answer;
	_Atomic unsigned came; /* whole requests */
	_Atomic unsigned got;  /* of `bodies` */
	char bodies[256][16];
	pthread_t thread;
} receiver;

static _Atomic uint32_t stop;
static struct otlp_way way;

/* ---- the receiver ---- */

static void answer_request(int fd, const char *body, size_t n)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	static const char bad[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
	static const char busy[] = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
	const char *text;

	receiver.came++;
	while (receiver.answer == TAKES_LATE)
		usleep(1000);
	if (receiver.answer == HANGS)
		return;
	text = receiver.answer == TAKES ? ok : receiver.answer == REFUSES ? bad : busy;
	if (receiver.answer == TAKES && receiver.got < 256) {
		memcpy(receiver.bodies[receiver.got], body, n < 15 ? n : 15);
		receiver.got++;
	}
	if (write(fd, text, strlen(text)) < 0)
		return;
}

static void *serve_connection(void *arg)
{
	static const char length[] = "content-length:";
	int fd = (int)(intptr_t)arg;
	char text[65536];
	size_t n = 0;
	ssize_t more;

	while ((more = read(fd, text + n, sizeof(text) - 1 - n)) > 0) {
		char *body, *field;
		size_t want;

		n += (size_t)more;
		text[n] = '\0';
		body = memmem(text, n, "\r\n\r\n", 4);
		field = body ? strcasestr(text, length) : NULL;
		if (!field)
			continue;
		want = (size_t)atoi(field + sizeof(length) - 1);
		body += 4;
		if (n - (size_t)(body - text) < want)
			continue;
		answer_request(fd, body, want);
		n = 0;
	}
	close(fd);
	return NULL;
}

static void *receiver_main(void *arg)
{
	int fd;

	(void)arg;
	while ((fd = accept(receiver.listener, NULL, NULL)) >= 0) {
		pthread_t thread;

		pthread_create(&thread, NULL, serve_connection, (void *)(intptr_t)fd);
		pthread_detach(thread);
	}
	return NULL;
}

/* A receiver, and the configuration that names it. */
static void set_up(void)
{
	static char endpoint[128], directory[sizeof(spill_dir) + 32];
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(at);
	char *envp[] = { endpoint, directory, "OTEL_EXPORTER_OTLP_TIMEOUT=30000",
			 "OTEL_BSP_SCHEDULE_DELAY=10", NULL };

	signal(SIGPIPE, SIG_IGN);
	clock_init();
	id_init();
	setenv("OTEL_BSP_SCHEDULE_DELAY", "10", 1);
	spill_set_up();
	receiver.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(receiver.listener, (struct sockaddr *)&at, n), 0);
	cr_assert_eq(listen(receiver.listener, 16), 0);
	getsockname(receiver.listener, (struct sockaddr *)&at, &n);
	pthread_create(&receiver.thread, NULL, receiver_main, NULL);
	snprintf(endpoint, sizeof(endpoint), "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:%d",
		 ntohs(at.sin_port));
	snprintf(directory, sizeof(directory), "TAGALONG_SPILL_DIR=%s", spill_dir);
	config_read(envp, NULL, NULL);
}

static void tear_down(void)
{
	shutdown(receiver.listener, SHUT_RDWR);
	pthread_join(receiver.thread, NULL);
	close(receiver.listener);
	spill_tear_down();
}

TestSuite(way, .init = set_up, .fini = tear_down, .timeout = 60);

static void open_way(void)
{
	cr_assert_eq(otlp_way_init(&way, &config, &stop), 0);
}

static struct payload body(unsigned n)
{
	static char text[16];

	snprintf(text, sizeof(text), "body-%u", n);
	return (struct payload){ OTLP_TRACES, OTLP_PROTOBUF, 10, bytes_of(text) };
}

static void send_body(unsigned n)
{
	struct payload p = body(n);
	uint64_t hold_off_ns;

	otlp_way_send(&way, &p, clock_monotonic_ns() + 30000000000u, &hold_off_ns);
}

/* As the thread does, but at once. */
static void catch_up(void)
{
	bool more = true;

	while (more) {
		way.next_try_ns = 0;
		otlp_way_catch_up(&way, clock_monotonic_ns() + 30000000000u, &more);
	}
}

static void check_order(unsigned count)
{
	cr_assert_eq(receiver.got, count, "%u", receiver.got);
	for (unsigned i = 0; i < count; i++)
		cr_expect_eq(atoi(receiver.bodies[i] + 5), (int)i, "%s", receiver.bodies[i]);
}

/* ---- one thread ---- */

Test(way, what_cannot_be_delivered_waits_and_keeps_its_place)
{
	open_way();
	send_body(0);
	receiver.answer = IS_BUSY;
	for (unsigned i = 1; i < 5; i++)
		send_body(i);
	cr_expect_eq(counted(spans_spilled), 40);
	cr_expect_eq(counted(export_failures), 1, "one of them found out");
	cr_expect(otlp_way_failing(&way));
	cr_expect_neq(otlp_way_due(&way), UINT64_MAX);
	receiver.answer = TAKES;
	send_body(5);
	check_order(1);
	catch_up();
	check_order(6);
	send_body(6);
	check_order(7);
	cr_expect_eq(otlp_way_due(&way), way.look_ns);
	cr_expect_eq(counted(spans_exported), 70);
	otlp_way_free(&way);
}

Test(way, what_is_refused_for_good_does_not_wait)
{
	open_way();
	receiver.answer = REFUSES;
	send_body(0);
	cr_expect_eq(counted(spans_dropped_response), 10);
	cr_expect_eq(counted(spans_spilled), 0);
	receiver.answer = IS_BUSY;
	send_body(0);
	send_body(1);
	receiver.answer = REFUSES;
	catch_up();
	cr_expect_eq(counted(spans_dropped_response), 30);
	cr_expect_eq(counted(spans_spilled), 20);
	otlp_way_free(&way);
}

Test(way, what_waits_outlives_us)
{
	open_way();
	receiver.answer = IS_BUSY;
	send_body(0);
	send_body(1);
	otlp_way_free(&way);
	receiver.answer = TAKES;
	open_way();
	send_body(2);
	catch_up();
	check_order(3);
	otlp_way_free(&way);
}

Test(way, what_another_one_leaves_is_taken_over_meanwhile)
{
	struct spill *other = spill_new(MIB);
	struct payload p = body(0);

	open_way();
	cr_assert_eq(spill_put(other, &p), 0);
	spill_close(other);
	for (int i = 0; i < 10000 && !receiver.got; i++) {
		usleep(1000);
		cr_expect_neq(otlp_way_due(&way), UINT64_MAX);
		way.look_ns = 0;
		catch_up();
	}
	check_order(1);
	otlp_way_free(&way);
}

Test(way, what_holds_nothing_that_counts_keeps_its_place)
{
	struct payload p = body(0);

	p.items = 0;
	open_way();
	otlp_way_leave(&way, &p);
	send_body(1);
	cr_expect_eq(receiver.got, 0);
	catch_up();
	check_order(2);
	otlp_way_free(&way);
}

Test(way, without_time_it_goes_to_the_disk_or_is_counted)
{
	struct payload p = body(0);

	open_way();
	otlp_way_leave(&way, &p);
	cr_expect_eq(counted(spans_spilled), 10);
	otlp_way_free(&way);
	config.spill_dir = "";
	open_way();
	otlp_way_leave(&way, &p);
	cr_expect_eq(counted(spans_dropped_exit), 10);
	cr_expect_eq(otlp_way_due(&way), UINT64_MAX);
	otlp_way_free(&way);
}

Test(way, a_disk_that_cannot_be_used_is_said_and_done_without)
{
	config.spill_dir = "/proc/nowhere";
	open_way();
	cr_expect_eq(counted(warnings), 1);
	receiver.answer = IS_BUSY;
	stop = 1;
	send_body(0);
	cr_expect_eq(counted(spans_dropped_exit), 10);
	otlp_way_free(&way);
}

/* ---- with its thread ---- */

static struct queue queue;
static struct sender sender;
static struct owner *owner;

static void put_spans(unsigned spans)
{
	static struct fixture f;
	const struct record_head *record;

	fixture_begin(&f, 1, 2);
	record = fixture_end(&f);
	for (unsigned i = 0; i < spans; i++) {
		struct batch b = { .records = &record, .count = 1, .bytes = record->size };

		queue_put(&queue, parcel_new(owner, &b));
	}
}

static void start_sender(void)
{
	owner = calloc(1, sizeof(*owner));
	owner->references = 1;
	queue_init(&queue, 40000);
	cr_assert_eq(sender_init(&sender, &queue), 0);
	cr_assert_eq(sender_start(&sender), 0);
}

static void end_sender(uint64_t ms)
{
	uint64_t before = clock_monotonic_ns();

	sender_end(&sender, before + ms * 1000000);
	cr_expect_lt(clock_monotonic_ns() - before, (ms + 2000) * 1000000);
	cr_expect_null(queue_get(&queue, 1), "nothing is forgotten");
	owner_put(owner);
}

#define EVENTUALLY(condition)                                       \
	do {                                                        \
		for (int i_ = 0; i_ < 10000 && !(condition); i_++)  \
			usleep(1000);                               \
		cr_expect(condition, "%s, in the end", #condition); \
	} while (0)

Test(way, the_end_sends_what_there_is)
{
	start_sender();
	put_spans(100);
	end_sender(20000);
	cr_expect_eq(counted(spans_exported), 100);
}

Test(way, the_end_waits_for_nobody_who_hangs)
{
	receiver.answer = HANGS;
	start_sender();
	put_spans(100);
	EVENTUALLY(counted(exports) == 1);
	put_spans(50);
	end_sender(200);
	cr_expect_eq(counted(spans_spilled), 150);
}

Test(way, without_a_disk_the_end_counts_what_is_left)
{
	config.spill_dir = "";
	receiver.answer = HANGS;
	start_sender();
	put_spans(100);
	EVENTUALLY(counted(exports) == 1);
	put_spans(50);
	end_sender(200);
	cr_expect_eq(counted(spans_dropped_exit), 150);
}

Test(way, a_queue_that_fills_does_not_wait_for_who_hangs)
{
	config.otlp_timeout = 2000;
	receiver.answer = HANGS;
	start_sender();
	put_spans(10);
	EVENTUALLY(receiver.came == 1);
	put_spans(300);
	EVENTUALLY(!queue_is_pressed(&queue));
	EVENTUALLY(counted(spans_spilled) == 310);
	receiver.answer = TAKES;
	EVENTUALLY(counted(spans_exported) == 310);
	end_sender(10000);
}

Test(way, what_may_have_arrived_is_not_sent_again_because_the_queue_fills)
{
	receiver.answer = TAKES_LATE;
	start_sender();
	put_spans(10);
	EVENTUALLY(receiver.came == 1);
	put_spans(300);
	EVENTUALLY(!queue_is_pressed(&queue));
	cr_expect_eq(counted(export_failures), 0);
	receiver.answer = TAKES;
	EVENTUALLY(counted(spans_exported) == 310);
	end_sender(10000);
	cr_expect_eq(counted(exports), receiver.came);
	cr_expect_eq(receiver.got, receiver.came);
	cr_expect_leq(counted(spans_spilled), 300);
}
