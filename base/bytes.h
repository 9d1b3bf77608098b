/* SPDX-License-Identifier: Apache-2.0 */
/* Views on bytes that somebody else owns. Nothing here allocates or copies. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const char *p; /* not terminated */
	size_t n;
};

#define BYTES(literal) ((struct bytes){ (literal), sizeof(literal) - 1 })

static inline struct bytes bytes_of(const char *string)
{
	return (struct bytes){ string, string ? strlen(string) : 0 };
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Equal but for the case of ASCII letters: header names, hosts, list tokens. */
static inline bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (a.p[i] != b.p[i] && ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

static inline bool bytes_start_with(struct bytes a, struct bytes prefix)
{
	return a.n >= prefix.n && memcmp(a.p, prefix.p, prefix.n) == 0;
}

/* Without optional white space (space, tab) at both ends: RFC 9110 section 5.6.3. */
static inline struct bytes bytes_trim(struct bytes b)
{
	while (b.n && (b.p[0] == ' ' || b.p[0] == '\t'))
		b.p++, b.n--;
	while (b.n && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
		b.n--;
	return b;
}

/* Cuts off and returns what stands before the first `separator` in *rest (all of it when there is
 * none, *rest is then empty with p == NULL). Loop while rest.p is not NULL. */
static inline struct bytes bytes_split(struct bytes *rest, char separator)
{
	const char *at = rest->n ? memchr(rest->p, separator, rest->n) : NULL;
	struct bytes piece = { rest->p, at ? (size_t)(at - rest->p) : rest->n };

	if (at)
		*rest = (struct bytes){ at + 1, rest->n - piece.n - 1 };
	else
		*rest = (struct bytes){ NULL, 0 };
	return piece;
}

/* Decimal digits only, no sign, no space, at most UINT64_MAX: 0 or -EINVAL (*out untouched). */
static inline int bytes_to_u64(struct bytes b, uint64_t *out)
{
	uint64_t v = 0;

	if (b.n == 0)
		return -22;
	for (size_t i = 0; i < b.n; i++) {
		unsigned digit = (unsigned char)b.p[i] - '0';

		if (digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, digit, &v))
			return -22;
	}
	*out = v;
	return 0;
}

#endif
