/* SPDX-License-Identifier: Apache-2.0 */
/* How a thread waits tells whether it serves one request at a time.
 *	trap_waits CALL alone|together
 * A few requests come in, one after the other; each is waited for by CALL, on its connection alone
 * or together with a second inbound one (an event loop), causes an outgoing request and is
 *answered. */
#include "trap.h"
#include <dlfcn.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#define ROUNDS 4

static bool is(const char *name, const char *what)
{
	return strcmp(name, what) == 0;
}

static void *named(const char *name)
{
	void *p = dlsym(RTLD_DEFAULT, name);

	if (!p) {
		printf("%s: not here\n", name);
		fflush(stdout);
		_exit(77);
	}
	return p;
}

typedef int (*poll_fn)(struct pollfd *, nfds_t, int);
typedef int (*poll_chk_fn)(struct pollfd *, nfds_t, int, size_t);
typedef int (*ppoll_fn)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
typedef int (*ppoll_chk_fn)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *,
			    size_t);
typedef int (*select_fn)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
typedef int (*epoll_pwait2_fn)(int, struct epoll_event *, int, const struct timespec *,
			       const sigset_t *);

static void wait_by_epoll(const char *call, const int *fds, int n)
{
	struct epoll_event event = { .events = EPOLLIN };
	const struct timespec second = { .tv_sec = 1 };
	int epfd = epoll_create1(0), got;

	for (int i = 0; i < n; i++)
		CHECK(epoll_ctl(epfd, EPOLL_CTL_ADD, fds[i], &event) == 0);
	if (is(call, "epoll_wait"))
		got = epoll_wait(epfd, &event, 1, 1000);
	else if (is(call, "epoll_pwait"))
		got = epoll_pwait(epfd, &event, 1, 1000, NULL);
	else
		got = ((epoll_pwait2_fn)named(call))(epfd, &event, 1, &second, NULL);
	CHECK(got == 1);
	close(epfd);
}

static void wait_by(const char *call, const int *fds, int n)
{
	const struct timespec second = { .tv_sec = 1 };
	struct timeval timeout = { .tv_sec = 1 };
	struct pollfd set[2] = { { .fd = fds[0], .events = POLLIN },
				 { .fd = fds[1], .events = POLLIN } };
	int got = -1, top = 0;
	fd_set in;

	FD_ZERO(&in);
	for (int i = 0; i < n; i++) {
		FD_SET(fds[i], &in);
		top = fds[i] >= top ? fds[i] + 1 : top;
	}
	if (strncmp(call, "epoll", 5) == 0) {
		wait_by_epoll(call, fds, n);
		return;
	}
	if (is(call, "poll") || is(call, "__poll"))
		got = ((poll_fn)named(call))(set, (nfds_t)n, 1000);
	else if (is(call, "__poll_chk"))
		got = ((poll_chk_fn)named(call))(set, (nfds_t)n, 1000, sizeof(set));
	else if (is(call, "ppoll"))
		got = ((ppoll_fn)named(call))(set, (nfds_t)n, &second, NULL);
	else if (is(call, "__ppoll_chk"))
		got = ((ppoll_chk_fn)named(call))(set, (nfds_t)n, &second, NULL, sizeof(set));
	else if (is(call, "select") || is(call, "__select"))
		got = ((select_fn)named(call))(top, &in, NULL, NULL, &timeout);
	else if (is(call, "pselect"))
		got = pselect(top, &in, NULL, NULL, &second, NULL);
	CHECK(got == 1);
}

int main(int argc, char **argv)
{
	int client[2], server[2], out, far;
	char p[512];

	CHECK(argc >= 3);
	connect_pair(&client[0], &server[0]);
	connect_pair(&client[1], &server[1]);
	connect_pair(&out, &far);
	/* Each time what the wait says is the only evidence: that of an owner, or against one. */
	if (is(argv[2], "alone"))
		fcntl(server[0], F_SETFL, O_NONBLOCK);
	for (int i = 0; i < ROUNDS; i++) {
		unseen_write(client[0], request_text("in"));
		wait_by(argv[1], server, is(argv[2], "alone") ? 1 : 2);
		CHECK(read(server[0], p, sizeof(p)) > 0);
		one_request(out, far, "out");
		CHECK(write(server[0], RESPONSE, strlen(RESPONSE)) > 0);
		unseen_read(client[0], "ok");
	}
	printf("end\n");
	return 0;
}
