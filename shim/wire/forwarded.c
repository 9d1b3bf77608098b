/* SPDX-License-Identifier: Apache-2.0 */
/* Who the client was, as proxies tell: Forwarded (RFC 7239) and the X-Forwarded- family. What is
 * not an address, a scheme or a host is taken for nothing said.
 * Pure: bytes in, bytes out. No memory, no globals, no I/O, nothing read past the view. */
#include "shim/wire/url.h"

#define malloc  wire_code_must_not_allocate

#define NOTHING ((struct bytes){ NULL, 0 })

/* Cuts what stands before the first `separator` outside quoted strings off *rest. */
static struct bytes split_unquoted(struct bytes *rest, char separator)
{
	bool quoted = false;

	for (size_t i = 0; i < rest->n; i++) {
		char c = rest->p[i];

		if (c == '"')
			quoted = !quoted;
		else if (c == '\\' && quoted && i + 1 < rest->n)
			i++;
		else if (c == separator && !quoted) {
			struct bytes piece = { rest->p, i };

			*rest = (struct bytes){ rest->p + i + 1, rest->n - i - 1 };
			return piece;
		}
	}
	{
		struct bytes piece = *rest;

		*rest = NOTHING;
		return piece;
	}
}

/* A view cannot undo escapes; addresses, schemes and hosts need none. */
static struct bytes unquote(struct bytes b)
{
	b = bytes_trim(b);
	if (b.n >= 2 && b.p[0] == '"' && b.p[b.n - 1] == '"') {
		b.p++;
		b.n -= 2;
	}
	if (b.n && (memchr(b.p, '\\', b.n) || memchr(b.p, '"', b.n)))
		return NOTHING;
	return b;
}

static bool has_two_colons(struct bytes b)
{
	const char *first = b.n ? memchr(b.p, ':', b.n) : NULL;

	return first && memchr(first + 1, ':', b.n - (size_t)(first + 1 - b.p));
}

static bool ipv6_chars(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++) {
		char c = ascii_lower(b.p[i]);

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && c != ':' && c != '.' &&
		    c != '%')
			return false;
	}
	return true;
}

/* RFC 7239 section 6: "unknown" and "_obfuscated" are no addresses. */
static struct bytes client_address(struct bytes b)
{
	struct bytes host;
	uint16_t port;

	b = unquote(b);
	if (!b.n || b.p[0] == '_' || bytes_equal_nocase(b, BYTES("unknown")))
		return NOTHING;
	if (b.p[0] != '[' && has_two_colons(b))
		return ipv6_chars(b) ? b : NOTHING;
	if (url_split_host(&host, &port, b))
		return NOTHING;
	return host;
}

static struct bytes scheme(struct bytes b)
{
	b = unquote(b);
	for (size_t i = 0; i < b.n; i++) {
		char c = ascii_lower(b.p[i]);

		if (!(c >= 'a' && c <= 'z') && (i == 0 || !(c >= '0' && c <= '9')))
			return NOTHING;
	}
	return b.n && b.n <= 16 ? b : NOTHING;
}

static struct bytes host_and_port(struct bytes b)
{
	struct bytes host;
	uint16_t port;

	b = unquote(b);
	return b.n && url_split_host(&host, &port, b) == 0 ? b : NOTHING;
}

/* The left-most element is the original client's. */
static struct bytes first_element(struct bytes list)
{
	return split_unquoted(&list, ',');
}

struct url_forwarded url_parse_forwarded(struct bytes forwarded, struct bytes x_for,
					 struct bytes x_proto, struct bytes x_host)
{
	struct url_forwarded f = { 0 };
	struct bytes rest = first_element(forwarded);

	while (rest.p && rest.n) {
		struct bytes value = split_unquoted(&rest, ';');
		struct bytes name = bytes_trim(bytes_split(&value, '='));

		if (bytes_equal_nocase(name, BYTES("for")))
			f.client = client_address(value);
		else if (bytes_equal_nocase(name, BYTES("proto")))
			f.proto = scheme(value);
		else if (bytes_equal_nocase(name, BYTES("host")))
			f.host = host_and_port(value);
	}
	if (!f.client.n && x_for.n)
		f.client = client_address(first_element(x_for));
	if (!f.proto.n && x_proto.n)
		f.proto = scheme(first_element(x_proto));
	if (!f.host.n && x_host.n)
		f.host = host_and_port(first_element(x_host));
	return f;
}
