/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/limits.h"

/* Of limits that rise, the first that is not passed yet is the one that counts. */
static bool crosses(size_t before, size_t after, const unsigned *limits, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (before <= limits[i])
			return after > limits[i];
	return false;
}

bool limits_allow(const struct http1_head *head, struct bytes lines)
{
	static const unsigned sizes[] = { 4096, 8192, 16384, 32768, 65536 };
	static const unsigned counts[] = { 64, 100, 128 };
	const char *p = lines.p, *end = lines.p + lines.n;
	unsigned more = 0;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
		more++;
		p++;
	}
	return !crosses(head->length, head->length + lines.n, sizes, 5) &&
	       !crosses(head->header_count, head->header_count + more, counts, 3);
}
