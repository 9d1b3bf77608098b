/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/curl/curl_transport.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/id.h"
#include "base/raw.h"
#include "exporter/complaint.h"
#include "exporter/curl/answer.h"
#include "exporter/curl/grpc.h"
#include "exporter/curl/gzip.h"
#include "exporter/curl/post.h"
#include "exporter/retry.h"

#define NS_PER_S    1000000000ull
#define NS_PER_MS   1000000ull
#define LOOK_NS     (50 * NS_PER_MS) /* how long a stop may go unseen */
#define REQUEST_MAX (64u << 20)      /* OTLP's limit of a request, before compression */
#define KEPT_MAX    (1u << 20)       /* bytes of memory that stay for the next request */
#define AGENT       "user-agent: tagalong/" TAGALONG_VERSION " OTel-OTLP-Exporter-C/" TAGALONG_VERSION

struct curl_transport {
	struct destination to;
	struct post post;
	struct curl_slist *headers; /* of every request */
	struct gzip_buffer body;    /* compressed, framed, or not used */
	const char *items;          /* "spans" */
	struct complaints complaints;
	const _Atomic uint32_t *stop;
	_Atomic uint32_t failing;
	char problem[512];
};

/* ---- headers ---- */

static int add_header(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (!longer)
		return -ENOMEM;
	*list = longer;
	return 0;
}

/* "name: value", or "name;" for one without: to libcurl "name:" would take one away. */
static int add_own(struct curl_slist **list, struct bytes line, bool *has_agent)
{
	char copy[DESTINATION_HEADERS_MAX];
	struct text t = TEXT_ON(copy);
	struct bytes value = line, name = bytes_split(&value, ':');

	value = bytes_trim(value);
	text_format(&t, value.n ? "%.*s: %.*s" : "%.*s;", (int)name.n, name.p, (int)value.n,
		    value.p);
	*has_agent |= bytes_equal(name, BYTES("user-agent"));
	return add_header(list, text_string(&t));
}

static int build_headers(struct curl_transport *t)
{
	struct bytes rest = bytes_of(t->to.headers);
	bool has_agent = false;
	/* libcurl would wait for a 100 before large bodies. */
	int err = add_header(&t->headers, "expect:");

	while (!err && rest.n) {
		struct bytes line = bytes_split(&rest, '\n');

		while (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n)
			err = add_own(&t->headers, line, &has_agent);
	}
	if (!err && !has_agent)
		err = add_header(&t->headers, AGENT);
	if (!err && t->to.protocol == OTLP_GRPC)
		err = add_header(&t->headers, "te: trailers");
	if (!err && t->to.gzip)
		err = add_header(&t->headers, t->to.protocol == OTLP_GRPC
						      ? "grpc-encoding: gzip"
						      : "content-encoding: gzip");
	if (!err && t->to.protocol == OTLP_GRPC)
		err = add_header(&t->headers, "grpc-accept-encoding: identity,gzip");
	return err;
}

/* ---- life ---- */

static void init_libcurl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct curl_transport *curl_transport_new(const struct config *c, enum otlp_signal signal,
					  _Atomic uint32_t *stop,
					  void (*warn)(void *arg, const char *message), void *arg)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct curl_transport *t = calloc(1, sizeof(*t));

	pthread_once(&once, init_libcurl);
	if (!t)
		return NULL;
	t->stop = stop;
	t->items = signal == OTLP_METRICS ? "metrics" : "spans";
	destination_read(&t->to, c, signal, warn, arg);
	if (post_init(&t->post, &t->to, stop) || build_headers(t)) {
		curl_transport_free(t);
		return NULL;
	}
	return t;
}

void curl_transport_free(struct curl_transport *t)
{
	if (!t)
		return;
	post_free(&t->post);
	curl_slist_free_all(t->headers);
	free(t->body.p);
	free(t);
}

void curl_transport_meanwhile(struct curl_transport *t, void (*fn)(void *arg), void *arg)
{
	t->post.meanwhile = fn;
	t->post.meanwhile_arg = arg;
}

