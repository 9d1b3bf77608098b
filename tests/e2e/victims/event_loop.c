/* SPDX-License-Identifier: Apache-2.0 */
/* libevent's HTTP server and client in one loop, with timers: half of the requests call out at
 * once, half a little later from a timer. event_loop PORT UPSTREAM. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

static struct event_base *base;
static int upstream;

struct job {
	struct evhttp_request *in;
	struct evhttp_connection *out;
	int id;
};

static void free_connection(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	evhttp_connection_free(arg);
}

static void answered(struct evhttp_request *r, void *arg)
{
	struct job *j = arg;
	struct timeval now = { 0, 0 };
	bool ok = r && evhttp_request_get_response_code(r) == 200;

	evhttp_send_reply(j->in, ok ? 200 : 502, "Words", NULL);
	/* Not from inside its own callback. */
	event_base_once(base, -1, EV_TIMEOUT, free_connection, j->out, &now);
	free(j);
}

static void call_out(struct job *j)
{
	struct evhttp_request *r = evhttp_request_new(answered, j);
	char path[64];

	j->out = evhttp_connection_base_new(base, NULL, "127.0.0.1", upstream);
	snprintf(path, sizeof(path), "/out/%d", j->id);
	evhttp_add_header(evhttp_request_get_output_headers(r), "Host", "up");
	evhttp_make_request(j->out, r, EVHTTP_REQ_GET, path);
}

static void later(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	call_out(arg);
}

static void on_request(struct evhttp_request *in, void *arg)
{
	const char *p = strstr(evhttp_request_get_uri(in), "/r/");
	struct job *j = calloc(1, sizeof(*j));
	struct timeval soon = { 0, 2000 };

	(void)arg;
	j->in = in;
	j->id = p ? atoi(p + 3) : -1;
	if (j->id % 2)
		call_out(j);
	else
		event_base_once(base, -1, EV_TIMEOUT, later, j, &soon);
}

int main(int argc, char **argv)
{
	struct evhttp *http;

	if (argc < 3)
		return 2;
	upstream = atoi(argv[2]);
	base = event_base_new();
	http = evhttp_new(base);
	evhttp_set_gencb(http, on_request, NULL);
	if (evhttp_bind_socket(http, "127.0.0.1", (ev_uint16_t)atoi(argv[1])))
		return 1;
	event_base_dispatch(base);
	return 0;
}
