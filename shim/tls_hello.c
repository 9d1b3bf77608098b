/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/tls_hello.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include "base/process.h"
#include "base/raw.h"

#define HELLOS       1024 /* handshakes under way */
#define WAYS         8    /* places each may have, used in turn */
#define SETS         (HELLOS / WAYS)
#define RECORD_HEAD  5
#define HANDSHAKE    22 /* RFC 8446 section 5.1: content type */
#define CLIENT_HELLO 1
#define RANDOM_AT    (RECORD_HEAD + 4 + 2)

/* Read while it may be written: it counts only if the sum is right. */
struct hello {
	_Atomic uint64_t random[2]; /* the first half of the random bytes */
	_Atomic uint64_t cookie;    /* of the socket, never given to another one */
	_Atomic uint64_t serial;    /* of its connection */
	_Atomic uint64_t fd, sum;
};

static struct hello hellos[HELLOS];

bool tls_hello_is(struct bytes first)
{
	const uint8_t *p = (const uint8_t *)first.p;

	return first.n >= 3 && p[0] == HANDSHAKE && p[1] == 3 && p[2] <= 4 &&
	       (first.n <= RECORD_HEAD || p[RECORD_HEAD] == CLIENT_HELLO);
}

static bool socket_cookie(int fd, uint64_t *cookie)
{
	socklen_t n = sizeof(*cookie);

	return process_may_call() && raw_getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &n) >= 0;
}

static struct hello *nth(uint64_t random, unsigned i)
{
	return &hellos[random % SETS * WAYS + i % WAYS];
}

static bool is_of(const struct hello *h, const uint64_t random[2])
{
	return atomic_load_explicit(&h->random[0], memory_order_relaxed) == random[0] &&
	       atomic_load_explicit(&h->random[1], memory_order_relaxed) == random[1];
}

/* Where it is, or else the place that was given away longest ago. */
static struct hello *place(const uint64_t random[2])
{
	static _Atomic uint8_t turns[SETS];
	_Atomic uint8_t *turn = &turns[random[1] % SETS];

	for (unsigned i = 0; i < WAYS; i++)
		if (is_of(nth(random[1], i), random))
			return nth(random[1], i);
	return nth(random[1], atomic_fetch_add_explicit(turn, 1, memory_order_relaxed));
}

void tls_hello_note(int fd, uint64_t serial, struct bytes first)
{
	uint64_t random[2], cookie;
	struct hello *h;

	if (first.n < RANDOM_AT + TLS_RANDOM || !socket_cookie(fd, &cookie))
		return;
	memcpy(random, first.p + RANDOM_AT, sizeof(random));
	h = place(random);
	atomic_store_explicit(&h->random[0], random[0], memory_order_relaxed);
	atomic_store_explicit(&h->random[1], random[1], memory_order_relaxed);
	atomic_store_explicit(&h->cookie, cookie, memory_order_relaxed);
	atomic_store_explicit(&h->serial, serial, memory_order_relaxed);
	atomic_store_explicit(&h->fd, (uint64_t)fd, memory_order_relaxed);
	atomic_store_explicit(&h->sum, random[0] + random[1] + cookie + serial + (uint64_t)fd,
			      memory_order_relaxed);
}

int tls_hello_find(const unsigned char random[static TLS_RANDOM], uint64_t *serial)
{
	uint64_t wanted[2], there[2], cookie, fd, its, now = 0;
	struct hello *h = NULL;

	memcpy(wanted, random, sizeof(wanted));
	if (!wanted[0] && !wanted[1])
		return -1;
	for (unsigned i = 0; i < WAYS && !h; i++)
		if (is_of(nth(wanted[1], i), wanted))
			h = nth(wanted[1], i);
	if (!h)
		return -1;
	there[0] = atomic_load_explicit(&h->random[0], memory_order_relaxed);
	there[1] = atomic_load_explicit(&h->random[1], memory_order_relaxed);
	cookie = atomic_load_explicit(&h->cookie, memory_order_relaxed);
	its = atomic_load_explicit(&h->serial, memory_order_relaxed);
	fd = atomic_load_explicit(&h->fd, memory_order_relaxed);
	if (there[0] != wanted[0] || there[1] != wanted[1] ||
	    atomic_load_explicit(&h->sum, memory_order_relaxed) !=
		    there[0] + there[1] + cookie + its + fd ||
	    !socket_cookie((int)fd, &now) || now != cookie)
		return -1;
	*serial = its;
	return (int)fd;
}
