/* SPDX-License-Identifier: Apache-2.0 */
/* A call on a connection is left in the middle, and nothing of it may stay behind.
 *	trap_jump jump CALL ROUNDS	a signal handler leaves it by siglongjmp()
 *	trap_jump cancel CALL ROUNDS	the thread is cancelled in it
 *	trap_jump handler ROUNDS	a signal handler reads and writes on the connection */
#include "trap.h"
#include <poll.h>
#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/time.h>

static int client, server, listener;

static bool is(const char *name, const char *what)
{
	return strcmp(name, what) == 0;
}

/* Blocks for ever: nothing comes, and the buffers of write's connection are full. */
static void block_in(const char *call)
{
	char p[4096] = "";
	struct iovec iov = { p, sizeof(p) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct pollfd poll_fd = { .fd = client, .events = POLLIN };

	if (is(call, "recv"))
		recv(client, p, sizeof(p), 0);
	else if (is(call, "read"))
		read(client, p, sizeof(p));
	else if (is(call, "readv"))
		readv(client, &iov, 1);
	else if (is(call, "recvmsg"))
		recvmsg(client, &m, 0);
	else if (is(call, "accept"))
		accept(listener, NULL, NULL);
	else if (is(call, "poll"))
		poll(&poll_fd, 1, -1);
	else if (is(call, "write"))
		for (;;)
			if (write(client, p, sizeof(p)) < 0)
				return;
	CHECK(!"blocked");
}

/* ---- siglongjmp ---- */

static sigjmp_buf back;

static void leave(int signal)
{
	(void)signal;
	siglongjmp(back, 1);
}

static void jump_out_of(const char *call, int rounds)
{
	struct sigaction action = { .sa_handler = leave };
	struct itimerval soon = { .it_value.tv_usec = 500 };

	sigaction(SIGALRM, &action, NULL);
	for (volatile int i = 0; i < rounds; i++) {
		if (sigsetjmp(back, 1) == 0) {
			setitimer(ITIMER_REAL, &soon, NULL);
			block_in(call);
		}
	}
	printf("left %s %d times\n", call, rounds);
}

/* ---- pthread_cancel ---- */

static _Atomic int cleaned;

static void clean(void *arg)
{
	(void)arg;
	cleaned++;
}

static void *cancelled_thread(void *call)
{
	pthread_cleanup_push(clean, NULL);
	block_in(call);
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancel_in(const char *call, int rounds)
{
	for (int i = 0; i < rounds; i++) {
		pthread_t thread;
		void *result;

		CHECK(pthread_create(&thread, NULL, cancelled_thread, (void *)call) == 0);
		if (i % 2)
			usleep(300);
		CHECK(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0);
		CHECK(result == PTHREAD_CANCELED && cleaned == i + 1);
	}
	printf("cancelled %s %d times\n", call, rounds);
}

/* ---- a handler that works ---- */

static _Atomic int handled;

static void work(int signal)
{
	int saved = errno;
	char byte = 'x';

	(void)signal;
	write(client, &byte, 1);
	handled++;
	errno = saved;
}

static void handler_works(int rounds)
{
	struct sigaction action = { .sa_handler = work, .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 100 }, { 0, 100 } }, never = { { 0, 0 }, { 0, 0 } };
	char p[65536];
	long got = 0, sent = 0;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (handled < rounds) {
		if (write(client, "0123456789", 10) == 10)
			sent += 10;
		while (recv(server, p, sizeof(p), MSG_DONTWAIT) > 0)
			;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	got = sent % 10;
	printf("handled, %ld\n", got);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at;
	int a, b;

	CHECK(argc >= 3);
	listener = listen_on_loopback(&at);
	connect_pair(&client, &server);
	if (!is(argv[1], "handler"))
		one_request(client, server, "before");
	if (is(argv[1], "jump"))
		jump_out_of(argv[2], atoi(argv[3]));
	else if (is(argv[1], "cancel"))
		cancel_in(argv[2], atoi(argv[3]));
	else
		handler_works(atoi(argv[2]));
	connect_pair(&a, &b);
	one_request(a, b, "elsewhere");
	if (!is(argv[1], "handler") && !is(argv[2], "write"))
		one_request(client, server, "after");
	printf("end\n");
	return 0;
}
