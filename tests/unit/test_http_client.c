/* SPDX-License-Identifier: Apache-2.0 */
/* The client against scripted servers on the loopback interface. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "exporter/http.h"

#define S  1000000000ull
#define MS 1000000ull

/* One connection of the script: what the server does with it. */
typedef void (*serve_fn)(int fd);

static struct {
	int listener;
	uint16_t port;
	pthread_t thread;
	const serve_fn *script; /* NULL at the end */
	_Atomic int accepted;
} server;

static struct endpoint endpoint;
static struct resolver resolver;
static struct http_client client;
static struct http_reply reply;
static _Atomic uint32_t stop;
static char seen[1 << 16]; /* the last request's head */
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic size_t body_seen;

static void *serve(void *arg)
{
	(void)arg;
	for (unsigned i = 0; server.script[i]; i++) {
		int fd = accept(server.listener, NULL, NULL);

		if (fd < 0)
			break;
		server.accepted++;
		server.script[i](fd);
		close(fd);
	}
	return NULL;
}

static int listen_somewhere(uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	cr_assert_eq(listen(fd, 8), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	*port = ntohs(a.sin_port);
	return fd;
}

static void client_start(uint16_t port)
{
	endpoint = (struct endpoint){ .port = port };
	strcpy(endpoint.host, "127.0.0.1");
	endpoint.head_n = (size_t)sprintf(endpoint.head, "POST /v1/traces HTTP/1.1\r\nHost: x\r\n"
							 "Content-Length: ");
	resolver_init(&resolver, endpoint.host, "/dev/null", "/dev/null", &stop);
	http_init(&client, &endpoint, &resolver, OWN_FD_EXPORT, &stop);
}

static void start(const serve_fn *script)
{
	signal(SIGPIPE, SIG_DFL); /* a broken pipe must not end us */
	server.script = script;
	server.listener = listen_somewhere(&server.port);
	pthread_create(&server.thread, NULL, serve, NULL);
	client_start(server.port);
}

static void finish(void)
{
	http_close(&client);
	shutdown(server.listener, SHUT_RDWR);
	pthread_join(server.thread, NULL);
	close(server.listener);
}

static int post(struct bytes body, uint64_t timeout_ns)
{
	return http_post(&client, body, clock_monotonic_ns() + timeout_ns, &reply);
}

/* Reads one request: its head into seen[], its body counted. False at the end of the stream. */
static bool read_request(int fd)
{
	static char head[sizeof(seen)];
	size_t n = 0, length, have;
	char *end = NULL;

	while (!end) {
		ssize_t got = read(fd, head + n, sizeof(head) - 1 - n);

		if (got <= 0)
			return false;
		n += (size_t)got;
		head[n] = '\0';
		end = strstr(head, "\r\n\r\n");
	}
	length = strtoul(strstr(head, "Content-Length: ") + 16, NULL, 10);
	have = n - (size_t)(end + 4 - head);
	while (have < length) {
		static char sink[65536];
		ssize_t got = read(fd, sink, sizeof(sink));

		if (got <= 0)
			return false;
		have += (size_t)got;
	}
	body_seen = have;
	pthread_mutex_lock(&seen_lock);
	memcpy(seen, head, n + 1);
	pthread_mutex_unlock(&seen_lock);
	return true;
}

static void say(int fd, const char *text)
{
	cr_expect_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void wait_for_close(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	char byte;

	while (poll(&p, 1, 5000) > 0 && read(fd, &byte, 1) > 0)
		;
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static void answer_all(int fd)
{
	while (read_request(fd))
		say(fd, OK);
}

static void answer_one_and_close(int fd)
{
	if (read_request(fd))
		say(fd, OK);
}

static void close_without_an_answer(int fd)
{
	read_request(fd);
}

static void reset(int fd)
{
	struct linger l = { 1, 0 };

	read_request(fd);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

static void never_answer(int fd)
{
	read_request(fd);
	wait_for_close(fd);
}

static void never_read(int fd)
{
	struct pollfd p = { fd, POLLRDHUP, 0 };

	poll(&p, 1, 3000);
}

Test(http, keeps_the_connection)
{
	static const serve_fn script[] = { answer_all, NULL };

	start(script);
	for (int i = 0; i < 3; i++) {
		cr_expect_eq(post(BYTES("12345"), 5 * S), 0);
		cr_expect_eq(reply.status, 200);
		cr_expect(bytes_equal(reply.body, BYTES("ok")));
		cr_expect_eq(body_seen, 5);
		pthread_mutex_lock(&seen_lock);
		cr_expect_str_eq(seen, "POST /v1/traces HTTP/1.1\r\nHost: x\r\n"
				       "Content-Length: 5\r\n\r\n12345");
		pthread_mutex_unlock(&seen_lock);
	}
	cr_expect_eq(server.accepted, 1);
	finish();
}

Test(http, sends_again_at_once_on_a_connection_the_server_had_closed)
{
	static const serve_fn script[] = { answer_one_and_close, answer_one_and_close, answer_all,
					   NULL };

	start(script);
	for (int i = 0; i < 3; i++)
		cr_expect_eq(post(BYTES("x"), 5 * S), 0);
	cr_expect_eq(server.accepted, 3);
	finish();
}

static void close_at_the_second_request(int fd)
{
	if (read_request(fd))
		say(fd, OK);
	read_request(fd);
}

Test(http, sends_again_at_once_when_the_server_closes_just_then)
{
	static const serve_fn script[] = { close_at_the_second_request, answer_all, NULL };

	start(script);
	cr_expect_eq(post(BYTES("x"), 5 * S), 0);
	cr_expect_eq(post(BYTES("x"), 5 * S), 0);
	cr_expect_eq(server.accepted, 2);
	finish();
}

Test(http, a_new_connection_that_is_closed_is_a_failure)
{
	static const serve_fn script[] = { close_without_an_answer, close_without_an_answer, reset,
					   NULL };

	start(script);
	cr_expect_eq(post(BYTES("x"), 5 * S), -ECONNRESET);
	cr_expect_eq(post(BYTES("x"), 5 * S), -ECONNRESET);
	cr_expect_eq(post(BYTES("x"), 5 * S), -ECONNRESET);
	cr_expect_eq(server.accepted, 3);
	finish();
}

Test(http, a_server_that_is_not_there_refuses)
{
	uint16_t port;

	close(listen_somewhere(&port));
	client_start(port);
	cr_expect_eq(post(BYTES("x"), 5 * S), -ECONNREFUSED);
}

Test(http, waits_no_longer_than_the_deadline)
{
	static const serve_fn script[] = { never_answer, NULL };
	uint64_t before;

	start(script);
	before = clock_monotonic_ns();
	cr_expect_eq(post(BYTES("x"), 300 * MS), -ETIMEDOUT);
	cr_expect_lt(clock_monotonic_ns() - before, 600 * MS);
	cr_expect_geq(clock_monotonic_ns() - before, 300 * MS);
	finish();
}

Test(http, a_server_that_does_not_read_takes_no_longer_either)
{
	static const serve_fn script[] = { never_read, NULL };
	size_t n = 32 << 20;
	struct bytes big = { calloc(1, n), n };

	start(script);
	cr_expect_eq(post(big, 300 * MS), -ETIMEDOUT);
	finish();
	free((void *)big.p);
}

static void answer_slowly(int fd)
{
	static const char text[] =
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
		"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";

	while (read_request(fd)) {
		for (size_t i = 0; i < sizeof(text) - 1; i++) {
			struct timespec pause = { 0, 200000 };

			send(fd, text + i, 1, MSG_NOSIGNAL);
			nanosleep(&pause, NULL);
		}
	}
}

Test(http, an_answer_byte_by_byte_in_chunks)
{
	static const serve_fn script[] = { answer_slowly, NULL };

	start(script);
	for (int i = 0; i < 2; i++) {
		cr_expect_eq(post(BYTES("x"), 5 * S), 0);
		cr_expect(bytes_equal(reply.body, BYTES("abcde")));
	}
	cr_expect_eq(server.accepted, 1);
	finish();
}

/* Says no after the head, like a server with a limit on bodies. */
static void refuse_early(int fd)
{
	char some[100];

	cr_expect_gt(read(fd, some, sizeof(some)), 0);
	say(fd, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
	shutdown(fd, SHUT_WR);
	while (read(fd, some, sizeof(some)) > 0)
		;
}

Test(http, an_answer_before_the_body_is_sent_is_heard)
{
	static const serve_fn script[] = { refuse_early, answer_all, NULL };
	size_t n = 16 << 20;
	struct bytes big = { calloc(1, n), n };

	start(script);
	cr_expect_eq(post(big, 5 * S), 0);
	cr_expect_eq(reply.status, 413);
	cr_expect_not(client.connected, "what is left of the body would be taken for a request");
	cr_expect_eq(post(BYTES("x"), 5 * S), 0);
	cr_expect_eq(server.accepted, 2);
	finish();
	free((void *)big.p);
}

Test(http, a_large_body_arrives_whole)
{
	static const serve_fn script[] = { answer_all, NULL };
	size_t n = 8 << 20;
	struct bytes big = { calloc(1, n), n };

	start(script);
	cr_expect_eq(post(big, 20 * S), 0);
	cr_expect_eq(body_seen, n);
	finish();
	free((void *)big.p);
}

Test(http, a_body_over_the_limit_is_not_sent)
{
	static const serve_fn script[] = { NULL };

	start(script);
	cr_expect_eq(post((struct bytes){ "", HTTP_REQUEST_MAX + 1 }, S), -EFBIG);
	finish();
}

static void answer_endlessly(int fd)
{
	char zeros[4096] = { 0 };

	read_request(fd);
	say(fd, "HTTP/1.1 200 OK\r\n\r\n");
	while (send(fd, zeros, sizeof(zeros), MSG_NOSIGNAL) > 0)
		;
}

Test(http, an_endless_answer_is_cut_off)
{
	static const serve_fn script[] = { answer_endlessly, answer_all, NULL };

	start(script);
	cr_expect_eq(post(BYTES("x"), 10 * S), -EFBIG);
	cr_expect_eq(post(BYTES("x"), 5 * S), 0);
	finish();
}

static void speak_tls(int fd)
{
	read_request(fd);
	send(fd, "\x15\x03\x01\x00\x02\x02\x46", 7, MSG_NOSIGNAL);
	wait_for_close(fd);
}

Test(http, another_protocol_is_found_out_at_once)
{
	static const serve_fn script[] = { speak_tls, NULL };
	uint64_t before;

	start(script);
	before = clock_monotonic_ns();
	cr_expect_eq(post(BYTES("x"), 5 * S), -EPROTO);
	cr_expect_lt(clock_monotonic_ns() - before, S);
	finish();
}

static void *stop_soon(void *arg)
{
	struct timespec pause = { 0, 100000000 };

	nanosleep(&pause, NULL);
	stop = 1;
	return arg;
}

Test(http, stop_ends_every_wait)
{
	static const serve_fn script[] = { never_answer, NULL };
	uint64_t before = clock_monotonic_ns();
	pthread_t t;

	start(script);
	pthread_create(&t, NULL, stop_soon, NULL);
	cr_expect_eq(post(BYTES("x"), 20 * S), -ECANCELED);
	cr_expect_lt(clock_monotonic_ns() - before, S);
	pthread_join(t, NULL);
	finish();
}

Test(http, every_address_is_tried_and_the_good_one_remembered)
{
	static const serve_fn script[] = { answer_one_and_close, answer_all, NULL };

	start(script);
	resolver.address_count = 3;
	net_parse_address(&resolver.addresses[0], BYTES("127.0.0.2"));
	net_parse_address(&resolver.addresses[1], BYTES("::1"));
	net_parse_address(&resolver.addresses[2], BYTES("127.0.0.1"));
	cr_expect_eq(post(BYTES("x"), 5 * S), 0);
	cr_expect_eq(resolver.addresses[0].ip[3], 1);
	cr_expect_eq(post(BYTES("x"), 5 * S), 0);
	finish();
}

Test(http, a_number_that_became_somebody_elses_file_is_left_alone)
{
	static const serve_fn script[] = { answer_all, answer_all, NULL };
	int pipe_fds[2], fd;
	char byte;

	start(script);
	cr_expect_eq(post(BYTES("x"), 5 * S), 0);
	/* As a program does that closes everything and opens its own, by direct system calls. */
	fd = own_fd_get(OWN_FD_EXPORT);
	own_fd_put(OWN_FD_EXPORT);
	cr_assert_geq(fd, 0);
	cr_assert_eq(pipe(pipe_fds), 0);
	cr_assert_eq(dup2(pipe_fds[1], fd), fd);
	close(pipe_fds[1]);
	cr_expect_eq(post(BYTES("x"), 5 * S), 0);
	cr_expect_eq(server.accepted, 2);
	cr_expect_eq(close(fd), 0, "nor was it closed");
	cr_expect_eq(read(pipe_fds[0], &byte, 1), 0, "nothing of ours was written there");
	close(pipe_fds[0]);
	finish();
}

Test(http, idle_gives_memory_back_and_keeps_the_connection)
{
	static const serve_fn script[] = { answer_all, NULL };

	start(script);
	cr_expect_eq(post(BYTES("x"), 5 * S), 0);
	cr_expect_not_null(client.body_room);
	http_idle(&client);
	cr_expect_null(client.body_room);
	cr_expect_eq(post(BYTES("x"), 5 * S), 0);
	cr_expect_eq(server.accepted, 1);
	finish();
}
