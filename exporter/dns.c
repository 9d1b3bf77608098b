/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/dns.h"

#include <errno.h>

#define HEAD       12
#define NAME_MAX_N 255 /* bytes of a name on the wire, RFC 1035 section 2.3.4 */
#define CHAIN_MAX  16  /* CNAMEs followed */
#define CLASS_IN   1

/* A name with its labels as they stand on the wire, in lower case, without compression. */
struct name {
	uint8_t p[NAME_MAX_N];
	size_t n;
};

struct resource_record {
	struct name owner;
	unsigned type, class;
	size_t data, size; /* where its data stands */
	size_t next;
};

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

int dns_make_query(struct dns_query *q, uint16_t id, struct bytes name, enum dns_type type)
{
	uint8_t *at = q->p + HEAD;

	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > NAME_MAX_N - 2)
		return -EINVAL;
	memset(q->p, 0, HEAD);
	put16(q->p, id);
	q->p[2] = 1; /* recursion desired */
	q->p[5] = 1; /* one question */
	while (name.p) {
		struct bytes label = bytes_split(&name, '.');

		if (label.n == 0 || label.n > 63)
			return -EINVAL;
		*at++ = (uint8_t)label.n;
		memcpy(at, label.p, label.n);
		at += label.n;
	}
	*at++ = 0;
	put16(at, type);
	put16(at + 2, CLASS_IN);
	q->n = (size_t)(at + 4 - q->p);
	q->type = type;
	return 0;
}

/* Reads the name at *at and moves *at behind it. A compression pointer must go backwards, so the
 * reading ends; the length of a name bounds it too. */
static int read_name(struct bytes packet, size_t *at, struct name *out)
{
	const uint8_t *p = (const uint8_t *)packet.p;
	size_t i = *at, limit = *at;
	bool jumped = false;

	out->n = 0;
	for (;;) {
		unsigned length;

		if (i >= packet.n)
			return -EINVAL;
		length = p[i];
		if (length >= 0xc0) {
			if (i + 1 >= packet.n)
				return -EINVAL;
			if (!jumped)
				*at = i + 2;
			jumped = true;
			i = get16(p + i) & 0x3fff;
			if (i >= limit)
				return -EINVAL;
			limit = i;
			continue;
		}
		if (length > 63 || length + 1 > packet.n - i || length + 1 > NAME_MAX_N - out->n)
			return -EINVAL;
		for (unsigned k = 0; k <= length; k++)
			out->p[out->n++] = k ? (uint8_t)ascii_lower((char)p[i + k]) : p[i];
		i += length + 1;
		if (length == 0)
			break;
	}
	if (!jumped)
		*at = i;
	return 0;
}

static bool same_name(const struct name *a, const struct name *b)
{
	return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

static int read_record(struct bytes packet, size_t at, struct resource_record *r)
{
	const uint8_t *p = (const uint8_t *)packet.p;

	if (read_name(packet, &at, &r->owner) || packet.n - at < 10)
		return -EINVAL;
	r->type = get16(p + at);
	r->class = get16(p + at + 2);
	r->size = get16(p + at + 8);
	r->data = at + 10;
	if (r->size > packet.n - r->data)
		return -EINVAL;
	r->next = r->data + r->size;
	return 0;
}

/* Where does the name lead? Records may stand in any order: look through all for each step. */
static int follow_aliases(struct bytes packet, size_t first, unsigned count, struct name *name)
{
	struct resource_record r;

	for (unsigned step = 0; step < CHAIN_MAX; step++) {
		bool found = false;
		size_t at = first;

		for (unsigned i = 0; i < count && !found; i++, at = r.next) {
			size_t target;

			if (read_record(packet, at, &r))
				return -EINVAL;
			if (r.type != DNS_CNAME || r.class != CLASS_IN ||
			    !same_name(&r.owner, name))
				continue;
			target = r.data;
			if (read_name(packet, &target, name))
				return -EINVAL;
			found = true;
		}
		if (!found)
			return 0;
	}
	return -EINVAL; /* a loop */
}

static bool same_question(struct bytes packet, const struct dns_query *q)
{
	if (packet.n < q->n)
		return false;
	for (size_t i = HEAD; i < q->n; i++)
		if (ascii_lower(packet.p[i]) != ascii_lower((char)q->p[i]))
			return false;
	return true;
}

static int collect(struct bytes packet, const struct dns_query *q, const struct name *name,
		   struct net_address out[static DNS_ADDRESSES_MAX], unsigned *count)
{
	unsigned records = get16((const uint8_t *)packet.p + 6);
	size_t size = q->type == DNS_A ? 4 : 16, at = q->n;
	struct resource_record r;

	for (unsigned i = 0; i < records && *count < DNS_ADDRESSES_MAX; i++, at = r.next) {
		if (read_record(packet, at, &r))
			return DNS_REFUSED;
		if (r.type != (unsigned)q->type || r.class != CLASS_IN || r.size != size ||
		    !same_name(&r.owner, name))
			continue;
		out[*count] = (struct net_address){ .is_ipv6 = q->type == DNS_AAAA };
		memcpy(out[*count].ip, packet.p + r.data, size);
		++*count;
	}
	return 0;
}

int dns_read_answer(struct bytes packet, const struct dns_query *q,
		    struct net_address out[static DNS_ADDRESSES_MAX], unsigned *count)
{
	const uint8_t *p = (const uint8_t *)packet.p;
	size_t at = HEAD;
	struct name name;

	/* Ours: the id, a response to a standard query, the question asked. */
	if (packet.n < HEAD || memcmp(p, q->p, 2) != 0 || (p[2] & 0xf8) != 0x80)
		return DNS_IGNORE;
	/* Servers that refuse may leave the question out. */
	if ((p[3] & 15) != 0 && (p[3] & 15) != 3 && get16(p + 4) == 0)
		return DNS_REFUSED;
	if (get16(p + 4) != 1 || !same_question(packet, q))
		return DNS_IGNORE;
	if (p[2] & 2)
		return DNS_TRUNCATED;
	if ((p[3] & 15) == 3)
		return DNS_NO_NAME;
	if ((p[3] & 15) != 0)
		return DNS_REFUSED;
	if (read_name(packet, &at, &name) || follow_aliases(packet, q->n, get16(p + 6), &name))
		return DNS_REFUSED;
	return collect(packet, q, &name, out, count);
}
