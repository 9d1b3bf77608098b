/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as text. */
#include "base/raw.h"
#include "exporter/net.h"

static int parse_ipv4(uint8_t ip[static 4], struct bytes text)
{
	struct bytes rest = text;
	uint64_t part;

	for (unsigned i = 0; i < 4; i++) {
		struct bytes piece = bytes_split(&rest, '.');

		/* No leading zero: some would read it as octal. */
		if (piece.n > 3 || (piece.n > 1 && piece.p[0] == '0') ||
		    bytes_to_u64(piece, &part) || part > 255)
			return -EINVAL;
		ip[i] = (uint8_t)part;
		if ((i < 3) != (rest.p != NULL))
			return -EINVAL;
	}
	return 0;
}

static int parse_group(struct bytes text, unsigned *group)
{
	unsigned v = 0;

	if (text.n == 0 || text.n > 4)
		return -EINVAL;
	for (size_t i = 0; i < text.n; i++) {
		char c = ascii_lower(text.p[i]);

		if (c >= '0' && c <= '9')
			v = v << 4 | (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (unsigned)(c - 'a' + 10);
		else
			return -EINVAL;
	}
	*group = v;
	return 0;
}

/* The groups of one side of "::" (or of all of it): how many bytes they make, or -EINVAL. */
static int parse_groups(uint8_t *ip, size_t room, struct bytes text)
{
	struct bytes rest = text;
	size_t n = 0;
	unsigned group;

	while (text.n && rest.p) {
		struct bytes piece = bytes_split(&rest, ':');

		if (!rest.p && piece.n && memchr(piece.p, '.', piece.n)) {
			if (room - n < 4 || parse_ipv4(ip + n, piece))
				return -EINVAL;
			return (int)(n + 4);
		}
		if (room - n < 2 || parse_group(piece, &group))
			return -EINVAL;
		ip[n++] = (uint8_t)(group >> 8);
		ip[n++] = (uint8_t)group;
	}
	return (int)n;
}

static int parse_ipv6(uint8_t ip[static 16], struct bytes text)
{
	struct bytes left = text, right = { NULL, 0 };
	uint8_t low[16] = { 0 };
	int n, m;

	for (size_t i = 0; i + 1 < text.n; i++) {
		if (text.p[i] != ':' || text.p[i + 1] != ':')
			continue;
		left = (struct bytes){ text.p, i };
		right = (struct bytes){ text.p + i + 2, text.n - i - 2 };
		break;
	}
	memset(ip, 0, 16);
	n = parse_groups(ip, 16, left);
	if (!right.p)
		return n == 16 && text.n ? 0 : -EINVAL;
	m = parse_groups(low, 16, right);
	if (n < 0 || m < 0 || n + m > 14)
		return -EINVAL;
	memcpy(ip + 16 - m, low, (size_t)m);
	return 0;
}

/* The kernel's number of an interface, without a socket to ask by. 0: there is none. */
static uint32_t interface_index(struct bytes name)
{
	char path[64], digits[16] = "";
	struct text t = TEXT_ON(path);
	uint64_t index = 0;
	ssize_t n;
	int fd;

	if (bytes_to_u64(name, &index) == 0)
		return index <= UINT32_MAX ? (uint32_t)index : 0;
	if (name.n == 0 || name.n > 15 || memchr(name.p, '/', name.n) || name.p[0] == '.')
		return 0;
	text_format(&t, "/sys/class/net/%.*s/ifindex", (int)name.n, name.p);
	fd = raw_open(text_string(&t), O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	n = raw_read(fd, digits, sizeof(digits));
	raw_close(fd);
	if (n > 0 && digits[n - 1] == '\n')
		n--;
	if (n <= 0 || bytes_to_u64((struct bytes){ digits, (size_t)n }, &index))
		return 0;
	return (uint32_t)index;
}

int net_parse_address(struct net_address *a, struct bytes text)
{
	struct bytes scope = text, address = bytes_split(&scope, '%');
	struct net_address got = { .is_ipv6 = false };

	if (address.n == 0 || address.n > 45)
		return -EINVAL;
	got.is_ipv6 = memchr(address.p, ':', address.n) != NULL;
	if (got.is_ipv6 ? parse_ipv6(got.ip, address) : parse_ipv4(got.ip, address))
		return -EINVAL;
	if (scope.p && !got.is_ipv6)
		return -EINVAL;
	if (scope.p) {
		got.scope = interface_index(scope);
		if (!got.scope)
			return -EINVAL;
	}
	*a = got;
	return 0;
}

void net_put_address(struct text *t, const struct net_address *a)
{
	if (!a->is_ipv6) {
		text_format(t, "%u.%u.%u.%u", a->ip[0], a->ip[1], a->ip[2], a->ip[3]);
		return;
	}
	for (unsigned i = 0; i < 16; i += 2)
		text_format(t, i ? ":%x" : "%x", (unsigned)a->ip[i] << 8 | a->ip[i + 1]);
}

bool net_same_address(const struct net_address *a, const struct net_address *b)
{
	return a->is_ipv6 == b->is_ipv6 && memcmp(a->ip, b->ip, a->is_ipv6 ? 16 : 4) == 0;
}
