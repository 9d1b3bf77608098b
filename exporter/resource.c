// SPDX-License-Identifier: Apache-2.0
/* The resource's storage, and what the variables say of it. Attributes are added by falling
 * authority; one that is there already is not replaced. */
#include "exporter/resource.h"

#include "base/config_older.h"
#include "base/environment.h"
#include "base/id.h"
#include "base/log.h"
#include "base/raw.h"
#include "exporter/resource_parts.h"

_Static_assert(sizeof(struct resource) <= 16384, "the resource takes 16 KiB of static storage");

const struct resource_attribute *resource_find(const struct resource *r, struct bytes key)
{
	for (size_t i = 0; i < r->count; i++)
		if (bytes_equal(r->attributes[i].key, key))
			return &r->attributes[i];
	return NULL;
}

/* A free attribute and n bytes of text for it, or NULL: no room, or the key is taken. */
static struct resource_attribute *attribute_open(struct resource *r, struct bytes key, size_t n)
{
	if (resource_find(r, key))
		return NULL;
	if (r->count == RESOURCE_ATTRIBUTES_MAX || n > sizeof(r->text) - r->used) {
		r->lost++;
		return NULL;
	}
	return &r->attributes[r->count++];
}

static struct bytes text_keep(struct resource *r, struct bytes b)
{
	char *at = r->text + r->used;

	if (b.n)
		memcpy(at, b.p, b.n);
	r->used += b.n;
	return (struct bytes){ at, b.n };
}

void resource_add(struct resource *r, const char *key, struct bytes value)
{
	struct resource_attribute *a = attribute_open(r, bytes_of(key), value.n);

	if (a)
		*a = (struct resource_attribute){ .key = bytes_of(key),
						  .value = text_keep(r, value) };
}

void resource_add_int(struct resource *r, const char *key, int64_t value)
{
	struct resource_attribute *a = attribute_open(r, bytes_of(key), 0);

	if (a)
		*a = (struct resource_attribute){ .key = bytes_of(key), .number = value };
}

