/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/transport.h"

#include <linux/futex.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/id.h"
#include "base/log.h"
#include "base/raw.h"
#include "exporter/otlp.h"
#include "exporter/retry.h"

#define NS_PER_S  1000000000ull
#define NS_PER_MS 1000000ull
#define SHOWN_MAX 200 /* bytes of the receiver's words that we repeat */

static void warn(void *arg, const char *message)
{
	(void)arg;
	count(warnings);
	log_warn("%s", message);
}

static void keep_quiet(void *arg, const char *message)
{
	(void)arg, (void)message;
}

static void init(struct transport *t, enum own_fd_slot slot, _Atomic uint32_t *stop)
{
	t->stop = stop;
	if (t->endpoint.trouble)
		return;
	resolver_init(&t->resolver, t->endpoint.host, "/etc/hosts", "/etc/resolv.conf", stop);
	if (t->resolver.fixed) {
		memcpy(t->known, t->resolver.addresses, sizeof(t->known));
		t->known_count = t->resolver.address_count;
	}
	http_init(&t->http, &t->endpoint, &t->resolver, slot, stop);
}

void transport_init(struct transport *t, const struct config *c, _Atomic uint32_t *stop, bool quiet)
{
	t->what = "spans";
	if (*c->spill_dir && !quiet)
		warn(NULL, "TAGALONG_SPILL_DIR: a program keeps its batches in memory only. Start "
			   "it with `tagalong run` to have them kept there");
	endpoint_read(&t->endpoint, c, quiet ? keep_quiet : warn, NULL);
	init(t, OWN_FD_EXPORT, stop);
}

void transport_init_metrics(struct transport *t, const struct config *c, _Atomic uint32_t *stop,
			    bool quiet)
{
	t->what = "metrics";
	endpoint_read_metrics(&t->endpoint, c, quiet ? keep_quiet : warn, NULL);
	init(t, OWN_FD_METRICS, stop);
}

static void address_words(const struct net_address *a, uint64_t words[static 2])
{
	uint8_t ip[16] = { [10] = 0xff, 0xff };

	if (a->is_ipv6)
		memcpy(ip, a->ip, 16);
	else
		memcpy(ip + 12, a->ip, 4);
	memcpy(words, ip, 16);
}

/* The address that worked stands first. */
static void remember_peer(struct transport *t)
{
	uint64_t words[2];

	address_words(&t->resolver.addresses[0], words);
	atomic_store_explicit(&t->peer[0], words[0], memory_order_relaxed);
	atomic_store_explicit(&t->peer[1], words[1], memory_order_relaxed);
}

static bool is_peer(const struct transport *t, const struct net_address *a)
{
	uint64_t words[2];

	address_words(a, words);
	return (words[0] || words[1]) && /* zero: nobody yet */
	       words[0] == atomic_load_explicit(&t->peer[0], memory_order_relaxed) &&
	       words[1] == atomic_load_explicit(&t->peer[1], memory_order_relaxed);
}

