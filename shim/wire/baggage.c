/* SPDX-License-Identifier: Apache-2.0 */
/* The baggage header: W3C Baggage. A member that is not well-formed is left out, the others go on.
 * Members are written without the optional white space, so a tab never leaves with them.
 * Pure: bytes in, bytes out. No memory, no globals, no I/O, nothing read past the view. */
#include "shim/wire/traceparent.h"

#define malloc wire_code_must_not_allocate

/* RFC 9110 section 5.6.2: tchar. */
static bool token_char(char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	return c > ' ' && memchr("!#$%&'*+-.^_`|~", c, 15) != NULL;
}

static bool token_valid(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (!token_char(b.p[i]))
			return false;
	return b.n > 0;
}

/* baggage-octet: printable ASCII but space '"' ',' ';' and '\'. An empty value is allowed. */
static bool value_valid(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++) {
		char c = b.p[i];

		if (c <= ' ' || c > '~' || c == '"' || c == ',' || c == ';' || c == '\\')
			return false;
	}
	return true;
}

/* "key = value", or for a property also "key" alone. */
static bool put_pair(struct text *out, struct bytes pair, bool needs_value)
{
	struct bytes value = pair;
	struct bytes key = bytes_trim(bytes_split(&value, '='));

	if (!token_valid(key))
		return false;
	text_put(out, key);
	if (!value.p)
		return !needs_value;
	value = bytes_trim(value);
	if (!value_valid(value))
		return false;
	text_put_char(out, '=');
	text_put(out, value);
	return true;
}

static bool put_member(struct text *out, struct bytes member)
{
	struct bytes rest = member;

	if (!put_pair(out, bytes_split(&rest, ';'), true))
		return false;
	while (rest.p) {
		text_put_char(out, ';');
		if (!put_pair(out, bytes_trim(bytes_split(&rest, ';')), false))
			return false;
	}
	return true;
}

void baggage_append(struct text *combined, struct bytes value, unsigned *members)
{
	struct bytes rest = value;

	while (rest.p && *members < BAGGAGE_MEMBERS) {
		struct bytes member = bytes_trim(bytes_split(&rest, ','));
		struct text before = *combined;

		if (member.n == 0)
			continue;
		if (combined->n)
			text_put_char(combined, ',');
		if (put_member(combined, member) && !combined->cut && combined->n <= BAGGAGE_MAX)
			++*members;
		else
			*combined = before;
	}
}
