/* SPDX-License-Identifier: Apache-2.0 */
/* A started shim in a test process, and a kernel that takes as many bytes as the test says. */
#ifndef TESTS_SHIM_FIXTURE_H
#define TESTS_SHIM_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "shim/shim.h"

static inline void fixture_start(const char *variable)
{
	static char *envp[] = { (char *)"OTEL_TRACES_EXPORTER=none", NULL, NULL };

	envp[1] = (char *)variable;
	shim_start(envp);
}

/* A tracked socket as socket() or accept() gives it; its other end in *peer. */
static inline int fixture_socket(int *peer, bool accepted, bool blocking)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | (blocking ? 0 : SOCK_NONBLOCK), 0, ends) < 0)
		abort();
	if (accepted)
		shim_on_accept(-1, ends[0], NULL, 0);
	else
		shim_on_socket(ends[0], AF_UNIX, SOCK_STREAM);
	*peer = ends[1];
	return ends[0];
}

static inline void fixture_close(int fd, int peer)
{
	shim_before_close(fd);
	close(fd);
	close(peer);
}

struct wire {
	char bytes[262144];
	size_t n;
	size_t calls;
	size_t limit; /* bytes one call takes; 0: -1/EAGAIN once, then all */
	bool refused;
};

/* What the kernel does with a vector: takes at most `limit` bytes. */
static inline ssize_t wire_take(struct wire *k, const struct iovec *iov, int count)
{
	size_t left = k->limit ? k->limit : sizeof(k->bytes), taken = 0;

	k->calls++;
	if (count > 1024) {
		errno = EINVAL;
		return -1;
	}
	if (!k->limit && !k->refused) {
		k->refused = true;
		errno = EAGAIN;
		return -1;
	}
	for (int i = 0; i < count && left; i++) {
		size_t n = iov[i].iov_len < left ? iov[i].iov_len : left;

		memcpy(k->bytes + k->n, iov[i].iov_base, n);
		k->n += n;
		left -= n;
		taken += n;
	}
	return (ssize_t)taken;
}

/* One call of the program's. */
static inline ssize_t wire_write(struct wire *k, int fd, const struct iovec *iov, int count,
				 enum shim_call call)
{
	struct shim_write w;
	ssize_t n;

	shim_write_begin(&w, fd, iov, count, 0, call);
	do
		n = wire_take(k, w.iov, w.iovcnt);
	while (shim_write_again(&w, &n));
	return n;
}

#endif