enum otlp_encoding curl_transport_encoding(const struct curl_transport *t)
{
	return t->to.protocol == OTLP_HTTP_JSON ? OTLP_JSON : OTLP_PROTOBUF;
}

bool curl_transport_failing(const struct curl_transport *t)
{
	return atomic_load_explicit(&t->failing, memory_order_relaxed);
}

void curl_transport_describe(const struct curl_transport *t, struct text *out)
{
	text_put_string(out, t->to.described);
}

const char *curl_transport_problem(const struct curl_transport *t)
{
	return t->problem;
}

/* ---- one attempt ---- */

static bool is_stopped(const struct curl_transport *t)
{
	return atomic_load_explicit(t->stop, memory_order_acquire) != 0;
}

/* The bytes to post: as they are, or compressed, or framed. 0 or -ENOMEM. */
static int prepare(struct curl_transport *t, const struct payload *p, struct bytes *out)
{
	const bool framed = t->to.protocol == OTLP_GRPC;
	struct gzip_buffer *b = &t->body;
	int err;

	*out = p->body;
	if (!framed && !t->to.gzip)
		return 0;
	b->n = framed ? GRPC_HEAD_LEN : 0;
	err = gzip_reserve(b, b->n + (t->to.gzip ? 0 : p->body.n));
	if (err)
		return err;
	if (t->to.gzip) {
		err = gzip_compress(b, p->body);
		if (err)
			return err;
	} else {
		memcpy(b->p + b->n, p->body.p, p->body.n);
		b->n += p->body.n;
	}
	if (framed)
		grpc_put_head(b->p, t->to.gzip, (uint32_t)(b->n - GRPC_HEAD_LEN));
	*out = (struct bytes){ b->p, b->n };
	return 0;
}

static const char *content_type(const struct curl_transport *t, const struct payload *p)
{
	if (t->to.protocol == OTLP_GRPC)
		return "content-type: application/grpc";
	return p->encoding == OTLP_JSON ? "content-type: application/json"
					: "content-type: application/x-protobuf";
}

/* In front of the headers that never change stand those of this request. */
static enum post_result post(struct curl_transport *t, const struct payload *p, struct bytes body,
			     uint64_t deadline_ns, unsigned *reset)
{
	char type[64], timeout[32];
	struct text line = TEXT_ON(timeout);
	struct curl_slist of_timeout = { timeout, t->headers };
	struct curl_slist of_type = { type, t->headers };
	uint64_t now = clock_monotonic_ns();

	snprintf(type, sizeof(type), "%s", content_type(t, p));
	if (t->to.protocol == OTLP_GRPC && deadline_ns != NO_DEADLINE) {
		text_put_string(&line, "grpc-timeout: ");
		grpc_put_timeout(&line, deadline_ns > now + NS_PER_MS
						? (deadline_ns - now) / NS_PER_MS
						: 1);
		text_string(&line);
		of_type.next = &of_timeout;
	}
	return post_send(&t->post, &of_type, body, deadline_ns, reset);
}

static void __attribute__((format(printf, 2, 3)))
note_problem(struct curl_transport *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(t->problem, sizeof(t->problem), format, args);
	va_end(args);
}

/* Nobody answered. */
static void complain_of_error(struct curl_transport *t)
{
	note_problem(t, "%s", post_error(&t->post));
	complain(&t->complaints, "%s cannot be sent to %s: %s", t->items, t->to.described,
		 t->problem);
}

static bool take_answer(struct curl_transport *t, const struct answer *a, const struct payload *p,
			struct outcome *o, uint64_t *asked_ms)
{
	o->loss = a->loss;
	o->rejected = a->rejected < p->items ? a->rejected : p->items;
	*asked_ms = a->asked_ms;
	if (a->loss) {
		note_problem(t, "%s%s%s", a->status, a->said[0] ? ": " : "", a->said);
		complain(&t->complaints, "%s answers %s", t->to.described, t->problem);
	} else if (o->rejected) {
		complain(&t->complaints, "the receiver rejected %u of the %s: %s", o->rejected,
			 t->items, a->said);
	} else if (a->said[0]) {
		complain(&t->complaints, "the receiver says: %s", a->said);
	}
	return a->final;
}

