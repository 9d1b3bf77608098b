/* SPDX-License-Identifier: Apache-2.0 */
/* Every way to send a request, to read one, and to come by a socket.
 *	trap_calls write|read|get|body NAME
 * write: a request goes out by the call NAME; the transcript is what the other end got, unseen.
 * read: a request comes in, is read by the call NAME and answered.
 * body: two exchanges on a connection, a body of them passes by NAME, inside the kernel.
 * get: a request goes out by write() over a descriptor that was come by in the way NAME. */
#include "trap.h"
#include <dlfcn.h>
#include <sched.h>

/* Names that headers do not declare (or declare with another type). */
#define NAMED(name, type) ((type)named(name))

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

typedef ssize_t (*rw_fn)(int, void *, size_t);
typedef ssize_t (*chk_fn)(int, void *, size_t, size_t);
typedef ssize_t (*recv_fn)(int, void *, size_t, int);
typedef ssize_t (*recv_chk_fn)(int, void *, size_t, size_t, int);
typedef ssize_t (*recvfrom_chk_fn)(int, void *, size_t, size_t, int, struct sockaddr *,
				   socklen_t *);
typedef ssize_t (*prw_fn)(int, const struct iovec *, int, off_t, int);

static bool is(const char *name, const char *what)
{
	return strcmp(name, what) == 0;
}

