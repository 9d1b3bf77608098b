/* SPDX-License-Identifier: Apache-2.0 */
/* OTEL_EXPORTER_OTLP_* as the OpenTelemetry protocol exporter specification reads them:
 * https://opentelemetry.io/docs/specs/otel/protocol/exporter/ */
#include "exporter/endpoint.h"
#include "exporter/headers.h"

#include <errno.h>

#define DEFAULT_URL  "http://localhost:4318"
#define TRACES_PATH  "v1/traces"
#define TARGET_MAX   4096
#define USERINFO_MAX 512
#define SHOWN_MAX    200 /* bytes of a bad value that a warning repeats */

/* The parts of a URL, as views. */
struct url {
	struct bytes userinfo, host, path, query;
	uint16_t port; /* 0: none was given */
	bool https, ipv6, schemeless;
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

/* A copy fit for a message: cut, and nothing but printable ASCII. */
static const char *shown(char copy[static SHOWN_MAX + 1], const char *value)
{
	size_t n = 0;

	for (; n < SHOWN_MAX && value[n]; n++)
		copy[n] = value[n] >= ' ' && value[n] <= '~' ? value[n] : '?';
	copy[n] = '\0';
	return copy;
}

static bool host_is_name(struct bytes host)
{
	for (size_t i = 0; i < host.n; i++) {
		char c = ascii_lower(host.p[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.' &&
		    c != '_')
			return false;
	}
	return host.n > 0 && host.n <= ENDPOINT_HOST_MAX;
}

static bool host_is_ipv6(struct bytes host)
{
	bool colon = false;

	for (size_t i = 0; i < host.n; i++) {
		char c = ascii_lower(host.p[i]);

		if (c == ':')
			colon = true;
		else if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f') && c != '.')
			return false;
	}
	return colon && host.n <= 45;
}

/* host[:port] or [address][:port] */
static int parse_authority(struct url *u, struct bytes in)
{
	const char *at = in.n ? memchr(in.p, ']', in.n) : NULL;
	struct bytes port = { NULL, 0 };
	uint64_t number;

	u->ipv6 = in.n && in.p[0] == '[';
	if (u->ipv6 && !at)
		return -EINVAL;
	if (u->ipv6) {
		u->host = (struct bytes){ in.p + 1, (size_t)(at - in.p) - 1 };
		port = (struct bytes){ at + 1, in.n - u->host.n - 2 };
		if (port.n && port.p[0] != ':')
			return -EINVAL;
		if (port.n)
			port.p++, port.n--;
	} else {
		port = in;
		u->host = bytes_split(&port, ':');
	}
	if (u->ipv6 ? !host_is_ipv6(u->host) : !host_is_name(u->host))
		return -EINVAL;
	if (port.n == 0)
		return 0;
	if (bytes_to_u64(port, &number) || number < 1 || number > 65535)
		return -EINVAL;
	u->port = (uint16_t)number;
	return 0;
}

/* The scheme goes off the front of *rest. Another one than http and https is refused. */
static int parse_scheme(struct url *u, struct bytes *rest)
{
	for (size_t i = 0; i + 2 < rest->n; i++) {
		struct bytes scheme = { rest->p, i };

		if (rest->p[i] == '/')
			break;
		if (rest->p[i] != ':' || rest->p[i + 1] != '/' || rest->p[i + 2] != '/')
			continue;
		u->https = bytes_equal_nocase(scheme, BYTES("https"));
		if (!u->https && !bytes_equal_nocase(scheme, BYTES("http")))
			return -EINVAL;
		*rest = (struct bytes){ rest->p + i + 3, rest->n - i - 3 };
		return 0;
	}
	u->schemeless = true;
	return 0;
}

static int parse_url(struct url *u, struct bytes in)
{
	struct bytes rest = bytes_trim(in), authority;
	size_t end = 0;
	int err;

	*u = (struct url){ .port = 0 };
	/* White space or a control byte would end the request line early. */
	for (size_t i = 0; i < rest.n; i++)
		if ((unsigned char)rest.p[i] <= ' ' || rest.p[i] == 0x7f)
			return -EINVAL;
	rest = bytes_split(&rest, '#');
	err = parse_scheme(u, &rest);
	if (err)
		return err;
	while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?')
		end++;
	authority = (struct bytes){ rest.p, end };
	rest = (struct bytes){ rest.p + end, rest.n - end };
	for (size_t i = authority.n; i > 0; i--) {
		if (authority.p[i - 1] != '@')
			continue;
		u->userinfo = (struct bytes){ authority.p, i - 1 };
		authority = (struct bytes){ authority.p + i, authority.n - i };
		break;
	}
	u->path = bytes_split(&rest, '?');
	u->query = rest;
	return parse_authority(u, authority);
}

/* Bytes past ASCII are percent-encoded: a request target has none (RFC 3986 section 2.1). */
static void put_encoded(struct text *t, struct bytes b)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < b.n; i++) {
		unsigned char c = (unsigned char)b.p[i];

		if (c < 0x80) {
			text_put_char(t, (char)c);
		} else {
			text_put_char(t, '%');
			text_put_char(t, digits[c >> 4]);
			text_put_char(t, digits[c & 15]);
		}
	}
}

