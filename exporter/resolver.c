/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/resolver.h"

#include <sys/mman.h>
#include "base/clock.h"
#include "base/id.h"
#include "base/raw.h"
#include "exporter/dns.h"

#define NS_PER_S         1000000000ull
#define TCP_SIZE         16384
#define NO_LIMIT         UINT64_MAX
#define RESOLVER_AGAIN_S 2
#define STRANGERS_MAX    64 /* packets that are no answer, before a server is given up */

/* One question to one server: both kinds of addresses. */
struct lookup {
	struct resolver *resolver;
	struct dns_query query[2];
	bool answered[2];
	bool truncated[2];
	bool no_name, refused;
	struct net_address found[2][DNS_ADDRESSES_MAX]; /* IPv4, IPv6 */
	unsigned count[2];
};

/* Ids that cannot be guessed: whoever answers without having seen the question must not be heard.
 */
static uint32_t random_ids(void)
{
	uint32_t ids;

	if (raw_getrandom(&ids, sizeof(ids), 1 /* GRND_NONBLOCK */) != sizeof(ids))
		ids = (uint32_t)id_random();
	return ids;
}

static int make_queries(struct lookup *l, struct bytes name)
{
	uint32_t ids = random_ids();
	int err = dns_make_query(&l->query[0], (uint16_t)ids, name, DNS_A);

	if (!err)
		err = dns_make_query(&l->query[1], (uint16_t)(ids >> 16), name, DNS_AAAA);
	return err;
}

/* Takes one packet in. False: it was no answer to either question. */
static bool take_packet(struct lookup *l, struct bytes packet)
{
	for (unsigned i = 0; i < 2; i++) {
		int result;

		if (l->answered[i])
			continue;
		result = dns_read_answer(packet, &l->query[i], l->found[i], &l->count[i]);
		if (result == DNS_IGNORE)
			continue;
		l->answered[i] = true;
		l->truncated[i] = result == DNS_TRUNCATED;
		l->no_name |= result == DNS_NO_NAME;
		l->refused |= result == DNS_REFUSED;
		return true;
	}
	return false;
}

static int ask_udp(struct lookup *l, const struct net_address *server, uint64_t deadline_ns)
{
	struct net_socket *s = &l->resolver->socket;
	unsigned strangers = 0;
	int err = net_connect(s, SOCK_DGRAM, server, l->resolver->port, deadline_ns);

	for (unsigned i = 0; !err && i < 2; i++) {
		const struct iovec iov = { l->query[i].p, l->query[i].n };
		ssize_t n = net_send(s, &iov, 1);

		err = n < 0 ? (int)n : 0;
	}
	while (!err && (!l->answered[0] || !l->answered[1])) {
		int events = net_wait(s, POLLIN, deadline_ns);
		ssize_t n;

		if (events < 0) {
			err = events;
			break;
		}
		n = net_receive(s, l->resolver->packet, sizeof(l->resolver->packet));
		if (n < 0 && n != -EAGAIN)
			err = (int)n;
		else if (n >= 0 &&
			 !take_packet(l, (struct bytes){ l->resolver->packet, (size_t)n }) &&
			 ++strangers > STRANGERS_MAX)
			err = -EPROTO;
	}
	net_close(s);
	return err;
}

/* Moves exactly n bytes in or out. */
static int transfer(struct net_socket *s, bool out, char *p, size_t n, uint64_t deadline_ns)
{
	while (n) {
		const struct iovec iov = { p, n };
		ssize_t moved = out ? net_send(s, &iov, 1) : net_receive(s, p, n);

		if (moved == -EAGAIN) {
			int events = net_wait(s, out ? POLLOUT : POLLIN, deadline_ns);

			if (events < 0)
				return events;
			continue;
		}
		if (moved <= 0)
			return moved ? (int)moved : -ECONNRESET;
		p += moved;
		n -= (size_t)moved;
	}
	return 0;
}

/* RFC 1035 section 4.2.2: two bytes of length before each message. room: TCP_SIZE bytes. */
static int ask_tcp_once(struct lookup *l, unsigned i, char *room, uint64_t deadline_ns)
{
	struct net_socket *s = &l->resolver->socket;
	const struct dns_query *q = &l->query[i];
	size_t n = q->n;
	int err;

	room[0] = (char)(n >> 8);
	room[1] = (char)n;
	memcpy(room + 2, q->p, n);
	err = transfer(s, true, room, n + 2, deadline_ns);
	if (!err)
		err = transfer(s, false, room, 2, deadline_ns);
	if (err)
		return err;
	n = (size_t)(uint8_t)room[0] << 8 | (uint8_t)room[1];
	if (n > TCP_SIZE)
		return -EFBIG;
	err = transfer(s, false, room, n, deadline_ns);
	if (!err && !take_packet(l, (struct bytes){ room, n }))
		err = -EPROTO;
	return err;
}

static int ask_tcp(struct lookup *l, const struct net_address *server, uint64_t deadline_ns)
{
	void *room = raw_mmap(NULL, TCP_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			      -1, 0);
	int err;

	if (raw_is_error(room))
		return -ENOMEM;
	err = net_connect(&l->resolver->socket, SOCK_STREAM, server, l->resolver->port,
			  deadline_ns);
	for (unsigned i = 0; !err && i < 2; i++)
		if (!l->answered[i])
			err = ask_tcp_once(l, i, room, deadline_ns);
	net_close(&l->resolver->socket);
	raw_munmap(room, TCP_SIZE);
	return err;
}

