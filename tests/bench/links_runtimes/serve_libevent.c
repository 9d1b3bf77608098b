/* SPDX-License-Identifier: Apache-2.0 */
/* libevent's server and client in one loop: two or three requests /out/ID/N for each /SHAPE/r/ID,
 *as links_services/ask_async.py. It knows nothing of tracing. serve_libevent PORT (UPSTREAM and
 *BACKGROUND in the environment) */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#define POOL 4

static struct event_base *base;
static const char *upstream;
static struct evhttp_connection *pool[POOL];
static unsigned turn;

struct job {
	struct evhttp_request *in;
	char shape[16];
	long id;
	int asked, done, total;
};

struct asked {
	struct job *job; /* NULL: nobody's */
	struct evhttp_connection *own;
};

static bool is(const struct job *j, const char *shape)
{
	return strcmp(j->shape, shape) == 0;
}

static struct evhttp_connection *connection(const char *host)
{
	return evhttp_connection_base_new(base, NULL, host, (ev_uint16_t)atoi(upstream));
}

static void free_connection(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	evhttp_connection_free(arg);
}

/* Not from inside its own callback. */
static void free_later(struct evhttp_connection *c)
{
	const struct timeval now = { 0, 0 };

	event_base_once(base, -1, EV_TIMEOUT, free_connection, c, &now);
}

static void answered(struct evhttp_request *r, void *arg);

/* own: a connection for this alone. */
static void get(const char *path, struct evhttp_connection *c, bool own, struct job *j)
{
	struct evhttp_request *r;
	struct asked *a = malloc(sizeof(*a));

	if (!a)
		abort();
	*a = (struct asked){ j, own ? c : NULL };
	r = evhttp_request_new(answered, a);
	evhttp_add_header(evhttp_request_get_output_headers(r), "Host", "up");
	evhttp_make_request(c, r, EVHTTP_REQ_GET, path);
}

static void next(struct job *j);

static void next_by_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	next(arg);
}

static void soon(struct job *j)
{
	const struct timeval t = { 0, rand() % 10000 };

	event_base_once(base, -1, EV_TIMEOUT, next_by_timer, j, &t);
}

static void send_answer(struct job *j)
{
	struct evbuffer *body = evbuffer_new();

	evbuffer_add_printf(body, "ok\n");
	evhttp_send_reply(j->in, 200, "OK", body);
	evbuffer_free(body);
}

static void answered(struct evhttp_request *r, void *arg)
{
	struct asked *a = arg;
	struct job *j = a->job;

	if (!r || evhttp_request_get_response_code(r) != 200)
		abort();
	if (a->own)
		free_later(a->own);
	free(a);
	if (!j)
		return;
	if (++j->done == j->total) {
		if (!is(j, "after"))
			send_answer(j);
		free(j);
	} else if (is(j, "between")) {
		soon(j);
	} else if (!is(j, "gather")) {
		next(j);
	}
}

static void next(struct job *j)
{
	char path[64];

	snprintf(path, sizeof(path), "/out/%ld/%d", j->id, j->asked++);
	if (is(j, "pool"))
		get(path, pool[turn++ % POOL], false, j);
	else
		get(path, connection(is(j, "names") ? "localhost" : "127.0.0.1"), true, j);
}

static void on_request(struct evhttp_request *in, void *arg)
{
	struct job *j = calloc(1, sizeof(*j));

	(void)arg;
	if (!j || sscanf(evhttp_request_get_uri(in), "/%15[a-z]/r/%ld", j->shape, &j->id) != 2)
		abort();
	j->in = in;
	j->total = is(j, "between") || is(j, "gather") ? 3 : 2;
	if (is(j, "after"))
		send_answer(j);
	if (is(j, "before"))
		soon(j);
	else
		next(j);
	for (int i = 1; is(j, "gather") && i < j->total; i++)
		next(j);
}

static void background(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	get("/background", connection("127.0.0.1"), true, NULL);
}

static void on_term(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

int main(int argc, char **argv)
{
	const struct timeval often = { 0, 5000 };
	struct evhttp *http;

	upstream = getenv("UPSTREAM");
	if (argc < 2 || !upstream)
		return 2;
	base = event_base_new();
	http = evhttp_new(base);
	evhttp_set_gencb(http, on_request, NULL);
	if (evhttp_bind_socket(http, "127.0.0.1", (ev_uint16_t)atoi(argv[1])))
		return 1;
	for (int i = 0; i < POOL; i++)
		pool[i] = connection("127.0.0.1");
	if (getenv("BACKGROUND"))
		event_add(event_new(base, -1, EV_PERSIST, background, NULL), &often);
	event_add(evsignal_new(base, SIGTERM, on_term, base), NULL);
	event_base_dispatch(base);
	return 0;
}
