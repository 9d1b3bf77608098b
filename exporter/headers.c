/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/headers.h"

#include <errno.h>

/* The framing of the request is ours, and so is what its body is. */
static const char *const ours[] = {
	"content-length", "transfer-encoding", "content-type",     "content-encoding",
	"connection",     "keep-alive",        "expect",           "te",
	"trailer",        "upgrade",           "proxy-connection",
};

static int hex_digit(char c)
{
	char l = ascii_lower(c);

	if (c >= '0' && c <= '9')
		return c - '0';
	return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

ssize_t headers_decode(char *out, size_t size, struct bytes in)
{
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (c == '%') {
			int high = i + 2 < in.n ? hex_digit(in.p[i + 1]) : -1;
			int low = i + 2 < in.n ? hex_digit(in.p[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -EINVAL;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (n == size)
			return -ENOSPC;
		out[n++] = c;
	}
	return (ssize_t)n;
}

/* RFC 9110 section 5.6.2: token */
static bool is_token(struct bytes b)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < b.n; i++) {
		char c = b.p[i], l = ascii_lower(c);

		if (!(l >= 'a' && l <= 'z') && !(c >= '0' && c <= '9') &&
		    !memchr(others, c, sizeof(others) - 1))
			return false;
	}
	return b.n > 0;
}

static bool is_ours(struct bytes name)
{
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (bytes_equal_nocase(name, bytes_of(ours[i])))
			return true;
	return false;
}

/* Decodes in pieces, so that no value needs to fit the stack. Returns false at a broken escape or
 * at a byte that RFC 9110 section 5.5 does not allow in a value: a line end smuggled in as %0D%0A
 * above all. out may be NULL. */
static bool put_value(struct text *out, struct bytes value)
{
	char one;

	for (size_t i = 0; i < value.n; i++) {
		size_t n = value.p[i] == '%' ? 3 : 1;

		if (n > value.n - i ||
		    headers_decode(&one, 1, (struct bytes){ value.p + i, n }) != 1)
			return false;
		if (((unsigned char)one < ' ' && one != '\t') || one == 0x7f)
			return false;
		if (out)
			text_put_char(out, one);
		i += n - 1;
	}
	return true;
}

static bool split_entry(struct bytes entry, struct bytes *name, struct bytes *value)
{
	struct bytes rest = entry;

	*name = bytes_trim(bytes_split(&rest, '='));
	*value = bytes_trim(rest);
	return rest.p && is_token(*name) && !is_ours(*name) && value->n <= HEADERS_VALUE_MAX &&
	       put_value(NULL, *value);
}

static bool list_has(struct bytes list, struct bytes wanted)
{
	struct bytes name, value;

	while (list.p)
		if (split_entry(bytes_split(&list, ','), &name, &value) &&
		    bytes_equal_nocase(name, wanted))
			return true;
	return false;
}

void headers_read(struct headers *h, struct bytes list)
{
	h->list = list;
	h->bad = TEXT_ON(h->bad_names);
}

bool headers_have(const struct headers *h, struct bytes name)
{
	return h->list.n && list_has(h->list, name);
}

/* A name is repeated only when it is one: what stands in a list by mistake may be a secret. */
static void note_bad(struct headers *h, struct bytes name, unsigned position)
{
	if (h->bad.n)
		text_put_string(&h->bad, ", ");
	if (is_token(name) && name.n <= 64)
		text_put(&h->bad, name);
	else
		text_format(&h->bad, "entry %u", position);
}

void headers_write(struct headers *h, struct text *out)
{
	struct bytes rest = h->list, name, value;
	unsigned position = 0;

	while (rest.n) {
		struct bytes entry = bytes_trim(bytes_split(&rest, ','));

		position++;
		if (entry.n == 0)
			continue;
		if (!split_entry(entry, &name, &value)) {
			struct bytes none = { NULL, 0 };

			note_bad(h, memchr(entry.p, '=', entry.n) ? name : none, position);
			continue;
		}
		if (rest.n && list_has(rest, name))
			continue;
		/* All of the line or nothing. */
		if (name.n + value.n + 4 > out->size - out->n) {
			note_bad(h, name, position);
			continue;
		}
		text_put(out, name);
		text_put_string(out, ": ");
		put_value(out, value);
		text_put_string(out, "\r\n");
	}
}
