/* SPDX-License-Identifier: Apache-2.0 */
/* A connection is closed in one thread while another is in a call on it, and its number is given to
 * a new connection at once: storm_close HOW ROUNDS.
 *	send	a request with a body that the buffers do not hold is being sent
 *	answer	an answer of that size
 *	recv	an answer is being waited for
 *	request	a request is being waited for
 *	churn	threads ask on whatever stands in four places, another closes what stands there
 * The call goes on with the old connection, and nothing of it may reach the new one. */
#include "storm.h"

#define BODY (256 << 10)

struct call {
	int fd;
	_Atomic pid_t tid;
	ssize_t result;
	size_t n;
	char text[BODY + HEAD];
};

static void *send_it(void *arg)
{
	struct call *c = arg;

	c->tid = gettid();
	c->result = send(c->fd, c->text, c->n, MSG_NOSIGNAL);
	return NULL;
}

static void *recv_it(void *arg)
{
	struct call *c = arg;

	c->tid = gettid();
	c->result = recv(c->fd, c->text, sizeof(c->text), 0);
	return NULL;
}

/* Until the thread sleeps: there is nothing but its call to sleep in. */
static void wait_until_inside(struct call *c)
{
	char path[64], stat[512];

	while (!c->tid)
		sched_yield();
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", c->tid);
	for (;;) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = read(fd, stat, sizeof(stat) - 1);

		CHECK(fd >= 0 && n > 0 && close(fd) == 0);
		stat[n] = 0;
		if (strstr(stat, ") S "))
			return;
		sched_yield();
	}
}

/* Closes fd and gives its number to the client of a new connection. */
static struct pair taken_over(int fd)
{
	struct pair fresh;

	CHECK(close(fd) == 0);
	fresh = tcp_pair();
	if (fresh.client != fd) {
		CHECK(dup2(fresh.client, fd) == fd && close(fresh.client) == 0);
		fresh.client = fd;
	}
	return fresh;
}

/* The message that send_it() sends is all that comes, but for our header. */
static void take_whole(int fd, const struct call *sent)
{
	static char got[BODY + 2 * HEAD];
	char text[HEAD], *blank;
	size_t n = 0, head;
	ssize_t more;

	while ((more = recv(fd, got + n, sizeof(got) - n, 0)) > 0)
		n += (size_t)more;
	CHECK(n >= sent->n && (blank = memmem(got, n, "\r\n\r\n", 4)) != NULL);
	head = (size_t)(blank + 4 - got);
	CHECK(head < sizeof(text));
	memcpy(text, got, head);
	text[head] = 0;
	without_our_header(text);
	CHECK(n - head == BODY && sent->n == strlen(text) + BODY);
	CHECK(memcmp(text, sent->text, strlen(text)) == 0);
	CHECK(memcmp(got + head, sent->text + strlen(text), BODY) == 0);
}

static void while_sending(bool answer)
{
	static struct call c;
	struct pair p = tcp_pair(), fresh;
	int small = 16 << 10, far = answer ? p.client : p.server;
	pthread_t t;

	c.fd = answer ? p.server : p.client;
	c.tid = 0;
	setsockopt(c.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	if (answer) {
		char text[HEAD];

		request_text(text, "large");
		put(p.client, text, 0);
		CHECK(get_until(p.server, text, "\r\n\r\n", 0));
	}
	c.n = (size_t)sprintf(c.text, "%s\r\nHost: victim\r\nContent-Length: %d\r\n\r\n",
			      answer ? "HTTP/1.1 200 OK" : "POST /large HTTP/1.1", BODY);
	for (size_t i = 0; i < BODY; i++)
		c.text[c.n + i] = (char)(i * 7 + i / 251);
	c.n += BODY;
	t = thread(send_it, &c);
	wait_until_inside(&c);
	fresh = taken_over(c.fd);
	round_trip(fresh, "during", 0);
	take_whole(far, &c);
	pthread_join(t, NULL);
	CHECK(c.result == (ssize_t)c.n);
	round_trip(fresh, "afterwards", 1);
	close_pair(fresh);
	close(far);
}

static void while_receiving(bool request)
{
	static struct call c;
	struct pair p = tcp_pair(), fresh;
	int far = request ? p.client : p.server;
	char text[HEAD];
	pthread_t t;

	c.fd = request ? p.server : p.client;
	c.tid = 0;
	request_text(text, "old");
	if (!request) {
		put(p.client, text, 0);
		CHECK(get_until(p.server, text, "\r\n\r\n", 0));
	}
	t = thread(recv_it, &c);
	wait_until_inside(&c);
	fresh = taken_over(c.fd);
	round_trip(fresh, "during", 0);
	put(far, request ? text : ANSWER, 1);
	pthread_join(t, NULL);
	CHECK(c.result > 0);
	c.text[c.result] = 0;
	without_our_header(c.text);
	CHECK(is(c.text, request ? text : ANSWER));
	round_trip(fresh, "afterwards", 1);
	close_pair(fresh);
	close(far);
}

/* ---- churn ---- */

#define PLACES 4

static _Atomic int place[PLACES];
static _Atomic bool over;

static void *serve_what_comes(void *arg)
{
	int fd = (int)(long)arg;
	char text[HEAD];

	while (recv(fd, text, sizeof(text), 0) > 0)
		send(fd, ANSWER, strlen(ANSWER), MSG_NOSIGNAL);
	close(fd);
	return NULL;
}

static void never_wait_long(int fd)
{
	const struct timeval soon = { .tv_usec = 20000 };

	CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)) == 0);
}

/* A number may have become either end by the time it is used, as soon as there is one: neither may
 * ever wait without a limit. What is accepted has the listener's. */
static int new_connection(void)
{
	struct sockaddr_in at;
	int listener = loopback_listener(&at);
	struct pair p = { socket(AF_INET, SOCK_STREAM, 0), -1 };

	CHECK(p.client >= 0);
	never_wait_long(listener);
	never_wait_long(p.client);
	CHECK(connect(p.client, (struct sockaddr *)&at, sizeof(at)) == 0);
	p.server = accept(listener, NULL, NULL);
	CHECK(p.server >= 0 && close(listener) == 0);
	pthread_detach(thread(serve_what_comes, (void *)(long)p.server));
	return p.client;
}

static void *ask_what_stands_there(void *arg)
{
	char text[HEAD];

	while (!over) {
		int fd = place[(long)arg % PLACES];

		request_text(text, "churn");
		if (send(fd, text, strlen(text), MSG_NOSIGNAL) > 0)
			recv(fd, text, sizeof(text), 0);
	}
	return NULL;
}

static void churn(int rounds)
{
	pthread_t t[2 * PLACES];

	for (int i = 0; i < PLACES; i++)
		place[i] = new_connection();
	for (long i = 0; i < 2 * PLACES; i++)
		t[i] = thread(ask_what_stands_there, (void *)i);
	for (int i = 0; i < rounds; i++) {
		int fd = place[i % PLACES];

		if (i % 2)
			shutdown(fd, SHUT_RDWR);
		close(fd);
		place[i % PLACES] = new_connection();
	}
	over = true;
	for (int i = 0; i < 2 * PLACES; i++)
		pthread_join(t[i], NULL);
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 3;

	CHECK(argc > 1);
	if (is(argv[1], "churn"))
		churn(rounds);
	for (int i = 0; i < rounds && !is(argv[1], "churn"); i++)
		if (is(argv[1], "send") || is(argv[1], "answer"))
			while_sending(is(argv[1], "answer"));
		else
			while_receiving(is(argv[1], "request"));
	say("end\n");
	return 0;
}
