/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "launcher/probe.h"

#define ANSWER_MAX 4096

static void read_header(struct probe *probe, const char *line, size_t n)
{
	static const char name[] = "content-type:";

	if (n <= sizeof(name) - 1 || strncasecmp(line, name, sizeof(name) - 1) != 0)
		return;
	line += sizeof(name) - 1;
	n -= sizeof(name) - 1;
	while (n && (*line == ' ' || *line == '\t'))
		line++, n--;
	snprintf(probe->content_type, sizeof(probe->content_type), "%.*s", (int)n, line);
}

void probe_read_answer(struct probe *probe, const char *answer, size_t n)
{
	const char *end = answer + n, *line = answer;

	probe->outcome = PROBE_STRANGE;
	/* A server that speaks HTTP/2 only opens with SETTINGS: length, type 4, no flags, stream 0.
	 */
	if (n >= 9 && answer[3] == 4 && answer[0] == 0 && memcmp(answer + 5, "\0\0\0\0", 4) == 0)
		probe->outcome = PROBE_HTTP2;
	/* A TLS alert or handshake record. */
	else if (n >= 3 && (answer[0] == 0x15 || answer[0] == 0x16) && answer[1] == 3)
		probe->outcome = PROBE_TLS;
	if (n < 12 || memcmp(answer, "HTTP/1.", 7) != 0)
		return;
	probe->outcome = PROBE_ANSWER;
	probe->status = (unsigned)atoi((char[]){ answer[9], answer[10], answer[11], 0 });
	if (probe->status == 400 && memmem(answer, n, "HTTPS", 5))
		probe->outcome = PROBE_TLS;
	while ((line = memchr(line, '\n', (size_t)(end - line))) && ++line < end) {
		const char *stop = memchr(line, '\r', (size_t)(end - line));

		if (!stop || stop == line)
			break;
		read_header(probe, line, (size_t)(stop - line));
	}
}

static int connect_any(struct probe *probe, const struct endpoint *endpoint)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all;
	char port[8];
	int fd = -1, err;

	snprintf(port, sizeof(port), "%u", endpoint->port);
	err = getaddrinfo(endpoint->host, port, &hints, &all);
	if (err) {
		probe->outcome = PROBE_NO_NAME;
		snprintf(probe->text, sizeof(probe->text), "%s", gai_strerror(err));
		return -1;
	}
	probe->outcome = PROBE_NO_CONNECTION;
	for (const struct addrinfo *a = all; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) == 0)
			break;
		probe->error = errno;
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(all);
	return fd;
}

static bool send_request(int fd, const struct endpoint *endpoint)
{
	static const char rest[] = "0\r\n\r\n"; /* an empty body */
	struct iovec parts[] = { { (void *)endpoint->head, endpoint->head_n },
				 { (void *)rest, sizeof(rest) - 1 } };
	struct msghdr request = { .msg_iov = parts, .msg_iovlen = 2 };

	return sendmsg(fd, &request, MSG_NOSIGNAL) >= 0;
}

/* In the child. */
static void ask(struct probe *probe, const struct endpoint *endpoint, int report)
{
	char answer[ANSWER_MAX];
	size_t got = 0;
	ssize_t more = 0;
	int fd = connect_any(probe, endpoint);

	if (fd < 0)
		return;
	/* What is known if our time ends here. */
	probe->outcome = PROBE_SILENCE;
	if (write(report, probe, sizeof(*probe)) < 0)
		return;
	if (!send_request(fd, endpoint)) {
		probe->outcome = PROBE_CLOSED;
		return;
	}
	while (got < sizeof(answer) && !memmem(answer, got, "\r\n\r\n", 4)) {
		more = recv(fd, answer + got, sizeof(answer) - got, 0);
		if (more <= 0)
			break;
		got += (size_t)more;
		probe_read_answer(probe, answer, got);
		if (probe->outcome != PROBE_ANSWER && got >= 9)
			break;
	}
	if (!got)
		probe->outcome = PROBE_CLOSED;
}

struct probe probe_send(const struct endpoint *endpoint, long timeout_ms)
{
	struct probe probe = { .outcome = PROBE_SILENCE }, next;
	int pipes[2], status;
	struct pollfd ready;
	pid_t pid;

	if (pipe(pipes) < 0)
		return (struct probe){ .outcome = PROBE_FAILED, .error = errno };
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		ask(&probe, endpoint, pipes[1]);
		_exit(write(pipes[1], &probe, sizeof(probe)) < 0);
	}
	close(pipes[1]);
	if (pid < 0) {
		close(pipes[0]);
		return (struct probe){ .outcome = PROBE_FAILED, .error = errno };
	}
	probe.outcome = PROBE_NO_CONNECTION;
	probe.error = ETIMEDOUT;
	ready = (struct pollfd){ .fd = pipes[0], .events = POLLIN };
	while (poll(&ready, 1, (int)timeout_ms) > 0 &&
	       read(pipes[0], &next, sizeof(next)) == (ssize_t)sizeof(next))
		probe = next;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(pipes[0]);
	return probe;
}
