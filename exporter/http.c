/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/http.h"

#include <sys/mman.h>
#include "base/clock.h"
#include "base/raw.h"
#include "exporter/retry.h"

#define NS_PER_S 1000000000ull
/* While other addresses are left, one that does not answer may not take all the time. */
#define CONNECT_SHARE_MAX_NS (3 * NS_PER_S)
/* With no deadline a single address gets this long. */
#define CONNECT_MAX_NS (30 * NS_PER_S)

/* What is being sent: head, length and blank line, body. */
struct request {
	struct iovec iov[3];
	size_t next; /* the first part that is not all sent */
	char length[32];
};

void http_init(struct http_client *c, const struct endpoint *e, struct resolver *r,
	       enum own_fd_slot slot, const _Atomic uint32_t *stop)
{
	memset(c, 0, offsetof(struct http_client, received));
	c->endpoint = e;
	c->resolver = r;
	c->socket = (struct net_socket){ .slot = slot, .stop = stop };
}

static void request_init(struct request *q, const struct endpoint *e, struct bytes body)
{
	struct text t = TEXT_ON(q->length);

	text_format(&t, "%zu\r\n\r\n", body.n);
	q->iov[0] = (struct iovec){ (void *)e->head, e->head_n };
	q->iov[1] = (struct iovec){ t.p, t.n };
	q->iov[2] = (struct iovec){ (void *)body.p, body.n };
	q->next = 0;
}

static void request_advance(struct request *q, size_t n)
{
	while (q->next < 3 && n >= q->iov[q->next].iov_len)
		n -= q->iov[q->next++].iov_len;
	if (q->next < 3) {
		q->iov[q->next].iov_base = (char *)q->iov[q->next].iov_base + n;
		q->iov[q->next].iov_len -= n;
	}
}

void http_close(struct http_client *c)
{
	net_close(&c->socket);
	c->connected = false;
	http_idle(c);
}

void http_idle(struct http_client *c)
{
	if (c->body_room)
		raw_munmap(c->body_room, HTTP_REPLY_BODY_MAX);
	c->body_room = NULL;
}

static int map_body_room(struct http_client *c)
{
	void *p;

	if (c->body_room)
		return 0;
	p = raw_mmap(NULL, HTTP_REPLY_BODY_MAX, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (raw_is_error(p))
		return -ENOMEM;
	c->body_room = p;
	return 0;
}

static uint64_t connect_deadline(uint64_t deadline_ns, unsigned addresses_left)
{
	uint64_t now = clock_monotonic_ns();
	uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
	uint64_t share = left / addresses_left;
	uint64_t most = addresses_left > 1 ? CONNECT_SHARE_MAX_NS : CONNECT_MAX_NS;

	return now + (share < most ? share : most);
}

/* Tries every address in turn; the one that works moves to the front for the next time. */
static int connect_any(struct http_client *c, uint64_t deadline_ns)
{
	struct resolver *r = c->resolver;
	int err = resolver_refresh(r, deadline_ns);

	if (err)
		return err;
	for (unsigned i = 0; i < r->address_count; i++) {
		struct net_address a = r->addresses[i];

		err = net_connect(&c->socket, SOCK_STREAM, &a, c->endpoint->port,
				  connect_deadline(deadline_ns, r->address_count - i));
		if (!err) {
			r->addresses[i] = r->addresses[0];
			r->addresses[0] = a;
			c->connected = true;
			return 0;
		}
		if (err == -ECANCELED || clock_monotonic_ns() >= deadline_ns)
			break;
	}
	resolver_doubt(r);
	return err;
}

/* Reads what is there. 1: the reply is complete; 0: not yet; else negative. */
static int receive_some(struct http_client *c, struct http_reply *reply)
{
	ssize_t n = net_receive(&c->socket, c->received, sizeof(c->received));

	if (n == -EAGAIN)
		return 0;
	if (n < 0)
		return reply->status ? http_reply_end(reply) : (int)n;
	if (n == 0)
		return http_reply_end(reply);
	return http_reply_feed(reply, (struct bytes){ c->received, (size_t)n });
}

/* Sends and receives at once: a server may answer (413, say) before it has read all of the body. */
static int exchange(struct http_client *c, struct request *q, uint64_t deadline_ns,
		    struct http_reply *reply)
{
	int result = 0;

	while (!result) {
		short want = q->next < 3 ? POLLIN | POLLOUT : POLLIN;
		ssize_t n = 0;

		if (q->next < 3)
			n = net_send(&c->socket, q->iov + q->next, 3 - q->next);
		if (n > 0)
			request_advance(q, (size_t)n);
		/* The answer may be here although no more can be sent. */
		if (n < 0 && n != -EAGAIN) {
			result = receive_some(c, reply);
			return result == 0 ? (int)n : result;
		}
		if (n > 0 && q->next < 3)
			continue;
		result = net_wait(&c->socket, want, deadline_ns);
		if (result < 0)
			return result;
		result = result & (POLLIN | POLLERR | POLLHUP) ? receive_some(c, reply) : 0;
	}
	/* Answered before all was sent: the rest of the body would be taken for a request. */
	if (q->next < 3)
		reply->keep_alive = false;
	return result;
}

static int post_once(struct http_client *c, struct bytes body, uint64_t deadline_ns,
		     struct http_reply *reply)
{
	struct request q;
	int result = 0;

	if (!c->connected)
		result = connect_any(c, deadline_ns);
	if (result)
		return result;
	request_init(&q, c->endpoint, body);
	http_reply_init(reply, c->body_room);
	result = exchange(c, &q, deadline_ns, reply);
	if (result < 0 || !reply->keep_alive) {
		net_close(&c->socket);
		c->connected = false;
	}
	return result < 0 ? result : 0;
}

int http_post(struct http_client *c, struct bytes body, uint64_t deadline_ns,
	      struct http_reply *reply)
{
	bool kept;
	int err;

	http_reply_init(reply, NULL);
	if (body.n > HTTP_REQUEST_MAX)
		return -EFBIG;
	err = map_body_room(c);
	if (err)
		return err;
	if (c->connected && !net_is_idle(&c->socket)) {
		net_close(&c->socket);
		c->connected = false;
	}
	kept = c->connected;
	err = post_once(c, body, deadline_ns, reply);
	/* The server closed the idle connection just as it was used again: not its fault, nor a
	 * reason to wait. */
	if (kept && !reply->any &&
	    (err == -ECONNRESET || err == -EPIPE || err == -EBADF || err == -ENOTCONN))
		err = post_once(c, body, deadline_ns, reply);
	return err;
}
