/* SPDX-License-Identifier: Apache-2.0 */
/* Each attribute: { key length, value length or NUMBER }, the key, the value or eight bytes. */
#include "exporter/resource_pack.h"

#define NUMBER 0xffff

struct lengths {
	uint16_t key, value;
};

static bool pack_one(const struct resource_attribute *a, char *room, size_t size, size_t *n)
{
	bool number = !a->value.p;
	size_t value = number ? sizeof(a->number) : a->value.n;
	struct lengths l = { (uint16_t)a->key.n, number ? NUMBER : (uint16_t)a->value.n };
	char *to = room + *n;

	if (a->key.n >= NUMBER || value >= NUMBER || sizeof(l) + a->key.n + value > size - *n)
		return false;
	memcpy(to, &l, sizeof(l));
	memcpy(to + sizeof(l), a->key.p, a->key.n);
	if (number)
		memcpy(to + sizeof(l) + a->key.n, &a->number, sizeof(a->number));
	else if (value)
		memcpy(to + sizeof(l) + a->key.n, a->value.p, value);
	*n += sizeof(l) + a->key.n + value;
	return true;
}

size_t resource_pack(const struct resource *r, char *room, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++)
		if (!pack_one(&r->attributes[i], room, size, &n))
			break;
	return n;
}

static struct bytes cut(struct bytes *rest, size_t n)
{
	struct bytes b = { rest->p, n };

	*rest = (struct bytes){ rest->p + n, rest->n - n };
	return b;
}

static struct bytes keep(struct resource *r, struct bytes b)
{
	char *at = r->text + r->used;

	memcpy(at, b.p, b.n);
	r->used += b.n;
	return (struct bytes){ at, b.n };
}

static bool unpack_one(struct resource *r, struct bytes *rest)
{
	struct resource_attribute a = { .given = true };
	struct bytes key, value;
	struct lengths l;
	size_t value_n;

	if (rest->n < sizeof(l) || r->count == RESOURCE_ATTRIBUTES_MAX)
		return false;
	memcpy(&l, cut(rest, sizeof(l)).p, sizeof(l));
	value_n = l.value == NUMBER ? sizeof(a.number) : l.value;
	if (!l.key || rest->n < l.key || rest->n - l.key < value_n)
		return false;
	key = cut(rest, l.key);
	value = cut(rest, value_n);
	if (key.n + value.n > sizeof(r->text) - r->used || resource_find(r, key))
		return false;
	a.key = keep(r, key);
	if (l.value == NUMBER)
		memcpy(&a.number, value.p, sizeof(a.number));
	else
		a.value = keep(r, value);
	r->attributes[r->count++] = a;
	return true;
}

bool resource_unpack(struct resource *r, struct bytes packed)
{
	r->count = r->used = r->lost = 0;
	while (packed.n)
		if (!unpack_one(r, &packed))
			return false;
	return resource_find(r, BYTES("service.name")) != NULL;
}