static ssize_t write_by(const char *call, int fd, char *text)
{
	size_t n = strlen(text), half = n / 2;
	struct iovec iov[2] = { { text, half }, { text + half, n - half } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	struct mmsghdr mm[2] = { { .msg_hdr = { .msg_iov = iov, .msg_iovlen = 1 } },
				 { .msg_hdr = { .msg_iov = iov + 1, .msg_iovlen = 1 } } };

	if (is(call, "write") || is(call, "__write"))
		return NAMED(call, rw_fn)(fd, text, n);
	if (is(call, "send") || is(call, "__send"))
		return NAMED(call, recv_fn)(fd, text, n, 0);
	if (is(call, "writev"))
		return writev(fd, iov, 2);
	if (is(call, "pwritev2") || is(call, "pwritev64v2"))
		return NAMED(call, prw_fn)(fd, iov, 2, -1, 0);
	if (is(call, "sendto"))
		return sendto(fd, text, n, 0, NULL, 0);
	if (is(call, "sendmsg"))
		return sendmsg(fd, &m, 0);
	if (is(call, "sendmmsg"))
		return sendmmsg(fd, mm, 2, 0) == 2 ? (ssize_t)(mm[0].msg_len + mm[1].msg_len) : -1;
	CHECK(!"a known call");
	return -1;
}

static void test_write(const char *call)
{
	int client, server;
	char text[256];
	ssize_t n;

	strcpy(text, request_text(call));
	if (is(call, "fastopen")) {
		struct sockaddr_in at;
		int listener = listen_on_loopback(&at);

		client = socket(AF_INET, SOCK_STREAM, 0);
		n = sendto(client, text, strlen(text), MSG_FASTOPEN, (struct sockaddr *)&at,
			   sizeof(at));
		server = accept(listener, NULL, NULL);
	} else {
		connect_pair(&client, &server);
		n = write_by(call, client, text);
	}
	printf("%zd\n", n);
	answer_unseen(server);
	read_response(client);
}

static ssize_t read_by(const char *call, int fd, char *p, size_t n)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	struct iovec iov[2] = { { p, 10 }, { p + 10, n - 10 } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	struct mmsghdr mm[1] = { { .msg_hdr = m } };

	if (is(call, "read") || is(call, "__read"))
		return NAMED(call, rw_fn)(fd, p, n);
	if (is(call, "__read_chk"))
		return NAMED(call, chk_fn)(fd, p, n, n);
	if (is(call, "recv") || is(call, "__recv"))
		return NAMED(call, recv_fn)(fd, p, n, 0);
	if (is(call, "__recv_chk"))
		return NAMED(call, recv_chk_fn)(fd, p, n, n, 0);
	if (is(call, "recvfrom"))
		return recvfrom(fd, p, n, 0, (struct sockaddr *)&from, &len);
	if (is(call, "__recvfrom_chk"))
		return NAMED(call, recvfrom_chk_fn)(fd, p, n, n, 0, NULL, NULL);
	if (is(call, "readv"))
		return readv(fd, iov, 2);
	if (is(call, "preadv2") || is(call, "preadv64v2"))
		return NAMED(call, prw_fn)(fd, iov, 2, -1, 0);
	if (is(call, "recvmsg"))
		return recvmsg(fd, &m, 0);
	if (is(call, "recvmmsg"))
		return recvmmsg(fd, mm, 1, 0, NULL) == 1 ? (ssize_t)mm[0].msg_len : -1;
	CHECK(!"a known call");
	return -1;
}

/* Peeked, discarded and urgent bytes between the real ones: one request, then another. */
static void test_peek(int client, int server)
{
	char p[512];
	ssize_t n;

	unseen_write(client, "POST /peek HTTP/1.1\r\nHost: v\r\nContent-Length: 600\r\n\r\n");
	n = recv(server, p, sizeof(p), MSG_PEEK);
	CHECK(n > 0 && recv(server, p, 5, MSG_PEEK) == 5);
	CHECK(recv(server, p, sizeof(p), 0) == n);
	for (int i = 0; i < 6; i++) {
		memset(p, 'x', 100);
		CHECK(unseen(SYS_write, client, (long)p, 100) == 100);
		CHECK(recv(server, NULL, 100, MSG_TRUNC) == 100);
	}
	write(server, RESPONSE, strlen(RESPONSE));
	unseen_read(client, "ok");
	unseen_write(client, request_text("after"));
	CHECK(recv(server, p, sizeof(p), MSG_PEEK | MSG_TRUNC) > 0);
	CHECK(recv(server, p, sizeof(p), MSG_OOB | MSG_DONTWAIT) < 0);
	CHECK(recv(server, p, sizeof(p), 0) > 0);
	write(server, RESPONSE, strlen(RESPONSE));
	printf("%s\n", unseen_read(client, "ok"));
}

static void test_read(const char *call)
{
	int client, server;
	char p[512] = "";

	connect_pair(&client, &server);
	if (is(call, "peek")) {
		test_peek(client, server);
		return;
	}
	unseen_write(client, request_text(call));
	printf("%zd\n", read_by(call, server, p, sizeof(p) - 1));
	printf("%s", p);
	CHECK(write(server, RESPONSE, strlen(RESPONSE)) == (ssize_t)strlen(RESPONSE));
	printf("%s\n", unseen_read(client, "ok"));
}

/* ---- bodies nobody looks at ---- */

#define BODY 40000

static void put(char *to, const char *text)
{
	memcpy(to, text, strlen(text));
}

static void write_text(int fd, const char *text)
{
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static int body_file(void)
{
	char name[] = "body-XXXXXX", text[BODY];
	int fd = mkstemp(name);

	/* As if another response followed: taken for one if the count is lost. */
	memset(text, '\n', sizeof(text));
	put(text, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
	CHECK(fd >= 0 && unlink(name) == 0 && write(fd, text, BODY) == BODY &&
	      lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static void pass(const char *call, int in, int out)
{
	int pipe_fds[2], left = BODY;
	off_t at = 0;

	CHECK(pipe(pipe_fds) == 0);
	while (left > 0) {
		ssize_t n;

		if (is(call, "splice")) {
			n = splice(in, NULL, pipe_fds[1], NULL, (size_t)left, 0);
			for (ssize_t k = 0; k < n;) {
				ssize_t m =
					splice(pipe_fds[0], NULL, out, NULL, (size_t)(n - k), 0);

				CHECK(m > 0);
				k += m;
			}
		} else {
			n = ((ssize_t(*)(int, int, off_t *, size_t))named(call))(out, in, &at,
										 (size_t)left);
		}
		CHECK(n > 0);
		left -= (int)n;
	}
}

static void *take_body(void *arg)
{
	static char text[BODY + 4096];
	int fd = *(int *)arg;
	size_t n = 0;

	while (n < BODY || !strstr(text, "\r\n\r\n")) {
		long got = unseen(SYS_read, fd, (long)(text + n), (long)(sizeof(text) - n));

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	return NULL;
}

static void *give_body(void *arg)
{
	static char text[BODY];
	size_t n = 0;

	memset(text, '\n', sizeof(text));
	put(text, "GET /smuggled HTTP/1.1\r\nHost: v\r\n\r\n");
	while (n < BODY)
		n += (size_t)unseen(SYS_write, *(int *)arg, (long)(text + n), (long)(BODY - n));
	return NULL;
}

static void test_body(const char *call)
{
	int client, server, sink = open("/dev/null", O_WRONLY);
	pthread_t thread;
	char p[512];

	connect_pair(&client, &server);
	if (is(call, "splice_in")) {
		unseen_write(
			client,
			"POST /splice_in HTTP/1.1\r\nHost: v\r\nContent-Length: 40000\r\n\r\n");
		CHECK(read(server, p, sizeof(p)) > 0);
		pthread_create(&thread, NULL, give_body, &client);
		pass("splice", server, sink);
	} else {
		unseen_write(client, request_text(call));
		CHECK(read(server, p, sizeof(p)) > 0);
		write_text(server, "HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n");
		pthread_create(&thread, NULL, take_body, &client);
		pass(call, body_file(), server);
	}
	pthread_join(thread, NULL);
	if (is(call, "splice_in")) {
		CHECK(write(server, RESPONSE, strlen(RESPONSE)) > 0);
		unseen_read(client, "ok");
	}
	unseen_write(client, request_text("after"));
	CHECK(read(server, p, sizeof(p)) > 0);
	write_text(server, "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nok");
	printf("%s\n", unseen_read(client, "ok"));
}

/* ---- ways to come by a descriptor ---- */

static int passed(int fd, bool many)
{
	char control[CMSG_SPACE(sizeof(int))] = "", byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct mmsghdr mm = { .msg_hdr = m };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int pair[2], got;

	/* Not SOCK_STREAM: that would be looked at, this is not, and has to be seen all the same.
	 */
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
	*c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
			       .cmsg_type = SCM_RIGHTS,
			       .cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	CHECK(sendmsg(pair[0], &m, 0) == 1);
	if (many)
		CHECK(recvmmsg(pair[1], &mm, 1, 0, NULL) == 1);
	else
		CHECK(recvmsg(pair[1], &m, 0) == 1);
	memcpy(&got, CMSG_DATA(c), sizeof(int));
	CHECK(got != fd);
	return got;
}

static int taken_from_ourselves(int fd)
{
	int pidfd = (int)unseen(SYS_pidfd_open, getpid(), 0, 0), got;

	CHECK(pidfd >= 0);
	got = NAMED("pidfd_getfd", int (*)(int, int, unsigned))(pidfd, fd, 0);
	CHECK(got >= 0);
	return got;
}

static int get_by(const char *way, int fd)
{
	if (is(way, "dup"))
		return dup(fd);
	if (is(way, "dup2") || is(way, "__dup2"))
		return NAMED(way, int (*)(int, int))(fd, 40);
	if (is(way, "dup3"))
		return dup3(fd, 40, O_CLOEXEC);
	if (is(way, "fcntl") || is(way, "__fcntl") || is(way, "fcntl64"))
		return NAMED(way, int (*)(int, int, ...))(fd, F_DUPFD, 40);
	if (is(way, "fcntl_cloexec"))
		return fcntl(fd, F_DUPFD_CLOEXEC, 40);
	if (is(way, "recvmsg") || is(way, "recvmmsg"))
		return passed(fd, is(way, "recvmmsg"));
	if (is(way, "pidfd_getfd"))
		return taken_from_ourselves(fd);
	CHECK(!"a known way");
	return -1;
}

/* As inetd and socket activation do it: the program starts with the connection open. */
static void exec_with(int fd, int far)
{
	char a[16], b[16];

	snprintf(a, sizeof(a), "%d", fd);
	snprintf(b, sizeof(b), "%d", far);
	execl("/proc/self/exe", "trap_calls", "inherited", a, b, (char *)NULL);
	CHECK(!"exec");
}

static void test_get(const char *way)
{
	int client, server, pair[2];

	if (is(way, "socketpair")) {
		CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
		one_request(pair[0], pair[1], way);
		return;
	}
	connect_pair(&client, &server);
	if (is(way, "socket")) {
		one_request(client, server, way);
	} else if (is(way, "exec")) {
		exec_with(client, server);
	} else {
		int fd = get_by(way, client);

		CHECK(fd >= 0);
		close(client);
		one_request(fd, server, way);
	}
}

int main(int argc, char **argv)
{
	CHECK(argc >= 3);
	if (is(argv[1], "write"))
		test_write(argv[2]);
	else if (is(argv[1], "read"))
		test_read(argv[2]);
	else if (is(argv[1], "body"))
		test_body(argv[2]);
	else if (is(argv[1], "get"))
		test_get(argv[2]);
	else
		one_request(atoi(argv[2]), atoi(argv[3]), "exec");
	printf("end\n");
	return 0;
}