static void put_target(struct text *t, const struct url *u, bool is_base)
{
	if (u->path.n == 0)
		text_put_char(t, '/');
	put_encoded(t, u->path);
	if (is_base && t->p[t->n - 1] != '/')
		text_put_char(t, '/');
	if (is_base)
		text_put_string(t, TRACES_PATH);
	if (u->query.n) {
		text_put_char(t, '?');
		put_encoded(t, u->query);
	}
}

static void put_authority(struct text *t, const struct endpoint *e)
{
	text_format(t, e->is_ipv6 ? "[%s]" : "%s", e->host);
	if (e->port != (e->is_https ? 443 : 80))
		text_format(t, ":%u", e->port);
}

static void put_base64(struct text *t, const unsigned char *p, size_t n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16;

		v |= i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0;
		v |= i + 2 < n ? p[i + 2] : 0;
		text_put_char(t, digits[v >> 18]);
		text_put_char(t, digits[v >> 12 & 63]);
		text_put_char(t, i + 1 < n ? digits[v >> 6 & 63] : '=');
		text_put_char(t, i + 2 < n ? digits[v & 63] : '=');
	}
}

/* user:password@ in a URL means Basic authentication (RFC 7617), as every HTTP client has it. */
static void put_userinfo(struct text *t, struct bytes userinfo)
{
	char plain[USERINFO_MAX];
	ssize_t n = headers_decode(plain, sizeof(plain), userinfo);

	if (n <= 0)
		return;
	text_put_string(t, "Authorization: Basic ");
	put_base64(t, (const unsigned char *)plain, (size_t)n);
	text_put_string(t, "\r\n");
}

/* All of the request that never changes. */
static int build_head(struct endpoint *e, const struct url *u, const struct config *c, bool is_base,
		      const struct warner *w)
{
	struct text t = { .p = e->head, .size = sizeof(e->head) - 64 };
	struct headers h;
	size_t from;

	headers_read(&h, bytes_of(c->otlp_headers));
	text_put_string(&t, "POST ");
	from = t.n;
	put_target(&t, u, is_base);
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
		warn(w, "%s: left out what is not understood or not allowed: %.*s",
		     *c->otlp_traces_headers ? "OTEL_EXPORTER_OTLP_TRACES_HEADERS"
					     : "OTEL_EXPORTER_OTLP_HEADERS",
		     (int)h.bad.n, h.bad.p);
	t.size = sizeof(e->head);
	text_put_string(&t, "Content-Length: ");
	e->head_n = t.n;
	return 0;
}

static int read_url(struct endpoint *e, const char *name, const char *value, bool is_base,
		    const struct config *c, const struct warner *w)
{
	char copy[SHOWN_MAX + 1];
	struct url u;
	int err = parse_url(&u, bytes_of(value));

	if (!err) {
		memset(e, 0, sizeof(*e));
		e->is_ipv6 = u.ipv6;
		e->is_https = u.https;
		memcpy(e->host, u.host.p, u.host.n);
		e->port = u.port ? u.port : u.https ? 443 : 80;
		err = build_head(e, &u, c, is_base, w);
	}
	if (err) {
		/* A password may stand before an @ that makes no sense otherwise. */
		warn(w, "%s=%s is not an http URL: %s is used instead", name,
		     memchr(value, '@', strlen(value)) ? "(...)" : shown(copy, value),
		     DEFAULT_URL "/" TRACES_PATH);
		return err;
	}
	if (u.schemeless)
		warn(w, "%s has no scheme: http:// is assumed", name);
	return 0;
}

/* What the configuration asks for and this process does not do. */
static void warn_differences(struct endpoint *e, const struct config *c, const struct warner *w)
{
	if (c->otlp_protocol == OTLP_GRPC) {
		e->trouble = "OTLP over gRPC needs `tagalong run`";
		warn(w,
		     "OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not spoken inside the program: no span "
		     "is sent. Start the program with `tagalong run`, or use http/protobuf");
	} else if (e->is_https) {
		e->trouble = "an https endpoint needs `tagalong run`";
		warn(w,
		     "the OTLP endpoint is https, which is not spoken inside the program: no span "
		     "is sent. Start the program with `tagalong run`, or use a collector over "
		     "http");
	}
	if (e->trouble)
		return;
	if (c->otlp_protocol == OTLP_HTTP_JSON)
		warn(w, "OTEL_EXPORTER_OTLP_PROTOCOL=http/json: http/protobuf is used instead");
	if (bytes_equal_nocase(bytes_of(c->otlp_compression), BYTES("gzip")))
		warn(w, "OTEL_EXPORTER_OTLP_COMPRESSION=gzip: sent uncompressed from inside the "
			"program");
}

void endpoint_read(struct endpoint *e, const struct config *c, endpoint_warn_fn fn, void *arg)
{
	const struct warner w = { fn, arg };
	int err;

	if (*c->otlp_traces_endpoint)
		err = read_url(e, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c->otlp_traces_endpoint,
			       false, c, &w);
	else if (*c->otlp_endpoint)
		err = read_url(e, "OTEL_EXPORTER_OTLP_ENDPOINT", c->otlp_endpoint, true, c, &w);
	else
		err = -ENOENT;
	if (err)
		read_url(e, "", DEFAULT_URL, true, c, &w);
	warn_differences(e, c, &w);
}

void endpoint_describe(const struct endpoint *e, struct text *t)
{
	struct bytes path = e->target;

	text_put_string(t, e->is_https ? "https://" : "http://");
	put_authority(t, e);
	text_put(t, bytes_split(&path, '?'));
}