bool transport_owns(const struct transport *t, struct bytes host, uint16_t port)
{
	struct net_address a;

	if (port != t->endpoint.port)
		return false;
	if (host.n > 1 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = (struct bytes){ host.p + 1, host.n - 2 };
	if (bytes_equal_nocase(host, bytes_of(t->endpoint.host)))
		return true;
	/* A zone would mean a look into /sys. */
	if ((host.n && memchr(host.p, '%', host.n)) || net_parse_address(&a, host))
		return false;
	for (unsigned i = 0; i < t->known_count; i++)
		if (net_same_address(&a, &t->known[i]))
			return true;
	return is_peer(t, &a);
}

static bool stopped(const struct transport *t)
{
	return atomic_load_explicit(t->stop, memory_order_acquire) != 0;
}

static void sleep_until(const struct transport *t, uint64_t at_ns)
{
	uint64_t now;

	while (!stopped(t) && (now = clock_monotonic_ns()) < at_ns) {
		const struct timespec left = { (time_t)((at_ns - now) / NS_PER_S),
					       (long)((at_ns - now) % NS_PER_S) };

		raw_futex(t->stop, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, &left);
	}
}

static const char *error_text(int err)
{
	switch (-err) {
	case ENOENT:
		return "its name is not known";
	case EAGAIN:
		return "no name server answers";
	case ECONNREFUSED:
		return "connection refused";
	case ECONNRESET:
	case EPIPE:
		return "it closed the connection without an answer";
	case ETIMEDOUT:
		return "no answer in time";
	case ENETUNREACH:
	case EHOSTUNREACH:
		return "no route to it";
	case EPROTO:
		return "its answer is not HTTP";
	case EFBIG:
		return "request or answer is too large";
	default:
		return NULL;
	}
}

/* The receiver's own words, fit for a log line. */
static struct bytes shown(char copy[static SHOWN_MAX], struct bytes words)
{
	size_t n = words.n < SHOWN_MAX ? words.n : SHOWN_MAX;

	for (size_t i = 0; i < n; i++)
		copy[i] = words.p[i] >= ' ' && words.p[i] <= '~' ? words.p[i] : '?';
	return (struct bytes){ copy, n };
}

static void complain_of_error(struct transport *t, int err)
{
	char where[256];
	struct text w = TEXT_ON(where);
	const char *why = error_text(err);

	endpoint_describe(&t->endpoint, &w);
	if (why)
		complain(&t->complaints, "%s cannot be sent to %s: %s", t->what, text_string(&w),
			 why);
	else
		complain(&t->complaints, "%s cannot be sent to %s: error %d", t->what,
			 text_string(&w), -err);
}

static void complain_of_status(struct transport *t)
{
	char where[256], copy[SHOWN_MAX];
	struct text w = TEXT_ON(where);
	struct bytes words = { NULL, 0 };

	if (!t->reply.encoded)
		words = shown(copy, otlp_status_message(t->reply.body));
	endpoint_describe(&t->endpoint, &w);
	complain(&t->complaints, "%s answers %d%s%.*s", text_string(&w), t->reply.status,
		 words.n ? ": " : "", (int)words.n, words.p ? words.p : "");
}

/* 2xx. An answer that cannot be read is no reason to send the spans again. */
static void read_success(struct transport *t, struct outcome *o)
{
	struct bytes message = { NULL, 0 };
	char copy[SHOWN_MAX];
	int64_t rejected = 0;

	if (t->reply.encoded || otlp_parse_response(t->reply.body, &rejected, &message))
		return;
	o->rejected = rejected > UINT32_MAX ? UINT32_MAX : (uint32_t)rejected;
	message = shown(copy, message);
	if (rejected > 0)
		complain(&t->complaints, "the receiver rejected %u %s: %.*s", o->rejected, t->what,
			 (int)message.n, message.p);
	else if (message.n)
		complain(&t->complaints, "the receiver says: %.*s", (int)message.n, message.p);
}

static uint64_t asked_wait_ms(const struct http_reply *r)
{
	uint64_t ms = 0;

	if (r->retry_after[0])
		retry_after_parse(bytes_of(r->retry_after), clock_realtime_ns() / NS_PER_S, &ms);
	return ms;
}

/* One attempt. True: *o is final; false: try again, *asked_ms says when if the receiver did. */
static bool attempt(struct transport *t, struct bytes request, uint64_t deadline_ns,
		    struct outcome *o, uint64_t *asked_ms)
{
	int err = http_post(&t->http, request, deadline_ns, &t->reply);

	*asked_ms = 0;
	if (err == -ECANCELED) {
		o->loss = LOSS_UNDELIVERABLE;
		return true;
	}
	if (err == -ENOMEM || err == -EFBIG || err == -EPROTO) {
		complain_of_error(t, err);
		o->loss = err == -ENOMEM ? LOSS_MEMORY : LOSS_RESPONSE;
		return true;
	}
	if (err) {
		complain_of_error(t, err);
		return false;
	}
	remember_peer(t);
	if (t->reply.status / 100 == 2) {
		read_success(t, o);
		return true;
	}
	complain_of_status(t);
	*asked_ms = asked_wait_ms(&t->reply);
	o->loss = LOSS_RESPONSE;
	return !retry_status(t->reply.status);
}

void transport_send(struct transport *t, struct bytes request, uint64_t deadline_ns,
		    struct outcome *o)
{
	struct retry retry;

	*o = (struct outcome){ .loss = LOSS_NONE };
	if (t->endpoint.trouble) {
		o->loss = LOSS_UNDELIVERABLE;
		return;
	}
	retry_start(&retry, deadline_ns);
	for (;;) {
		uint64_t asked_ms, now, at;

		if (attempt(t, request, deadline_ns, o, &asked_ms)) {
			atomic_store_explicit(&t->failing, 0, memory_order_relaxed);
			return;
		}
		atomic_store_explicit(&t->failing, 1, memory_order_relaxed);
		now = clock_monotonic_ns();
		at = retry_next(&retry, now, asked_ms, id_random());
		if (!at) {
			o->loss = LOSS_RETRIES;
			o->hold_off_ns = asked_ms ? now + asked_ms * NS_PER_MS : 0;
			return;
		}
		count(export_retries);
		sleep_until(t, at);
		o->loss = LOSS_UNDELIVERABLE;
		if (stopped(t))
			return;
		o->loss = LOSS_NONE;
	}
}

void transport_try(struct transport *t, struct bytes request, uint64_t deadline_ns,
		   struct outcome *o)
{
	uint64_t asked_ms;
	bool final;

	*o = (struct outcome){ .loss = LOSS_NONE };
	if (t->endpoint.trouble) {
		o->loss = LOSS_UNDELIVERABLE;
		return;
	}
	final = attempt(t, request, deadline_ns, o, &asked_ms);
	atomic_store_explicit(&t->failing, !final, memory_order_relaxed);
	if (final)
		return;
	o->loss = LOSS_RETRIES;
	o->hold_off_ns = asked_ms ? clock_monotonic_ns() + asked_ms * NS_PER_MS : 0;
}

void transport_idle(struct transport *t)
{
	http_idle(&t->http);
}

void transport_child(struct transport *t)
{
	http_child(&t->http);
	atomic_store_explicit(&t->failing, 0, memory_order_relaxed);
	memset(&t->complaints, 0, sizeof(t->complaints));
}
