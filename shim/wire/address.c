/* SPDX-License-Identifier: Apache-2.0 */
/* Pure: bytes in, bytes out. No memory, no globals, no I/O, nothing read past the view. */
#include "shim/wire/address.h"
#include <errno.h>

#define malloc      wire_code_must_not_allocate

#define IPV6_GROUPS 8

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int number_of_base(uint32_t *out, struct bytes b, unsigned base)
{
	uint64_t v = 0;

	for (size_t i = 0; i < b.n; i++) {
		int digit = hex_value(b.p[i]);

		if (digit < 0 || (unsigned)digit >= base)
			return -EINVAL;
		v = v * base + (unsigned)digit;
		if (v > UINT32_MAX)
			return -EINVAL;
	}
	*out = (uint32_t)v;
	return 0;
}

/* One part of an IPv4 address: 169, 0xa9 or 0251. */
static int ipv4_part(uint32_t *out, struct bytes b)
{
	if (b.n == 0)
		return -EINVAL;
	if (b.n > 2 && b.p[0] == '0' && ascii_lower(b.p[1]) == 'x')
		return number_of_base(out, (struct bytes){ b.p + 2, b.n - 2 }, 16);
	if (b.n > 1 && b.p[0] == '0')
		return number_of_base(out, b, 8);
	return number_of_base(out, b, 10);
}

/* One to four parts; the last one fills what the others leave. */
static int ipv4_parse(uint32_t *out, struct bytes b)
{
	uint32_t address = 0, part = 0;
	unsigned parts = 0;

	while (b.p) {
		if (parts && part > 255)
			return -EINVAL;
		address = parts ? address | part << (32 - 8 * parts) : 0;
		if (++parts > 4 || ipv4_part(&part, bytes_split(&b, '.')))
			return -EINVAL;
	}
	if (parts == 0 || (parts > 1 && part >> (8 * (5 - parts))))
		return -EINVAL;
	*out = address | part;
	return 0;
}

static void put_u16(uint8_t *to, uint32_t v)
{
	to[0] = (uint8_t)(v >> 8);
	to[1] = (uint8_t)v;
}

/* One group, or the dotted tail, which counts for two. Returns how many, or -EINVAL. */
static int ipv6_group(uint8_t *to, struct bytes group, bool last, unsigned room)
{
	uint32_t v;

	if (last && room >= 2 && group.n && memchr(group.p, '.', group.n)) {
		if (ipv4_parse(&v, group))
			return -EINVAL;
		put_u16(to, v >> 16);
		put_u16(to + 2, v & 0xffff);
		return 2;
	}
	if (!room || !group.n || group.n > 4 || number_of_base(&v, group, 16))
		return -EINVAL;
	put_u16(to, v);
	return 1;
}

/* Groups up to the end of b or up to a "::", which *rest then stands behind (NULL: none). */
static int ipv6_run(uint8_t groups[static ADDRESS_LEN], struct bytes b, struct bytes *rest)
{
	int n = 0;

	*rest = (struct bytes){ NULL, 0 };
	if (b.n >= 2 && b.p[0] == ':' && b.p[1] == ':') {
		*rest = (struct bytes){ b.p + 2, b.n - 2 };
		return 0;
	}
	while (b.p) {
		struct bytes group = bytes_split(&b, ':');
		int took = ipv6_group(groups + 2 * n, group, !b.p, (unsigned)(IPV6_GROUPS - n));

		if (took < 0)
			return took;
		n += took;
		if (b.n && b.p[0] == ':') {
			*rest = (struct bytes){ b.p + 1, b.n - 1 };
			return n;
		}
	}
	return n;
}

static int ipv6_parse(uint8_t out[static ADDRESS_LEN], struct bytes b)
{
	uint8_t head[ADDRESS_LEN + 4] = { 0 }, tail[ADDRESS_LEN + 4] = { 0 };
	struct bytes rest, none;
	int before, after = 0;

	before = ipv6_run(head, b, &rest);
	if (before < 0)
		return -EINVAL;
	if (rest.p && rest.n) {
		after = ipv6_run(tail, rest, &none);
		if (after < 0 || none.p)
			return -EINVAL;
	}
	if (rest.p ? before + after >= IPV6_GROUPS : before != IPV6_GROUPS)
		return -EINVAL;
	memset(out, 0, ADDRESS_LEN);
	memcpy(out, head, 2 * (size_t)before);
	memcpy(out + ADDRESS_LEN - 2 * (size_t)after, tail, 2 * (size_t)after);
	return 0;
}

int address_parse(uint8_t out[static ADDRESS_LEN], struct bytes host)
{
	uint8_t v6[ADDRESS_LEN] = { 0 };
	const char *zone;
	uint32_t v4;

	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = (struct bytes){ host.p + 1, host.n - 2 };
	if (!host.n)
		return -EINVAL;
	if (!memchr(host.p, ':', host.n)) {
		/* Most hosts have a name, and no number begins with a letter. */
		if (host.p[0] > '9' || ipv4_parse(&v4, host))
			return -EINVAL;
		memset(v6 + 10, 0xff, 2);
		put_u16(v6 + 12, v4 >> 16);
		put_u16(v6 + 14, v4 & 0xffff);
	} else {
		zone = memchr(host.p, '%', host.n);
		if (zone)
			host.n = (size_t)(zone - host.p);
		if (ipv6_parse(v6, host))
			return -EINVAL;
	}
	memcpy(out, v6, ADDRESS_LEN);
	return 0;
}

static bool starts_with(const uint8_t *address, const char *prefix, size_t n)
{
	return memcmp(address, prefix, n) == 0;
}

bool address_is_metadata(const uint8_t a[static ADDRESS_LEN])
{
	bool holds_v4 = starts_with(a, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) ||
			starts_with(a, "\0\0\0\0\0\0\0\0\0\0\0\0", 12) ||
			starts_with(a, "\0\x64\xff\x9b\0\0\0\0\0\0\0\0", 12);

	if (holds_v4)
		return a[12] == 169 && a[13] == 254;
	return starts_with(a, "\xfd\x00\x0e\xc2", 4) ||
	       starts_with(a, "\xfd\x20\x00\xce\0\0\0\0\0\0\0\0\0\0\x02\x54", 16);
}