/* 0: addresses; -ENOENT: the server knows that there are none; else ask another server. */
static int ask_server(struct lookup *l, const struct net_address *server, uint64_t deadline_ns)
{
	struct resolver *r = l->resolver;
	int err = r->use_tcp ? 0 : ask_udp(l, server, deadline_ns);

	if (err == -ECANCELED || err == -ENOMEM)
		return err;
	for (unsigned i = 0; i < 2; i++)
		if (l->truncated[i])
			l->answered[i] = l->truncated[i] = false;
	if (!err && (!l->answered[0] || !l->answered[1]))
		err = ask_tcp(l, server, deadline_ns);
	/* One kind of address is enough when the server keeps silent about the other. */
	if (l->count[0] || l->count[1])
		return 0;
	if (err)
		return err;
	return l->refused ? -EAGAIN : -ENOENT;
}

static void keep_found(struct resolver *r, const struct lookup *l)
{
	r->address_count = 0;
	for (unsigned kind = 0; kind < 2; kind++) {
		/* One place stays free for an IPv6 address. */
		unsigned most = RESOLVER_ADDRESSES - (kind == 0 && l->count[1] ? 1 : 0);

		for (unsigned i = 0; i < l->count[kind] && r->address_count < most; i++)
			r->addresses[r->address_count++] = l->found[kind][i];
	}
}

static uint64_t server_deadline(const struct resolver *r, uint64_t deadline_ns)
{
	uint64_t now = clock_monotonic_ns(), left = deadline_ns > now ? deadline_ns - now : 0;
	uint64_t share = left / (r->server_count + 1), wait = r->timeout_s * NS_PER_S;

	/* The first server must not use up what the others need. */
	if (r->server_count > 1 && wait > share)
		wait = share > NS_PER_S ? share : NS_PER_S;
	return now + (wait < left ? wait : left);
}

/* One full name, all servers, all attempts. */
static int ask_name(struct resolver *r, struct bytes name, uint64_t deadline_ns)
{
	int err = -EAGAIN;

	for (unsigned try = 0; try < r->attempts * r->server_count; try++) {
		struct net_address server = r->servers[try % r->server_count];
		struct lookup l = { .resolver = r };

		if (make_queries(&l, name))
			return -ENOENT;
		err = ask_server(&l, &server, server_deadline(r, deadline_ns));
		if (err == 0)
			keep_found(r, &l);
		if (err == 0 || err == -ENOENT) {
			/* The one that answers is asked first the next time. */
			r->servers[try % r->server_count] = r->servers[0];
			r->servers[0] = server;
			return err;
		}
		if (err == -ECANCELED || clock_monotonic_ns() >= deadline_ns)
			return err;
	}
	return err == -ETIMEDOUT ? err : -EAGAIN;
}

static int ask_in_domain(struct resolver *r, const char *domain, uint64_t deadline_ns)
{
	char full[RESOLVER_NAME_MAX + 1];
	struct text t = TEXT_ON(full);

	text_format(&t, "%s.%s", r->host, domain);
	return t.cut ? -ENOENT : ask_name(r, text_bytes(&t), deadline_ns);
}

static int search(struct resolver *r, uint64_t deadline_ns)
{
	struct bytes host = bytes_of(r->host);
	bool absolute = host.n && host.p[host.n - 1] == '.';
	unsigned dots = 0;
	int err = -ENOENT, worst = -ENOENT;

	for (size_t i = 0; i < host.n; i++)
		dots += host.p[i] == '.';
	if (absolute || dots >= r->ndots)
		err = ask_name(r, host, deadline_ns);
	for (unsigned i = 0; err && err != -ECANCELED && !absolute && i < r->search_count; i++) {
		worst = err == -ENOENT ? worst : err;
		err = ask_in_domain(r, r->search[i], deadline_ns);
	}
	if (err && err != -ECANCELED && !absolute && dots < r->ndots) {
		worst = err == -ENOENT ? worst : err;
		err = ask_name(r, host, deadline_ns);
	}
	/* "No such name" is only sure when every server answered. */
	return err == -ENOENT ? worst : err;
}

int resolver_refresh(struct resolver *r, uint64_t deadline_ns)
{
	uint64_t now = clock_monotonic_ns(), limit;
	int err;

	if (r->fixed || (r->resolved_ns && now - r->resolved_ns < RESOLVER_FRESH_S * NS_PER_S))
		return 0;
	/* With addresses at hand that may be good still, DNS may not use up all the time. */
	limit = r->address_count ? now + RESOLVER_AGAIN_S * NS_PER_S : NO_LIMIT;
	err = search(r, limit < deadline_ns ? limit : deadline_ns);
	if (err == 0)
		r->resolved_ns = clock_monotonic_ns();
	else if (r->address_count && err != -ECANCELED && clock_monotonic_ns() < deadline_ns)
		err = 0; /* what worked before may work again */
	return err;
}
