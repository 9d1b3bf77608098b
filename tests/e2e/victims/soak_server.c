/* SPDX-License-Identifier: Apache-2.0 */
/* soak_server PORT: one thread, one epoll set, as many connections as come. Ends by SIGTERM, with
 * status 0 and everything that runs at an end. */
#include "storm.h"
#include <sys/epoll.h>

#define EVENTS 256

static volatile sig_atomic_t over;

static void on_term(int signal)
{
	(void)signal;
	over = 1;
}

static void greet(int epoll, int listener)
{
	struct epoll_event event = { .events = EPOLLIN };

	while ((event.data.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
		CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event) == 0);
	CHECK(errno == EAGAIN || errno == ECONNABORTED);
}

/* The client sends one request at a time, and each in one piece. */
static void answer_one(int fd)
{
	char text[HEAD];
	ssize_t n = read(fd, text, sizeof(text));

	if (n <= 0 || n < 4 || memcmp(text + n - 4, "\r\n\r\n", 4) != 0) {
		CHECK(n == 0 || (n < 0 && errno == ECONNRESET));
		close(fd);
		return;
	}
	CHECK(write(fd, ANSWER, strlen(ANSWER)) == (ssize_t)strlen(ANSWER));
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_term };
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[EVENTS], event = { .events = EPOLLIN, .data.fd = listener };

	CHECK(argc == 2 && sigaction(SIGTERM, &action, NULL) == 0);
	at.sin_port = htons((uint16_t)atoi(argv[1]));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	CHECK(bind(listener, (struct sockaddr *)&at, sizeof(at)) == 0 &&
	      listen(listener, 4096) == 0);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) == 0);
	while (!over) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++)
			if (events[i].data.fd == listener)
				greet(epoll, listener);
			else
				answer_one(events[i].data.fd);
	}
	return 0;
}
