/* SPDX-License-Identifier: Apache-2.0 */
/* Request targets and hosts (RFC 9112 section 3.2, RFC 3986), and how spans write them.
 * Pure: bytes in, bytes out. No memory, no globals, no I/O, nothing read past the view. */
#include <errno.h>
#include "shim/wire/url.h"

#define malloc wire_code_must_not_allocate

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

/* Cuts path and query out of "/path?query#fragment". A fragment has no business in a request;
 * whoever sends one means it for himself. */
static void split_path(struct url_target *t, struct bytes rest)
{
	struct bytes before = bytes_split(&rest, '#');

	t->path = bytes_split(&before, '?');
	t->query = before;
}

/* Length of the scheme before "://", or 0. */
static size_t scheme_length(struct bytes target)
{
	size_t i = 0;

	if (!target.n || !is_alnum(target.p[0]) || is_digit(target.p[0]))
		return 0;
	while (i < target.n && (is_alnum(target.p[i]) || target.p[i] == '+' || target.p[i] == '-' ||
				target.p[i] == '.'))
		i++;
	if (target.n - i < 3 || memcmp(target.p + i, "://", 3) != 0)
		return 0;
	return i;
}

static int parse_absolute(struct url_target *t, struct bytes target)
{
	size_t n = scheme_length(target);
	size_t start = n + 3, end, at = 0;

	if (!n)
		return -EINVAL;
	for (end = start; end < target.n; end++) {
		char c = target.p[end];

		if (c == '/' || c == '?' || c == '#')
			break;
		if (c == '@')
			at = end;
	}
	t->scheme = (struct bytes){ target.p, n };
	if (at) {
		t->userinfo = (struct bytes){ target.p + start, at - start };
		start = at + 1;
	}
	t->authority = (struct bytes){ target.p + start, end - start };
	if (t->authority.n == 0)
		return -EINVAL;
	split_path(t, (struct bytes){ target.p + end, target.n - end });
	if (t->path.n == 0)
		t->path = BYTES("/");
	return 0;
}

int url_parse_target(struct url_target *out, struct bytes target, bool connect)
{
	struct url_target t = { 0 };

	if (target.n == 0)
		return -EINVAL;
	if (connect) {
		if (memchr(target.p, '/', target.n) || memchr(target.p, '@', target.n))
			return -EINVAL;
		t.authority = target;
	} else if (target.p[0] == '/') {
		split_path(&t, target);
	} else if (target.n == 1 && target.p[0] == '*') {
		t.path = target;
	} else if (parse_absolute(&t, target)) {
		return -EINVAL;
	}
	*out = t;
	return 0;
}

/* RFC 3986 reg-name, which also covers IPv4; international names may come as raw UTF-8. */
static bool host_char(char c)
{
	static const bool set[256] = {
		['a' ... 'z'] = true, ['A' ... 'Z'] = true,   ['0' ... '9'] = true,
		['-'] = true,         ['.'] = true,           ['_'] = true,
		['~'] = true,         ['%'] = true,           ['!'] = true,
		['$'] = true,         ['&'] = true,           ['\''] = true,
		['('] = true,         [')'] = true,           ['*'] = true,
		['+'] = true,         [','] = true,           [';'] = true,
		['='] = true,         [0x80 ... 0xff] = true,
	};

	return set[(uint8_t)c];
}

/* Inside the brackets: hex, colons, an IPv4 tail, a zone. */
static bool literal_char(char c)
{
	return is_alnum(c) || c == ':' || c == '.' || c == '%' || c == '-' || c == '_' || c == '~';
}

static int parse_port(uint16_t *port, struct bytes digits)
{
	uint64_t v = 0;

	if (digits.n && (bytes_to_u64(digits, &v) || v > 65535))
		return -EINVAL;
	*port = (uint16_t)v;
	return 0;
}

