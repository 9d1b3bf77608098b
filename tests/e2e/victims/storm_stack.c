/* SPDX-License-Identifier: Apache-2.0 */
/* A thread a connection, each with the smallest stack there is: storm_stack CONNECTIONS. The last
 * page of each stack is out of bounds, and the buffers are not on it. */
#include "storm.h"
#include <limits.h>

#define STACK (16 * 1024) /* PTHREAD_STACK_MIN of old */

struct connection {
	int fd;
	char in[HEAD];
};

/* No more of the stack than the calls need. */
static void *serve_small(void *arg)
{
	struct connection *c = arg;
	size_t n = 0;
	ssize_t got;

	while ((got = recv(c->fd, c->in + n, HEAD - 1 - n, 0)) > 0) {
		n += (size_t)got;
		c->in[n] = 0;
		if (!strstr(c->in, "\r\n\r\n"))
			continue;
		n = 0;
		CHECK(send(c->fd, ANSWER, strlen(ANSWER), MSG_NOSIGNAL) == (ssize_t)strlen(ANSWER));
	}
	close(c->fd);
	free(c);
	return NULL;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 8;
	pthread_attr_t attr;
	pthread_t t[64];
	int fd[64];

	CHECK(n <= 64 && pthread_attr_init(&attr) == 0);
	CHECK(pthread_attr_setstacksize(&attr, STACK) == 0);
	for (int i = 0; i < n; i++) {
		struct pair p = tcp_pair();
		struct connection *c = calloc(1, sizeof(*c));

		c->fd = p.server;
		fd[i] = p.client;
		CHECK(pthread_create(&t[i], &attr, serve_small, c) == 0);
	}
	for (unsigned k = 0; k < 4; k++)
		for (int i = 0; i < n; i++)
			ask(fd[i], "small", k);
	for (int i = 0; i < n; i++) {
		close(fd[i]);
		pthread_join(t[i], NULL);
	}
	say("end\n");
	return 0;
}
