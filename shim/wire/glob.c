/* SPDX-License-Identifier: Apache-2.0 */
/* Globs for paths and hosts.
 * Pure: bytes in, bytes out. No memory, no globals, no I/O, nothing read past the view. */
#include "shim/wire/url.h"

#define malloc wire_code_must_not_allocate

static bool same(char a, char b, bool nocase)
{
	return a == b || (nocase && ascii_lower(a) == ascii_lower(b));
}

/* Only the last star seen needs to be gone back to: an earlier one could not match more. So the
 * cost is at most pattern times text, never exponential. */
bool glob_match(struct bytes pattern, struct bytes text, bool nocase)
{
	size_t p = 0, t = 0;
	size_t star = pattern.n, star_text = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			if (p == pattern.n)
				return true;
			star_text = t;
		} else if (p < pattern.n &&
			   (pattern.p[p] == '?' || same(pattern.p[p], text.p[t], nocase))) {
			p++;
			t++;
		} else if (star < pattern.n) {
			p = star + 1;
			t = ++star_text;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}
