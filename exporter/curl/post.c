/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/curl/post.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "exporter/retry.h"

#define NS_PER_MS      1000000ull
#define LOOK_MS        50 /* how long a stop may go unseen */
#define CONNECT_MAX_MS 30000L

static size_t take_line(char *line, size_t size, size_t count, void *arg)
{
	struct post *p = arg;

	return reply_add_line(&p->reply, (struct bytes){ line, size * count }) ? size * count : 0;
}

static size_t take_body(char *piece, size_t size, size_t count, void *arg)
{
	struct post *p = arg;

	return reply_add_body(&p->reply, (struct bytes){ piece, size * count }) ? size * count : 0;
}

/* libcurl's own sockets would be left open in programs that we start. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct post *p = arg;

	(void)purpose;
	p->wants_socket = true;
	if (p->kept_only)
		return CURL_SOCKET_BAD;
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static void set_transfer(struct post *p)
{
	curl_easy_setopt(p->easy, CURLOPT_NOSIGNAL, 1L);
	/* An end does not wait for a name server. */
	curl_easy_setopt(p->easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(p->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(p->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MAX_MS);
	curl_easy_setopt(p->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(p->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(p->easy, CURLOPT_OPENSOCKETDATA, p);
	curl_easy_setopt(p->easy, CURLOPT_ERRORBUFFER, p->error);
	curl_easy_setopt(p->easy, CURLOPT_HEADERFUNCTION, take_line);
	curl_easy_setopt(p->easy, CURLOPT_HEADERDATA, p);
	curl_easy_setopt(p->easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(p->easy, CURLOPT_WRITEDATA, p);
	curl_easy_setopt(p->easy, CURLOPT_POST, 1L);
}

static void set_proxy(struct post *p)
{
	if (p->to->loopback)
		curl_easy_setopt(p->easy, CURLOPT_PROXY, "");
	/* A proxy's own answer to CONNECT is none of the receiver's. */
	curl_easy_setopt(p->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	/* HTTP/2 without TLS is nothing that a proxy passes on, but bytes in a tunnel are. */
	if (p->to->protocol == OTLP_GRPC)
		curl_easy_setopt(p->easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
}

static void set_destination(struct post *p)
{
	const struct destination *d = p->to;

	curl_easy_setopt(p->easy, CURLOPT_URL, d->url);
	curl_easy_setopt(p->easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	if (d->certificate)
		curl_easy_setopt(p->easy, CURLOPT_CAINFO, d->certificate);
	if (d->client_certificate)
		curl_easy_setopt(p->easy, CURLOPT_SSLCERT, d->client_certificate);
	if (d->client_key)
		curl_easy_setopt(p->easy, CURLOPT_SSLKEY, d->client_key);
	if (d->has_user) {
		curl_easy_setopt(p->easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
		curl_easy_setopt(p->easy, CURLOPT_USERNAME, d->user);
		curl_easy_setopt(p->easy, CURLOPT_PASSWORD, d->password);
	}
}

int post_init(struct post *p, const struct destination *d, const _Atomic uint32_t *stop)
{
	memset(p, 0, sizeof(*p));
	p->to = d;
	p->stop = stop;
	p->multi = curl_multi_init();
	p->easy = curl_easy_init();
	if (!p->multi || !p->easy) {
		post_free(p);
		return -ENOMEM;
	}
	set_transfer(p);
	set_proxy(p);
	set_destination(p);
	return 0;
}

void post_free(struct post *p)
{
	curl_easy_cleanup(p->easy);
	curl_multi_cleanup(p->multi);
	free(p->reply.body.p);
	*p = (struct post){ .to = NULL };
}

static long timeout_ms(uint64_t deadline_ns)
{
	uint64_t now = clock_monotonic_ns(), ms;

	if (deadline_ns == NO_DEADLINE)
		return 0;
	ms = deadline_ns > now ? (deadline_ns - now) / NS_PER_MS : 0;
	return ms < 1 ? 1 : ms > INT32_MAX ? INT32_MAX : (long)ms;
}

/* True: the transfer is over, *code says how. */
static bool is_over(CURLM *multi, CURLcode *code)
{
	const struct CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(multi, &left))) {
		if (m->msg == CURLMSG_DONE) {
			*code = m->data.result;
			return true;
		}
	}
	return false;
}

/* -ECANCELED: stopped. */
static int transfer(struct post *p, CURLcode *code)
{
	int running;

	for (;;) {
		if (curl_multi_perform(p->multi, &running))
			*code = CURLE_OUT_OF_MEMORY;
		else if (!is_over(p->multi, code) && !running)
			*code = CURLE_SEND_ERROR;
		else if (running) {
			if (atomic_load_explicit(p->stop, memory_order_acquire))
				return -ECANCELED;
			if (p->meanwhile)
				p->meanwhile(p->meanwhile_arg);
			curl_multi_poll(p->multi, NULL, 0, LOOK_MS, NULL);
			continue;
		}
		return 0;
	}
}

static bool read_reset(const struct post *p, unsigned *reset)
{
	const char *at = strstr(p->error, "(err ");

	return at && sscanf(at, "(err %u)", reset) == 1;
}

static enum post_result judge(struct post *p, CURLcode code, unsigned *reset)
{
	if (p->reply.no_memory || code == CURLE_OUT_OF_MEMORY)
		return POST_NO_MEMORY;
	if (p->reply.too_large) {
		snprintf(p->error, sizeof(p->error), "its answer is too large");
		return POST_REFUSED;
	}
	/* With its status a call is complete, however the stream ends. */
	if (p->reply.http_status && (code == CURLE_OK || p->reply.has_grpc_status))
		return POST_ANSWERED;
	switch (code) {
	case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9, which is to say anything */
	case CURLE_WEIRD_SERVER_REPLY:
		snprintf(p->error, sizeof(p->error), "its answer is not HTTP");
		return POST_REFUSED;
	case CURLE_HTTP2_STREAM:
		return read_reset(p, reset) ? POST_RESET : POST_FAILED;
	default:
		return POST_FAILED;
	}
}

/* libcurl's own words hold times and sizes, so that no two of them are alike. */
static void word_error(struct post *p, CURLcode code)
{
	long os_error = 0;
	const char *words = curl_easy_strerror(code);

	curl_easy_getinfo(p->easy, CURLINFO_OS_ERRNO, &os_error);
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		words = "its name is not known";
		break;
	case CURLE_COULDNT_CONNECT:
		words = os_error ? strerror((int)os_error) : words;
		break;
	case CURLE_OPERATION_TIMEDOUT:
		words = "no answer in time";
		break;
	case CURLE_GOT_NOTHING:
		words = "it closed the connection without an answer";
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
		if (p->error[0])
			return;
		break;
	case CURLE_RECV_ERROR:
		if (strncmp(p->error, "CONNECT ", 8) == 0)
			return;
		break;
	default:
		break;
	}
	snprintf(p->error, sizeof(p->error), "%s", words);
}

static int perform(struct post *p, long version, uint64_t deadline_ns, CURLcode *code)
{
	int err;

	*code = CURLE_OK;
	reply_reset(&p->reply);
	p->error[0] = '\0';
	p->wants_socket = false;
	curl_easy_setopt(p->easy, CURLOPT_HTTP_VERSION, version);
	curl_easy_setopt(p->easy, CURLOPT_TIMEOUT_MS, timeout_ms(deadline_ns));
	if (curl_multi_add_handle(p->multi, p->easy))
		return -ENOMEM;
	err = transfer(p, code);
	curl_multi_remove_handle(p->multi, p->easy);
	return err;
}

/* HTTP/2 without TLS, where nothing is negotiated. libcurl before 8.0 starts HTTP/2 again on the
 * connection it kept when it is told of prior knowledge, and breaks it (curl issue 10634). So kept
 * connections are used without being told, and only new ones are opened with. */
static int perform_unasked(struct post *p, uint64_t deadline_ns, CURLcode *code)
{
	int err;

	if (curl_version_info(CURLVERSION_NOW)->version_num < 0x080000) {
		p->kept_only = true;
		err = perform(p, CURL_HTTP_VERSION_2TLS, deadline_ns, code);
		p->kept_only = false;
		if (err || !p->wants_socket)
			return err;
	}
	return perform(p, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE, deadline_ns, code);
}

enum post_result post_send(struct post *p, struct curl_slist *headers, struct bytes body,
			   uint64_t deadline_ns, unsigned *reset)
{
	enum post_result result;
	CURLcode code;
	int err;

	curl_easy_setopt(p->easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(p->easy, CURLOPT_POSTFIELDS, body.p);
	curl_easy_setopt(p->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
	if (p->to->protocol == OTLP_GRPC && !p->to->https)
		err = perform_unasked(p, deadline_ns, &code);
	else
		err = perform(p, CURL_HTTP_VERSION_2TLS, deadline_ns, &code);
	if (err)
		return err == -ENOMEM ? POST_NO_MEMORY : POST_STOPPED;
	result = judge(p, code, reset);
	if (result == POST_FAILED)
		word_error(p, code);
	return result;
}

const char *post_error(const struct post *p)
{
	return p->error;
}
