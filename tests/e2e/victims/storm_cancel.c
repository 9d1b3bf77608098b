/* SPDX-License-Identifier: Apache-2.0 */
/* Threads are cancelled in a call: storm_cancel HOW ROUNDS, in recv, accept, send, or (busy) at any
 * point of a request. Their cleanup handlers close what they had. */
#include "storm.h"

static const char *how;
static struct sockaddr_in at;
static int listener;
static _Atomic int cleaned;
static _Atomic bool begun;

static void clean(void *arg)
{
	close_pair(*(struct pair *)arg);
	cleaned++;
}

static void block(struct pair p)
{
	static char zeros[65536];
	char text[HEAD];

	begun = true;
	if (is(how, "recv")) {
		request_text(text, "waits");
		put(p.client, text, 0);
		recv(p.client, text, sizeof(text), 0);
	} else if (is(how, "accept")) {
		accept(listener, NULL, NULL);
	} else if (is(how, "send")) {
		static const char head[] = "POST /large HTTP/1.1\r\nHost: victim\r\n"
					   "Content-Length: 1000000000\r\n\r\n";

		put(p.client, head, 0);
		while (send(p.client, zeros, sizeof(zeros), MSG_NOSIGNAL) > 0)
			;
	} else {
		for (unsigned i = 0;; i++)
			round_trip(p, "busy", i);
	}
	CHECK(!"blocked");
}

static void *run(void *arg)
{
	struct pair p = tcp_pair();

	(void)arg;
	pthread_cleanup_push(clean, &p);
	round_trip(p, "first", 0);
	block(p);
	pthread_cleanup_pop(0);
	return NULL;
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 5;

	CHECK(argc > 1);
	how = argv[1];
	listener = loopback_listener(&at);
	for (int i = 0; i < rounds; i++) {
		pthread_t t;
		void *result;

		begun = false;
		t = thread(run, NULL);
		while (!begun)
			sched_yield();
		if (i % 2)
			usleep((useconds_t)(50 + getpid() % 300));
		CHECK(pthread_cancel(t) == 0 && pthread_join(t, &result) == 0);
		CHECK(result == PTHREAD_CANCELED && cleaned == i + 1);
		round_trip(unix_pair(), "beside", (unsigned)i);
	}
	say("end\n");
	return 0;
}
