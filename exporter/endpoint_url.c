/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/endpoint_url.h"

#include <errno.h>

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
static int parse_authority(struct endpoint_url *u, struct bytes in)
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
static int parse_scheme(struct endpoint_url *u, struct bytes *rest)
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

int endpoint_url_parse(struct endpoint_url *u, struct bytes in)
{
	struct bytes rest = bytes_trim(in), authority;
	size_t end = 0;
	int err;

	*u = (struct endpoint_url){ .port = 0 };
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

void endpoint_url_put_target(struct text *t, const struct endpoint_url *u, const char *below)
{
	if (u->path.n == 0)
		text_put_char(t, '/');
	put_encoded(t, u->path);
	if (below && t->n && t->p[t->n - 1] != '/')
		text_put_char(t, '/');
	if (below)
		text_put_string(t, below);
	if (u->query.n) {
		text_put_char(t, '?');
		put_encoded(t, u->query);
	}
}

void endpoint_put_authority(struct text *t, struct bytes host, bool ipv6, uint16_t port, bool https)
{
	text_format(t, ipv6 ? "[%.*s]" : "%.*s", (int)host.n, host.p);
	if (port != (https ? 443 : 80))
		text_format(t, ":%u", port);
}

const char *endpoint_shown(char copy[static ENDPOINT_SHOWN_MAX + 1], const char *value)
{
	size_t n = 0;

	/* A password may stand before an @ that makes no sense otherwise. */
	if (memchr(value, '@', strlen(value)))
		return "(...)";
	for (; n < ENDPOINT_SHOWN_MAX && value[n]; n++)
		copy[n] = value[n] >= ' ' && value[n] <= '~' ? value[n] : '?';
	copy[n] = '\0';
	return copy;
}
