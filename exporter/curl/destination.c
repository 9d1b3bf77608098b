/* SPDX-License-Identifier: Apache-2.0 */
/* OTEL_EXPORTER_OTLP_* as the OpenTelemetry protocol exporter specification reads them:
 * https://opentelemetry.io/docs/specs/otel/protocol/exporter/ */
#include "exporter/curl/destination.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "exporter/headers.h"

#define DEFAULT_HTTP "http://localhost:4318"
#define DEFAULT_GRPC "http://localhost:4317"
#define GRPC_PORT    4317
#define SERVICES     "opentelemetry.proto.collector."

/* The variables of one signal, the general ones where it has none of its own. */
struct variables {
	const char *name, *endpoint; /* the variable that gave it, "" when none did */
	bool is_base;
	const char *below; /* a base URL gets this path */
	const char *service;
	uint32_t protocol;
	bool protocol_set;
	const char *headers_name, *headers;
	const char *compression, *insecure;
	const char *certificate, *client_key, *client_certificate;
};

struct warner {
	destination_warn_fn fn;
	void *arg;
};

static void __attribute__((format(printf, 2, 3)))
warn(const struct warner *w, const char *format, ...)
{
	char line[768];
	struct text t = TEXT_ON(line);
	va_list args;

	va_start(args, format);
	text_vformat(&t, format, args);
	va_end(args);
	w->fn(w->arg, text_string(&t));
}

static void pick_endpoint(struct variables *v, const char *special_name, const char *special,
			  const char *general)
{
	v->is_base = !*special;
	v->name = *special ? special_name : "OTEL_EXPORTER_OTLP_ENDPOINT";
	v->endpoint = *special ? special : general;
}

static struct variables pick_traces(const struct config *c)
{
	struct variables v = {
		.below = "v1/traces",
		.service = SERVICES "trace.v1.TraceService/Export",
		.protocol = c->otlp_protocol,
		.protocol_set = c->otlp_protocol_set,
		.headers = c->otlp_headers,
		.headers_name = *c->otlp_traces_headers ? "OTEL_EXPORTER_OTLP_TRACES_HEADERS"
							: "OTEL_EXPORTER_OTLP_HEADERS",
		.compression = c->otlp_compression,
		.insecure = c->otlp_insecure,
		.certificate = c->otlp_certificate,
		.client_key = c->otlp_client_key,
		.client_certificate = c->otlp_client_certificate,
	};

	pick_endpoint(&v, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c->otlp_traces_endpoint,
		      c->otlp_endpoint);
	return v;
}

static struct variables pick_metrics(const struct config *c)
{
	struct variables v = {
		.below = "v1/metrics",
		.service = SERVICES "metrics.v1.MetricsService/Export",
		.protocol = c->metrics_otlp_protocol,
		.protocol_set = c->metrics_otlp_protocol_set,
		.headers = c->otlp_metrics_headers,
		.headers_name = c->otlp_metrics_headers == c->otlp_headers
					? "OTEL_EXPORTER_OTLP_HEADERS"
					: "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
		.compression = c->otlp_metrics_compression,
		.insecure = c->otlp_metrics_insecure,
		.certificate = c->otlp_metrics_certificate,
		.client_key = c->otlp_metrics_client_key,
		.client_certificate = c->otlp_metrics_client_certificate,
	};

	pick_endpoint(&v, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", c->otlp_metrics_endpoint,
		      c->otlp_endpoint);
	return v;
}

/* 127.0.0.0/8, ::1 and localhost: what curl would ask a proxy for and no proxy can reach. */
static bool is_loopback(const struct endpoint_url *u)
{
	static const char *const names[] = { "localhost", "::1", "0:0:0:0:0:0:0:1" };
	struct bytes rest = u->host;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bytes_equal_nocase(u->host, bytes_of(names[i])))
			return true;
	if (u->ipv6 || !bytes_start_with(u->host, BYTES("127.")))
		return false;
	for (size_t i = 0; i < rest.n; i++)
		if (rest.p[i] != '.' && (rest.p[i] < '0' || rest.p[i] > '9'))
			return false;
	return true;
}

/* user:password@ in a URL means Basic authentication, as every HTTP client has it. */
static void read_userinfo(struct destination *d, struct bytes userinfo)
{
	struct bytes password = userinfo, user = bytes_split(&password, ':');
	ssize_t n = headers_decode(d->user, sizeof(d->user) - 1, user);
	ssize_t m = headers_decode(d->password, sizeof(d->password) - 1, password);

	if (!userinfo.n || n < 0 || m < 0)
		return;
	d->user[n] = d->password[m] = '\0';
	d->has_user = true;
}

static bool is_plain_grpc(const struct variables *v)
{
	return bytes_equal(bytes_of(v->insecure), BYTES("true"));
}

/* Plain text unless TLS is asked for: OTEL_EXPORTER_OTLP_INSECURE does so, and is for gRPC alone.
 */
static void settle_scheme(struct destination *d, const struct variables *v,
			  const struct endpoint_url *u, const struct warner *w)
{
	d->https = u->https;
	if (!u->schemeless)
		return;
	if (d->protocol == OTLP_GRPC && *v->insecure) {
		d->https = !is_plain_grpc(v);
		return;
	}
	warn(w, "%s has no scheme: http:// is assumed", v->name);
}