/* ---- OTEL_RESOURCE_ATTRIBUTES ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes b to `to` (NULL: only measures). The length, or -EINVAL. */
static ssize_t percent_decode(struct bytes b, char *to)
{
	size_t n = 0;

	for (size_t i = 0; i < b.n; i++, n++) {
		char c = b.p[i];

		if (c == '%') {
			int high = i + 2 < b.n ? hex_digit(b.p[i + 1]) : -1;
			int low = i + 2 < b.n ? hex_digit(b.p[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -EINVAL;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (to)
			to[n] = c;
	}
	return (ssize_t)n;
}

/* One key=value with its lengths once decoded. */
struct pair {
	struct bytes key, value;
	size_t key_n, value_n;
};

static int pair_parse(struct pair *pair, struct bytes member)
{
	const char *equals = memchr(member.p, '=', member.n);
	ssize_t key_n, value_n;

	if (!equals)
		return -EINVAL;
	pair->key = bytes_trim((struct bytes){ member.p, (size_t)(equals - member.p) });
	pair->value = bytes_trim(
		(struct bytes){ equals + 1, (size_t)(member.p + member.n - equals - 1) });
	key_n = percent_decode(pair->key, NULL);
	value_n = percent_decode(pair->value, NULL);
	if (key_n <= 0 || value_n < 0)
		return -EINVAL;
	pair->key_n = (size_t)key_n;
	pair->value_n = (size_t)value_n;
	return 0;
}

static void pair_add(struct resource *r, const struct pair *pair)
{
	struct bytes key = { r->text + r->used, pair->key_n }, value = { NULL, pair->value_n };
	struct resource_attribute *a;

	if (pair->key_n > sizeof(r->text) - r->used) {
		r->lost++;
		return;
	}
	percent_decode(pair->key, r->text + r->used); /* kept only when the attribute is */
	a = attribute_open(r, key, key.n + value.n);
	if (!a)
		return;
	value.p = key.p + key.n;
	percent_decode(pair->value, r->text + r->used + key.n);
	r->used += key.n + value.n;
	*a = (struct resource_attribute){ .key = key, .value = value, .given = true };
}

/* The member before the last separator in *rest, from the right: of two equal keys the later one
 * counts, and what is there first stays. */
static struct bytes split_last(struct bytes *rest)
{
	size_t at = rest->n;
	struct bytes member;

	while (at && rest->p[at - 1] != ',')
		at--;
	member = (struct bytes){ rest->p + at, rest->n - at };
	*rest = at ? (struct bytes){ rest->p, at - 1 } : (struct bytes){ NULL, 0 };
	return bytes_trim(member);
}

/* The specification: on any error the entire value is discarded. */
static int add_variable(struct resource *r, struct bytes list)
{
	struct bytes rest;
	struct pair pair;

	for (rest = list; rest.p;) {
		struct bytes member = split_last(&rest);

		if (member.n && pair_parse(&pair, member) < 0)
			return -EINVAL;
	}
	for (rest = list; rest.p;) {
		struct bytes member = split_last(&rest);

		if (!member.n || pair_parse(&pair, member) < 0)
			continue;
		if (pair.value_n || !bytes_equal(pair.key, BYTES("service.name")))
			pair_add(r, &pair);
	}
	return 0;
}

/* ---- all of it ---- */

/* Names from before OTEL_*, for what nobody has said by now. */
static void add_older(struct resource *r, char **envp)
{
	for (size_t i = 0; i < CONFIG_OLDER_COUNT; i++) {
		const struct config_older_name *older = &config_older_names[i];
		const char *value = environment_get(envp, older->name);

		if (older->attribute && value && *value)
			resource_add(r, older->attribute, bytes_of(value));
	}
}

static void add_default_service(struct resource *r)
{
	const struct resource_attribute *exe = resource_find(r, BYTES("process.executable.name"));
	char name[16 + 256] = "unknown_service:";
	size_t n = 15;

	if (exe && exe->value.n) {
		n = exe->value.n < 256 ? exe->value.n : 256;
		memcpy(name + 16, exe->value.p, n);
		n += 16;
	}
	resource_add(r, "service.name", (struct bytes){ name, n });
}

static void add_instance(struct resource *r)
{
	char uuid[37];

	id_new_uuid(uuid);
	resource_add(r, "service.instance.id", (struct bytes){ uuid, 36 });
}

int resource_detect(struct resource *r, char **envp)
{
	const char *name = environment_get(envp, "OTEL_SERVICE_NAME");
	const char *list = environment_get(envp, "OTEL_RESOURCE_ATTRIBUTES");
	int err = 0;

	r->count = r->used = r->lost = 0;
	if (name && *name)
		resource_add(r, "service.name", bytes_of(name));
	resource_add(r, "telemetry.sdk.name", BYTES("tagalong"));
	resource_add(r, "telemetry.sdk.language", BYTES("c"));
	resource_add(r, "telemetry.sdk.version", BYTES(TAGALONG_VERSION));
	resource_add(r, "telemetry.distro.name", BYTES("tagalong"));
	resource_add(r, "telemetry.distro.version", BYTES(TAGALONG_VERSION));
	if (list && *list)
		err = add_variable(r, bytes_of(list));
	if (err < 0)
		log_warn("OTEL_RESOURCE_ATTRIBUTES is not a list of key=value with "
			 "percent-encoding: "
			 "ignored");
	add_older(r, envp);
	resource_add_process(r);
	add_default_service(r);
	add_instance(r);
	resource_add_container(r);
	resource_add_host(r);
	resource_add_os(r);
	if (r->lost)
		log_warn("%zu resource attributes found no room and are left out", r->lost);
	return err;
}

/* Overwrites a value of our own by one of the same length. */
static void replace(struct resource *r, struct bytes key, struct bytes value)
{
	const struct resource_attribute *a = resource_find(r, key);

	if (a && !a->given && a->value.n == value.n)
		memcpy(r->text + (a->value.p - r->text), value.p, value.n);
}

void resource_child(struct resource *r)
{
	char uuid[37], time[CREATION_TIME_LEN];

	for (size_t i = 0; i < r->count; i++) {
		struct resource_attribute *a = &r->attributes[i];

		if (!a->given && bytes_equal(a->key, BYTES("process.pid")))
			a->number = raw_getpid();
	}
	id_new_uuid(uuid);
	replace(r, BYTES("service.instance.id"), (struct bytes){ uuid, 36 });
	replace(r, BYTES("process.creation.time"), process_creation_time(time));
}
