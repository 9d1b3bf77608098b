/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a script: a runtime that serves, and asks others, in contexts of its own; what it
 * carries in them is copied, cut and forged at will, as programs can. Nothing breaks, nothing is
 * left behind, and as long as nothing was forged no parent is named that was not read here. Between
 * its calls the program asks what Node's script asks, of any connection and with any bytes. */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/thread.h"
#include "shim/block.h"
#include "shim/conn.h"
#include "shim/question.h"
#include "shim_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define ENDS     6 /* connections at a time */
#define CONTEXTS 4
#define READ_MAX 256

struct end {
	int fd, peer; /* 0: none */
	bool serves;
};

static struct script {
	const uint8_t *p;
	size_t n;
} script;

static struct end ends[ENDS];
static struct shim_flow contexts[CONTEXTS];
static char parents[READ_MAX][17]; /* ids of the requests that were read */
static unsigned parents_n;
static bool forged;

static unsigned next_byte(void)
{
	if (!script.n)
		return 0;
	script.n--;
	return *script.p++;
}

static struct shim_flow *context(void)
{
	return &contexts[next_byte() % CONTEXTS];
}

static struct end *end(bool serves)
{
	struct end *e = &ends[next_byte() % ENDS];

	return e->fd && e->serves == serves ? e : NULL;
}

static void close_end(struct end *e)
{
	if (!e->fd)
		return;
	shim_before_close(e->fd);
	close(e->fd);
	close(e->peer);
	*e = (struct end){ 0 };
}

static void open_end(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(4711) };
	struct end *e = &ends[next_byte() % ENDS];
	struct thread_flow saved;
	struct shim_flow *now;
	int pair[2];

	close_end(e);
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	*e = (struct end){ pair[0], pair[1], next_byte() & 1 };
	now = context();
	shim_flow_begin(&saved, NULL);
	if (e->serves) {
		shim_on_accept(0, e->fd, (struct sockaddr *)&address, sizeof(address));
	} else {
		shim_on_socket(e->fd, AF_INET, SOCK_STREAM);
		shim_on_connect(e->fd, (struct sockaddr *)&address, sizeof(address), 0, 0);
	}
	shim_flow_end(&saved, now, SHIM_FLOW_ANY);
}

/* ---- moving bytes ---- */

/* The program writes all of it, or what there is room for. */
static void write_all(int fd, const char *p, size_t n)
{
	struct iovec part = { (void *)(uintptr_t)p, n };
	struct shim_write w;
	ssize_t sent;

	shim_write_begin(&w, fd, &part, 1, 0, SHIM_CALL_SEND);
	do
		sent = sendmsg(fd,
			       &(struct msghdr){ .msg_iov = w.iov, .msg_iovlen = (size_t)w.iovcnt },
			       MSG_DONTWAIT | MSG_NOSIGNAL);
	while (shim_write_again(&w, &sent));
	must(sent <= (ssize_t)n);
}

static void write_in(int fd, struct shim_flow *now, const char *text, size_t cut)
{
	struct thread_flow saved;
	size_t n = strlen(text);

	shim_flow_begin(&saved, now);
	write_all(fd, text, cut && cut < n ? cut : n);
	shim_flow_end(&saved, now, SHIM_FLOW_ANY);
}

static const char *const requests[] = {
	"GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /b HTTP/1.1\r\nHost: a\r\n\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST /d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
	WITH_PARENT,
	"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /e HTTP/1.1\r\nHost: a\r\n",
	"X: y\r\n\r\n",
};

static const char *a_request(void)
{
	return requests[next_byte() % (sizeof(requests) / sizeof(*requests))];
}

