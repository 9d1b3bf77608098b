/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/net.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include "base/clock.h"
#include "base/raw.h"

#define NS_PER_MS 1000000ull
/* A wait is cut into pieces of this length: the descriptor may have moved out of the program's way,
 * and `stop` may have been set. */
#define WAIT_SLICE_MS 100

/* The descriptor, held, or -EBADF when the number is not our socket any more: a program that closes
 * descriptors by direct system calls must not find our bytes in its own file. */
static int hold(struct net_socket *s)
{
	int fd = own_fd_get(s->slot);
	struct stat st;

	if (fd < 0)
		return -EBADF;
	if (!s->inode || raw_fstat(fd, &st) < 0 || st.st_ino != s->inode) {
		own_fd_put(s->slot);
		return -EBADF;
	}
	return fd;
}

int net_wait(struct net_socket *s, short events, uint64_t deadline_ns)
{
	for (;;) {
		uint64_t now = clock_monotonic_ns();
		uint64_t left_ms =
			deadline_ns > now ? (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS : 0;
		uint64_t wait_ms = left_ms < WAIT_SLICE_MS ? left_ms : WAIT_SLICE_MS;
		struct timespec slice = { .tv_nsec = (long)(wait_ms * NS_PER_MS) };
		struct pollfd p = { .events = events };
		int n;

		if (s->stop && atomic_load_explicit(s->stop, memory_order_acquire))
			return -ECANCELED;
		p.fd = hold(s);
		if (p.fd < 0)
			return p.fd;
		own_fd_put(s->slot);
		n = raw_ppoll(&p, 1, &slice, NULL);
		if (n > 0 && p.revents & POLLNVAL)
			continue; /* moved just now; closed: hold() says so */
		if (n > 0)
			return p.revents;
		if (n < 0 && n != -EINTR)
			return n;
		if (!left_ms)
			return -ETIMEDOUT;
	}
}

static socklen_t make_sockaddr(struct sockaddr_storage *out, const struct net_address *a,
			       uint16_t port)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
	struct sockaddr_in *four = (struct sockaddr_in *)out;
	uint16_t be = (uint16_t)(port << 8 | port >> 8);

	memset(out, 0, sizeof(*out));
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
	be = port;
#endif
	if (!a->is_ipv6) {
		four->sin_family = AF_INET;
		four->sin_port = be;
		memcpy(&four->sin_addr, a->ip, 4);
		return sizeof(*four);
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = be;
	six->sin6_scope_id = a->scope;
	memcpy(&six->sin6_addr, a->ip, 16);
	return sizeof(*six);
}

static int open_socket(struct net_socket *s, int family, int type)
{
	int fd = raw_socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;
	int one = 1;

	if (fd < 0)
		return fd;
	if (type == SOCK_STREAM)
		raw_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (raw_fstat(fd, &st) < 0)
		st.st_ino = 0;
	fd = own_fd_adopt(s->slot, fd);
	if (fd < 0)
		return fd;
	s->inode = st.st_ino;
	return 0;
}

/* What became of a connect() in progress. */
static int finish_connect(struct net_socket *s, uint64_t deadline_ns)
{
	int events = net_wait(s, POLLOUT, deadline_ns), err = 0, fd;
	socklen_t len = sizeof(err);

	if (events < 0)
		return events;
	fd = hold(s);
	if (fd < 0)
		return fd;
	if (raw_getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = EBADF;
	own_fd_put(s->slot);
	return -err;
}

int net_connect(struct net_socket *s, int type, const struct net_address *to, uint16_t port,
		uint64_t deadline_ns)
{
	struct sockaddr_storage address;
	socklen_t len = make_sockaddr(&address, to, port);
	int err, fd;

	net_close(s);
	err = open_socket(s, to->is_ipv6 ? AF_INET6 : AF_INET, type);
	if (err)
		return err;
	fd = hold(s);
	if (fd < 0)
		return fd;
	err = raw_connect(fd, (struct sockaddr *)&address, len);
	own_fd_put(s->slot);
	/* After EINTR the connection goes on being made, as after EINPROGRESS. */
	if (err == -EINPROGRESS || err == -EINTR)
		err = finish_connect(s, deadline_ns);
	if (err)
		net_close(s);
	return err;
}

ssize_t net_send(struct net_socket *s, const struct iovec *iov, size_t count)
{
	const struct msghdr m = { .msg_iov = (struct iovec *)iov, .msg_iovlen = count };
	int fd = hold(s);
	ssize_t n;

	if (fd < 0)
		return fd;
	do
		n = raw_sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n == -EINTR);
	own_fd_put(s->slot);
	return n;
}

static ssize_t receive(struct net_socket *s, void *p, size_t size, int flags)
{
	int fd = hold(s);
	ssize_t n;

	if (fd < 0)
		return fd;
	do
		n = raw_recv(fd, p, size, flags | MSG_DONTWAIT);
	while (n == -EINTR);
	own_fd_put(s->slot);
	return n;
}

ssize_t net_receive(struct net_socket *s, void *p, size_t n)
{
	return receive(s, p, n, 0);
}

bool net_is_idle(struct net_socket *s)
{
	char one;

	return receive(s, &one, 1, MSG_PEEK) == -EAGAIN;
}

void net_close(struct net_socket *s)
{
	int fd;

	if (!s->inode)
		return;
	fd = hold(s);
	if (fd < 0) {
		own_fd_disown(s->slot);
	} else {
		own_fd_put(s->slot);
		own_fd_close(s->slot);
	}
	s->inode = 0;
}
