/* SPDX-License-Identifier: Apache-2.0 */
/* OTEL_EXPORTER_OTLP_* as the OpenTelemetry protocol exporter specification reads them:
 * https://opentelemetry.io/docs/specs/otel/protocol/exporter/ */
#include "exporter/endpoint.h"
#include "exporter/endpoint_url.h"
#include "exporter/headers.h"

#include <errno.h>

#define DEFAULT_URL "http://localhost:4318"
#define TARGET_MAX  4096

/* What the configuration says for one signal, and how its variables are called. */
struct signal {
	const char *path; /* behind a base URL */
	const char *what;
	const char *endpoint_name, *endpoint;
	const char *headers_name, *headers;
	const char *compression;
	uint32_t protocol;
};

struct warner {
	endpoint_warn_fn fn;
	void *arg;
};

static void warn(const struct warner *w, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void warn(const struct warner *w, const char *format, ...)
{
	char line[768];
	struct text t = TEXT_ON(line);
	va_list args;

	va_start(args, format);
	text_vformat(&t, format, args);
	va_end(args);
	w->fn(w->arg, text_string(&t));
}

static void put_authority(struct text *t, const struct endpoint *e)
{
	endpoint_put_authority(t, bytes_of(e->host), e->is_ipv6, e->port, e->is_https);
}

/* user:password@ in a URL means Basic authentication (RFC 7617), as every HTTP client has it. */
static void put_userinfo(struct text *t, struct bytes userinfo)
{
	char plain[ENDPOINT_USERINFO_MAX];
	ssize_t n = headers_decode(plain, sizeof(plain), userinfo);

	if (n <= 0)
		return;
	text_put_string(t, "Authorization: Basic ");
	text_put_base64(t, (const uint8_t *)plain, (size_t)n, true);
	text_put_string(t, "\r\n");
}

/* All of the request that never changes. */
static int build_head(struct endpoint *e, const struct endpoint_url *u, const struct signal *s,
		      bool is_base, const struct warner *w)
{
	struct text t = { .p = e->head, .size = sizeof(e->head) - 64 };
	struct headers h;
	size_t from;

	headers_read(&h, bytes_of(s->headers));
	text_put_string(&t, "POST ");
	from = t.n;
	endpoint_url_put_target(&t, u, is_base ? s->path : NULL);
	e->target = (struct bytes){ e->head + from, t.n - from };
	if (t.cut || e->target.n > TARGET_MAX)
		return -ENAMETOOLONG;
	text_put_string(&t, " HTTP/1.1\r\n");
	if (!headers_have(&h, BYTES("host"))) {
		text_put_string(&t, "Host: ");
		put_authority(&t, e);
		text_put_string(&t, "\r\n");
	}
	if (!headers_have(&h, BYTES("user-agent")))
		text_put_string(&t, "User-Agent: tagalong/" TAGALONG_VERSION
				    " OTel-OTLP-Exporter-C/" TAGALONG_VERSION "\r\n");
	if (!headers_have(&h, BYTES("authorization")))
		put_userinfo(&t, u->userinfo);
	text_put_string(&t, "Content-Type: application/x-protobuf\r\n");
	headers_write(&h, &t);
	if (h.bad.n)
		warn(w, "%s: left out what is not understood or not allowed: %.*s", s->headers_name,
		     (int)h.bad.n, h.bad.p);
	t.size = sizeof(e->head);
	text_put_string(&t, "Content-Length: ");
	e->head_n = t.n;
	return 0;
}

static int read_url(struct endpoint *e, const char *name, const char *value, bool is_base,
		    const struct signal *s, const struct warner *w)
{
	char copy[ENDPOINT_SHOWN_MAX + 1];
	struct endpoint_url u;
	int err = endpoint_url_parse(&u, bytes_of(value));

	if (!err) {
		memset(e, 0, offsetof(struct endpoint, head));
		e->is_ipv6 = u.ipv6;
		e->is_https = u.https;
		memcpy(e->host, u.host.p, u.host.n);
		e->port = u.port ? u.port : u.https ? 443 : 80;
		err = build_head(e, &u, s, is_base, w);
	}
	if (err) {
		warn(w, "%s=%s is not an http URL: %s/%s is used instead", name,
		     endpoint_shown(copy, value), DEFAULT_URL, s->path);
		return err;
	}
	if (u.schemeless)
		warn(w, "%s has no scheme: http:// is assumed", name);
	return 0;
}

/* What the configuration asks for and this process does not do. */
static void warn_differences(struct endpoint *e, const struct signal *s, const struct warner *w)
{
	if (s->protocol == OTLP_GRPC) {
		e->trouble = "OTLP over gRPC needs `tagalong run`";
		warn(w,
		     "OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not spoken inside the program: no %s is "
		     "sent. Start the program with `tagalong run`, or use http/protobuf",
		     s->what);
	} else if (e->is_https) {
		e->trouble = "an https endpoint needs `tagalong run`";
		warn(w,
		     "the OTLP endpoint is https, which is not spoken inside the program: no %s is "
		     "sent. Start the program with `tagalong run`, or use a collector over http",
		     s->what);
	}
	if (e->trouble)
		return;
	if (s->protocol == OTLP_HTTP_JSON)
		warn(w, "OTEL_EXPORTER_OTLP_PROTOCOL=http/json: http/protobuf is used inside the "
			"program; `tagalong run` sends JSON");
	if (bytes_equal_nocase(bytes_of(s->compression), BYTES("gzip")))
		warn(w, "OTEL_EXPORTER_OTLP_COMPRESSION=gzip: sent uncompressed from inside the "
			"program; `tagalong run` compresses");
}

static void read_signal(struct endpoint *e, const struct config *c, const struct signal *s,
			const struct warner *w)
{
	int err;

	if (*s->endpoint)
		err = read_url(e, s->endpoint_name, s->endpoint, false, s, w);
	else if (*c->otlp_endpoint)
		err = read_url(e, "OTEL_EXPORTER_OTLP_ENDPOINT", c->otlp_endpoint, true, s, w);
	else
		err = -ENOENT;
	if (err)
		read_url(e, "", DEFAULT_URL, true, s, w);
	warn_differences(e, s, w);
}

void endpoint_read(struct endpoint *e, const struct config *c, endpoint_warn_fn fn, void *arg)
{
	const struct warner w = { fn, arg };
	const struct signal traces = {
		.path = "v1/traces",
		.what = "span",
		.endpoint_name = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
		.endpoint = c->otlp_traces_endpoint,
		.headers_name = *c->otlp_traces_headers ? "OTEL_EXPORTER_OTLP_TRACES_HEADERS"
							: "OTEL_EXPORTER_OTLP_HEADERS",
		.headers = c->otlp_headers,
		.compression = c->otlp_compression,
		.protocol = c->otlp_protocol,
	};

	read_signal(e, c, &traces, &w);
}

void endpoint_read_metrics(struct endpoint *e, const struct config *c, endpoint_warn_fn fn,
			   void *arg)
{
	const struct warner w = { fn, arg };
	const struct signal metrics = {
		.path = "v1/metrics",
		.what = "metric",
		.endpoint_name = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
		.endpoint = c->otlp_metrics_endpoint,
		/* Those for metrics hold the general ones when they are unset. */
		.headers_name = c->otlp_metrics_headers != c->otlp_headers
					? "OTEL_EXPORTER_OTLP_METRICS_HEADERS"
					: "OTEL_EXPORTER_OTLP_HEADERS",
		.headers = c->otlp_metrics_headers,
		.compression = c->otlp_metrics_compression,
		.protocol = c->metrics_otlp_protocol,
	};

	read_signal(e, c, &metrics, &w);
}

void endpoint_describe(const struct endpoint *e, struct text *t)
{
	struct bytes path = e->target;

	text_put_string(t, e->is_https ? "https://" : "http://");
	put_authority(t, e);
	text_put(t, bytes_split(&path, '?'));
}