/* The bytes of the host (with brackets) at the start of an authority, or 0. */
static size_t host_length(struct bytes authority)
{
	size_t i = 0;

	if (authority.n && authority.p[0] == '[') {
		for (i = 1; i < authority.n && literal_char(authority.p[i]); i++)
			;
		return i > 1 && i < authority.n && authority.p[i] == ']' ? i + 1 : 0;
	}
	while (i < authority.n && host_char(authority.p[i]))
		i++;
	return i;
}

int url_split_host(struct bytes *host, uint16_t *port, struct bytes authority)
{
	struct bytes b = bytes_trim(authority);
	size_t n = host_length(b);
	uint16_t number = 0;

	if (!n)
		return -EINVAL;
	if (n < b.n) {
		if (b.p[n] != ':' ||
		    parse_port(&number, (struct bytes){ b.p + n + 1, b.n - n - 1 }))
			return -EINVAL;
	}
	if (b.p[0] == '[')
		*host = (struct bytes){ b.p + 1, n - 2 };
	else
		*host = (struct bytes){ b.p, n };
	*port = number;
	return 0;
}

/* As much of b as there is room for: half a path says more than none. */
static inline void put_part(struct text *out, struct bytes b)
{
	size_t room = out->cut ? 0 : out->size - out->n;

	if (b.n > room) {
		out->cut = true;
		b.n = room;
	}
	if (b.n)
		memcpy(out->p + out->n, b.p, b.n);
	out->n += b.n;
}

/* Secrets that cloud storage puts into query strings: semantic conventions, url.query. */
static bool secret_key(struct bytes key)
{
	static const char *const names[] = {
		"X-Amz-Signature",
		"X-Amz-Credential",
		"X-Amz-Security-Token",
		"sig",
		"X-Goog-Signature",
		"AWSAccessKeyId",
		"Signature",
	};

	/* Most keys are told apart by their first letter. */
	if (!key.n || (key.p[0] != 'X' && key.p[0] != 's' && key.p[0] != 'A' && key.p[0] != 'S'))
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bytes_equal(key, bytes_of(names[i])))
			return true;
	return false;
}

void url_put_query_redacted(struct text *out, struct bytes query)
{
	struct bytes rest = query;
	const char *plain = query.p; /* start of what goes out as it is */

	if (!query.n)
		return;
	while (rest.p) {
		struct bytes pair = bytes_split(&rest, '&');
		struct bytes value = pair;
		struct bytes key = bytes_split(&value, '=');

		if (!value.p || !secret_key(key))
			continue;
		put_part(out, (struct bytes){ plain, (size_t)(value.p - plain) });
		put_part(out, BYTES("REDACTED"));
		plain = pair.p + pair.n;
	}
	put_part(out, (struct bytes){ plain, (size_t)(query.p + query.n - plain) });
}

static uint16_t default_port(struct bytes scheme)
{
	if (bytes_equal_nocase(scheme, BYTES("http")) || bytes_equal_nocase(scheme, BYTES("ws")))
		return 80;
	if (bytes_equal_nocase(scheme, BYTES("https")) || bytes_equal_nocase(scheme, BYTES("wss")))
		return 443;
	return 0;
}

void url_put_full(struct text *out, const struct url_target *target, struct bytes scheme,
		  struct bytes host, uint16_t port)
{
	bool literal = host.n && memchr(host.p, ':', host.n);

	if (target->scheme.n)
		scheme = target->scheme;
	put_part(out, scheme);
	put_part(out, BYTES("://"));
	if (target->userinfo.p)
		put_part(out, BYTES("REDACTED:REDACTED@"));
	if (literal)
		put_part(out, BYTES("["));
	put_part(out, host);
	if (literal)
		put_part(out, BYTES("]"));
	if (port && port != default_port(scheme) && !out->cut) {
		text_put_char(out, ':');
		text_put_u64(out, port);
	}
	/* RFC 9112 section 3.3: the URI behind "OPTIONS *" has no path. */
	if (!bytes_equal(target->path, BYTES("*")))
		put_part(out, target->path);
	if (target->query.p) {
		put_part(out, BYTES("?"));
		url_put_query_redacted(out, target->query);
	}
}