static void peer_asks(void)
{
	struct end *e = end(true);
	const char *text = a_request();

	if (e)
		(void)!send(e->peer, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void remember(void)
{
	const unsigned char *id = thread_state.flow.seen.span_id;

	/* Of several requests it is the last that is told of. */
	if (thread_state.flow.seen.opened > 1)
		parents_n = READ_MAX;
	if (!thread_state.flow.seen.opened || parents_n == READ_MAX)
		return;
	for (unsigned i = 0; i < 8; i++)
		sprintf(parents[parents_n] + i * 2, "%02x", id[i]);
	parents_n++;
}

/* A part of what has come, so that heads are cut. */
static void program_reads(void)
{
	struct end *e = end(next_byte() & 1);
	struct shim_flow *now = context();
	unsigned how = next_byte();
	struct thread_flow saved;
	char bytes[300];

	if (!e)
		return;
	shim_flow_begin(&saved, how & 1 ? now : NULL);
	stream_read(e->fd, bytes, how & 2 ? sizeof(bytes) : 1 + how, 0, SHIM_CALL_RECV);
	remember();
	shim_flow_end(&saved, now, how & 4 ? SHIM_FLOW_OWN : SHIM_FLOW_ANY);
}

static void program_answers(void)
{
	struct end *e = end(true);

	if (e)
		write_in(e->fd, context(), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
			 next_byte() % 64);
}

/* ---- asking ---- */

static bool was_read(const char *id)
{
	if (parents_n == READ_MAX || memcmp(id, "b7ad6b7169203331", 16) == 0)
		return true;
	for (unsigned i = 0; i < parents_n; i++)
		if (memcmp(id, parents[i], 16) == 0)
			return true;
	return false;
}

static void program_asks(void)
{
	struct end *e = end(false);
	char lines[SHIM_CALLER_LINES];

	if (!e)
		return;
	must(shim_caller_lines(lines, sizeof(lines)) <= sizeof(lines));
	write_in(e->fd, context(), requests[0], 0);
	stream_read(e->peer, lines, sizeof(lines), MSG_DONTWAIT, SHIM_CALL_RECV);
}

static void peer_answers(void)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	struct end *e = end(false);

	if (e)
		(void)!send(e->peer, ok, sizeof(ok) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void tell(void)
{
	char text[TRACEPARENT_LEN + 1] = "";

	if (shim_flow_traceparent(context(), text)) {
		must(strlen(text) == TRACEPARENT_LEN);
		must(forged || was_read(text + 36));
	}
}

/* The bytes end where the question does; what it says may be anything. */
static void question(void)
{
	struct question q = { 0 };
	struct end *e = &ends[next_byte() % ENDS];
	unsigned how = next_byte();
	size_t n = sizeof(q) + next_byte() % 32, i = 0;
	char *buf = malloc(n);
	ssize_t answer;

	q.fd = how & 1 ? e->fd : (int)next_byte() - 2;
	q.stream = how & 2 ? next_byte() : 0;
	q.target_n = (uint32_t)(n - sizeof(q));
	if (how & 4)
		q.target_n = next_byte() << (next_byte() % 25);
	memcpy(buf, &q, sizeof(q));
	if (how & 8)
		memcpy(buf + sizeof(q), "/abcde/health", n - sizeof(q) < 13 ? n - sizeof(q) : 13);
	else
		for (i = sizeof(q); i < n; i++)
			buf[i] = (char)next_byte();
	answer = shim_answer(buf, how & 16 ? next_byte() % (n + 1) : n);
	must(answer >= 0 && (size_t)answer <= n);
	free(buf);
}

/* ---- contexts ---- */

static void contexts_change(void)
{
	struct shim_flow *a = context(), *b = context();
	unsigned how = next_byte();

	switch (how % 7) {
	case 0:
		*a = *b;
		break;
	case 1:
		*a = (struct shim_flow){ 0 };
		break;
	case 2:
		shim_flow_child(a, b);
		break;
	case 3:
		shim_flow_awaited(a);
		break;
	case 4:
		forged = true;
		((uint8_t *)a)[next_byte() % sizeof(*a)] = (uint8_t)next_byte();
		break;
	case 5:
		forged = true;
		for (unsigned i = sizeof(a->magic); i < sizeof(*a); i++)
			((uint8_t *)a)[i] = (uint8_t)next_byte();
		break;
	default:
		thread_state.waits_on_inbound = how & 128;
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char *envp[] = { (char *)"TAGALONG_TRACES_FILE=/dev/null",
				(char *)"TAGALONG_INBOUND_HEADER=on",
				(char *)"OTEL_BSP_SCHEDULE_DELAY=60000", NULL };

	(void)argc;
	(void)argv;
	shim_start(envp);
	shim_before_close_range(0, ~0u);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const steps[])(void) = {
		open_end,     peer_asks,       program_reads, program_answers, program_asks,
		peer_answers, contexts_change, tell,          question,
	};

	script = (struct script){ data, size < 4096 ? size : 4096 };
	model_reset();
	memset(contexts, 0, sizeof(contexts));
	parents_n = 0;
	forged = false;
	while (script.n) {
		unsigned step = next_byte();

		if (step >= 250)
			close_end(&ends[step % ENDS]);
		else
			steps[step % (sizeof(steps) / sizeof(steps[0]))]();
	}
	for (unsigned i = 0; i < ENDS; i++)
		close_end(&ends[i]);
	must(conn_in_use() == 0);
	must(exchange_in_use() == 0);
	must(block_in_use() == 0);
	must(exchange_open_count() == 0);
	return 0;
}