/* Most SDKs speak gRPC when told nothing, and the endpoints in use show it. */
static void settle_protocol(struct destination *d, const struct variables *v,
			    const struct endpoint_url *u, const struct warner *w)
{
	d->protocol = v->protocol;
	if (v->protocol_set || u->port != GRPC_PORT || v->protocol == OTLP_GRPC)
		return;
	d->protocol = OTLP_GRPC;
	warn(w,
	     "%s is port %u, where receivers take gRPC: OTEL_EXPORTER_OTLP_PROTOCOL=grpc is "
	     "assumed",
	     v->name, GRPC_PORT);
}

static int put_url(struct destination *d, const struct variables *v, const struct endpoint_url *u)
{
	struct text url = TEXT_ON(d->url), described = TEXT_ON(d->described);
	const char *scheme = d->https ? "https://" : "http://";
	uint16_t port = u->port ? u->port : d->https ? 443 : 80;

	text_put_string(&url, scheme);
	endpoint_put_authority(&url, u->host, u->ipv6, port, d->https);
	if (d->protocol == OTLP_GRPC) {
		text_put(&described, text_bytes(&url));
		text_put_char(&url, '/');
		text_put_string(&url, v->service);
	} else {
		struct bytes shown;

		endpoint_url_put_target(&url, u, v->is_base ? v->below : NULL);
		shown = text_bytes(&url);
		text_put(&described, bytes_split(&shown, '?'));
	}
	text_string(&described);
	text_string(&url);
	return url.cut || url.n == url.size ? -ENAMETOOLONG : 0;
}

static int read_url(struct destination *d, const struct variables *v, const struct warner *w)
{
	struct endpoint_url u;
	int err = endpoint_url_parse(&u, bytes_of(v->endpoint));

	if (err)
		return err;
	settle_protocol(d, v, &u, w);
	settle_scheme(d, v, &u, w);
	d->loopback = is_loopback(&u);
	read_userinfo(d, u.userinfo);
	return put_url(d, v, &u);
}

static void read_endpoint(struct destination *d, struct variables *v, const struct warner *w)
{
	const char *fallback = v->protocol == OTLP_GRPC ? DEFAULT_GRPC : DEFAULT_HTTP;
	char copy[ENDPOINT_SHOWN_MAX + 1];

	if (*v->endpoint && read_url(d, v, w)) {
		warn(w, "%s=%s is not an http URL: %s is used instead", v->name,
		     endpoint_shown(copy, v->endpoint), fallback);
		v->endpoint = "";
		d->has_user = false;
	}
	if (!*v->endpoint) {
		v->endpoint = fallback;
		v->is_base = true;
		read_url(d, v, w);
	}
}

/* Names that gRPC makes itself. */
static bool is_grpcs(struct bytes name)
{
	return name.n >= 5 && bytes_equal_nocase((struct bytes){ name.p, 5 }, BYTES("grpc-"));
}

/* HTTP/2 has lower case names only, and HTTP/1 does not care. */
static void put_headers(struct destination *d, struct text *from)
{
	struct text t = { .p = d->headers, .size = sizeof(d->headers) - 1 };
	struct bytes rest = text_bytes(from);

	while (rest.n) {
		struct bytes line = bytes_split(&rest, '\n'), value = line;
		struct bytes name = bytes_split(&value, ':');

		if (d->protocol == OTLP_GRPC && is_grpcs(name))
			continue;
		for (size_t i = 0; i < name.n; i++)
			text_put_char(&t, ascii_lower(name.p[i]));
		text_put_char(&t, ':');
		text_put(&t, value);
		text_put_char(&t, '\n');
	}
	text_string(&t);
}

static void read_headers(struct destination *d, const struct variables *v, const struct warner *w)
{
	char lines[DESTINATION_HEADERS_MAX - 256];
	struct text t = TEXT_ON(lines);
	struct headers h;

	headers_read(&h, bytes_of(v->headers));
	if (headers_have(&h, BYTES("authorization")))
		d->has_user = false;
	headers_write(&h, &t);
	put_headers(d, &t);
	if (h.bad.n)
		warn(w, "%s: left out what is not understood or not allowed: %.*s", v->headers_name,
		     (int)h.bad.n, h.bad.p);
}

static const char *readable(const char *path, const char *what, const struct warner *w)
{
	if (!*path)
		return NULL;
	if (access(path, R_OK) < 0)
		warn(w, "OTEL_EXPORTER_OTLP_%s=%.200s cannot be read: no export will get through",
		     what, path);
	return path;
}

static void read_tls(struct destination *d, const struct variables *v, const struct warner *w)
{
	if (!d->https)
		return;
	d->certificate = readable(v->certificate, "CERTIFICATE", w);
	d->client_certificate = readable(v->client_certificate, "CLIENT_CERTIFICATE", w);
	d->client_key = readable(v->client_key, "CLIENT_KEY", w);
	if (d->client_key && !d->client_certificate)
		warn(w, "OTEL_EXPORTER_OTLP_CLIENT_KEY is of no use without "
			"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE");
}

void destination_read(struct destination *d, const struct config *c, enum otlp_signal signal,
		      destination_warn_fn fn, void *arg)
{
	struct variables v = signal == OTLP_METRICS ? pick_metrics(c) : pick_traces(c);
	const struct warner w = { fn, arg };

	memset(d, 0, sizeof(*d));
	d->protocol = v.protocol;
	d->gzip = bytes_equal(bytes_of(v.compression), BYTES("gzip"));
	read_endpoint(d, &v, &w);
	read_headers(d, &v, &w);
	read_tls(d, &v, &w);
}