static bool judge(struct curl_transport *t, enum post_result result, unsigned reset,
		  const struct payload *p, struct outcome *o, uint64_t *asked_ms)
{
	uint64_t now_s = clock_realtime_ns() / NS_PER_S;
	struct answer a;

	switch (result) {
	case POST_ANSWERED:
		if (t->to.protocol == OTLP_GRPC)
			answer_read_grpc(&a, &t->post.reply, now_s);
		else
			answer_read_http(&a, &t->post.reply, now_s);
		return take_answer(t, &a, p, o, asked_ms);
	case POST_RESET:
		if (t->to.protocol == OTLP_GRPC) {
			answer_read_reset(&a, reset);
			return take_answer(t, &a, p, o, asked_ms);
		}
		/* fall through */
	case POST_FAILED:
		complain_of_error(t);
		return false;
	case POST_REFUSED:
		complain_of_error(t);
		o->loss = LOSS_RESPONSE;
		return true;
	case POST_NO_MEMORY:
		o->loss = LOSS_MEMORY;
		return true;
	case POST_STOPPED:
		break;
	}
	o->loss = LOSS_UNDELIVERABLE;
	return true;
}

static bool attempt(struct curl_transport *t, const struct payload *p, uint64_t deadline_ns,
		    struct outcome *o, uint64_t *asked_ms)
{
	enum post_result result;
	unsigned reset = 0;
	struct bytes body;

	*asked_ms = 0;
	t->problem[0] = '\0';
	if (p->body.n > REQUEST_MAX) {
		note_problem(t, "a request is too large");
		complain(&t->complaints, "%s cannot be sent to %s: %s", t->items, t->to.described,
			 t->problem);
		o->loss = LOSS_RESPONSE;
		return true;
	}
	/* gRPC has no JSON: this was kept from a time with other settings. */
	if (is_stopped(t) || (t->to.protocol == OTLP_GRPC && p->encoding == OTLP_JSON)) {
		o->loss = LOSS_UNDELIVERABLE;
		return true;
	}
	if (prepare(t, p, &body)) {
		o->loss = LOSS_MEMORY;
		return true;
	}
	result = post(t, p, body, deadline_ns, &reset);
	if (t->body.size > KEPT_MAX) {
		free(t->body.p);
		t->body = (struct gzip_buffer){ NULL, 0, 0 };
	}
	return judge(t, result, reset, p, o, asked_ms);
}

bool curl_transport_attempt(struct curl_transport *t, const struct payload *p, uint64_t deadline_ns,
			    struct outcome *o, uint64_t *asked_ms)
{
	bool final;

	*o = (struct outcome){ .loss = LOSS_NONE };
	final = attempt(t, p, deadline_ns, o, asked_ms);
	atomic_store_explicit(&t->failing, !final, memory_order_relaxed);
	return final;
}

/* ---- retries ---- */

/* Whoever sets the word need not wake us. */
static void sleep_until(const struct curl_transport *t, uint64_t at_ns)
{
	uint64_t now;

	while (!is_stopped(t) && (now = clock_monotonic_ns()) < at_ns) {
		uint64_t left = at_ns - now < LOOK_NS ? at_ns - now : LOOK_NS;
		const struct timespec wait = { 0, (long)left };

		raw_futex((_Atomic uint32_t *)t->stop, FUTEX_WAIT, 0, &wait);
	}
}

void curl_transport_send(struct curl_transport *t, const struct payload *p, uint64_t deadline_ns,
			 struct outcome *o)
{
	struct retry retry;

	retry_start(&retry, deadline_ns);
	for (;;) {
		uint64_t asked_ms, now, at;

		if (curl_transport_attempt(t, p, deadline_ns, o, &asked_ms))
			return;
		now = clock_monotonic_ns();
		at = retry_next(&retry, now, asked_ms, id_random());
		if (!at) {
			o->loss = LOSS_RETRIES;
			o->hold_off_ns = asked_ms ? now + asked_ms * NS_PER_MS : 0;
			return;
		}
		count(export_retries);
		sleep_until(t, at);
		if (is_stopped(t)) {
			o->loss = LOSS_UNDELIVERABLE;
			return;
		}
	}
}
