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
#include <sys/wait.h>
#include <unistd.h>
#include "launcher/probe.h"

#define ANSWER_MAX 4096

int probe_url_parse(struct probe_url *url, const char *text)
{
	const char *scheme_end = strstr(text, "://"), *host, *end, *port = NULL;
	int n;

	*url = (struct probe_url){ .scheme = "http" };
	if (scheme_end) {
		if (scheme_end == text || scheme_end - text >= (int)sizeof(url->scheme))
			return -EINVAL;
		snprintf(url->scheme, sizeof(url->scheme), "%.*s", (int)(scheme_end - text), text);
		text = scheme_end + 3;
	}
	end = text + strcspn(text, "/?#");
	host = memrchr(text, '@', (size_t)(end - text));
	host = host ? host + 1 : text;
	snprintf(url->path, sizeof(url->path), "%s%.*s", *end == '/' ? "" : "/",
		 (int)strcspn(end, "#"), end);
	if (*host == '[') {
		const char *close = memchr(host, ']', (size_t)(end - host));

		if (!close)
			return -EINVAL;
		port = close + 1 < end && close[1] == ':' ? close + 2 : NULL;
		n = snprintf(url->host, sizeof(url->host), "%.*s", (int)(close - host - 1),
			     host + 1);
	} else {
		const char *colon = memchr(host, ':', (size_t)(end - host));

		port = colon ? colon + 1 : NULL;
		n = snprintf(url->host, sizeof(url->host), "%.*s",
			     (int)((colon ? colon : end) - host), host);
	}
	if (n <= 0 || n >= (int)sizeof(url->host))
		return -EINVAL;
	if (port && port < end)
		n = snprintf(url->port, sizeof(url->port), "%.*s", (int)(end - port), port);
	else
		n = snprintf(url->port, sizeof(url->port), "%s",
			     strcasecmp(url->scheme, "https") == 0 ? "443" : "80");
	if (n >= (int)sizeof(url->port) || strspn(url->port, "0123456789") != strlen(url->port) ||
	    atoi(url->port) > 65535)
		return -EINVAL;
	return 0;
}

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

static int connect_any(struct probe *probe, const struct probe_url *url)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all;
	int fd = -1, err = getaddrinfo(url->host, url->port, &hints, &all);

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

/* "k=v" with percent-encoding becomes "k: v"; what would break the request is left out. */
static void put_header(FILE *out, char *pair)
{
	char *value = strchr(pair, '='), *to;

	if (!value)
		return;
	*value++ = '\0';
	to = value;
	for (const char *from = value; *from; from++) {
		unsigned byte;

		if (*from == '%' && sscanf(from + 1, "%2x", &byte) == 1 && from[1] && from[2]) {
			*to++ = (char)byte;
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
	pair += strspn(pair, " \t");
	pair[strcspn(pair, " \t")] = '\0';
	value += strspn(value, " \t");
	if (*pair && !strpbrk(pair, "\r\n:") && !strpbrk(value, "\r\n"))
		fprintf(out, "%s: %s\r\n", pair, value);
}

static char *make_request(const struct probe_url *url, const char *headers, size_t *n)
{
	char *request = NULL, *pairs = strdup(headers), *rest = pairs;
	FILE *out = open_memstream(&request, n);
	bool v6 = strchr(url->host, ':');

	if (!out)
		return NULL;
	fprintf(out,
		"POST %s HTTP/1.1\r\nHost: %s%s%s:%s\r\nContent-Type: application/x-protobuf\r\n"
		"Content-Length: 0\r\nUser-Agent: tagalong-doctor/" TAGALONG_VERSION "\r\n"
		"Connection: close\r\n",
		url->path, v6 ? "[" : "", url->host, v6 ? "]" : "", url->port);
	for (char *pair; (pair = strsep(&rest, ","));)
		put_header(out, pair);
	fputs("\r\n", out);
	fclose(out);
	free(pairs);
	return request;
}

/* In the child. */
static void ask(struct probe *probe, const struct probe_url *url, const char *headers, int report)
{
	char answer[ANSWER_MAX], *request;
	size_t n = 0, got = 0;
	ssize_t more = 0;
	int fd = connect_any(probe, url);

	if (fd < 0)
		return;
	/* What is known if our time ends here. */
	probe->outcome = PROBE_SILENCE;
	if (write(report, probe, sizeof(*probe)) < 0)
		return;
	request = make_request(url, headers, &n);
	if (!request || send(fd, request, n, MSG_NOSIGNAL) < 0) {
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

struct probe probe_send(const struct probe_url *url, const char *headers, long timeout_ms)
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
		ask(&probe, url, headers, pipes[1]);
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
