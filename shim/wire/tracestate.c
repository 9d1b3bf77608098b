/* SPDX-License-Identifier: Apache-2.0 */
/* The tracestate header: W3C Trace Context level 2, section 3.3. Its text would let a receiver
 * drop bad members one by one; the working group's own test suite wants all or nothing.
 * Pure: bytes in, bytes out. No memory, no globals, no I/O, nothing read past the view. */
#include <errno.h>
#include "shim/wire/traceparent.h"

#define malloc    wire_code_must_not_allocate

#define KEY_MAX   256
#define VALUE_MAX 256

static bool key_starts(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool key_goes_on(char c)
{
	return key_starts(c) || c == '_' || c == '-' || c == '*' || c == '/' || c == '@';
}

static bool key_valid(struct bytes key)
{
	if (key.n == 0 || key.n > KEY_MAX || !key_starts(key.p[0]))
		return false;
	for (size_t i = 1; i < key.n; i++)
		if (!key_goes_on(key.p[i]))
			return false;
	return true;
}

/* Printable ASCII without ',' and '='; the trailing spaces are cut already. */
static bool value_valid(struct bytes value)
{
	if (value.n == 0 || value.n > VALUE_MAX)
		return false;
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];

		if (c < 0x20 || c > 0x7e || c == ',' || c == '=')
			return false;
	}
	return true;
}

/* `with_equals`: the key and its '='. */
static bool has_key(const struct text *combined, struct bytes with_equals)
{
	struct bytes rest = text_bytes(combined);

	while (rest.p && rest.n)
		if (bytes_start_with(bytes_split(&rest, ','), with_equals))
			return true;
	return false;
}

static int append_member(struct text *combined, struct bytes member, unsigned *members)
{
	struct bytes value = member;
	struct bytes key = bytes_split(&value, '=');

	if (!value.p || !key_valid(key) || !value_valid(value))
		return -EINVAL;
	if (++*members > TRACESTATE_MEMBERS)
		return -EINVAL;
	/* The left-most of two equal keys is the most recent one. */
	if (has_key(combined, (struct bytes){ key.p, key.n + 1 }))
		return 0;
	if (combined->n + (combined->n != 0) + member.n > TRACESTATE_MAX)
		return -EINVAL;
	if (combined->n)
		text_put_char(combined, ',');
	text_put(combined, member);
	return combined->cut ? -EINVAL : 0;
}

int tracestate_append(struct text *combined, struct bytes value, unsigned *members)
{
	struct bytes rest = value;

	while (rest.p) {
		struct bytes member = bytes_trim(bytes_split(&rest, ','));
		int err;

		if (member.n == 0)
			continue;
		err = append_member(combined, member, members);
		if (err)
			return err;
	}
	return 0;
}
