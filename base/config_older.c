/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config_older.h"

#include "base/environment.h"
#include "base/text.h"

#define JAEGER_THRIFT_PORT ":14268"
#define JAEGER_THRIFT_PATH "/api/traces"
#define OTLP_PORT          ":4318"
#define OTLP_PATH          "/v1/traces"

#define SAMPLER            "OTEL_TRACES_SAMPLER"
#define ENDPOINT           "OTEL_EXPORTER_OTLP_ENDPOINT"
#define ATTRIBUTES         " in OTEL_RESOURCE_ATTRIBUTES"
#define RATIO_MEANS        SAMPLER "=parentbased_traceidratio with that ratio"

const struct config_older_name config_older_names[CONFIG_OLDER_COUNT] = {
	{ "TRACING_ENABLED", OLDER_ENABLED, "OTEL_SDK_DISABLED",
	  "OTEL_SDK_DISABLED=true when it is false", NULL },
	{ "TRACING_SERVICE_NAME", OLDER_ATTRIBUTE, "OTEL_SERVICE_NAME", "OTEL_SERVICE_NAME",
	  "service.name" },
	{ "TRACING_SAMPLE_RATE", OLDER_RATIO, SAMPLER, RATIO_MEANS, NULL },
	{ "TRACING_SAMPLING_RATE", OLDER_RATIO, SAMPLER, RATIO_MEANS, NULL },
	{ "OTLP_ENDPOINT", OLDER_URL, ENDPOINT, ENDPOINT, NULL },
	{ "TRACING_COLLECTOR_URL", OLDER_URL, ENDPOINT, ENDPOINT, NULL },
	{ "JAEGER_ENDPOINT", OLDER_URL, ENDPOINT, ENDPOINT, NULL },
	{ "SERVICE_VERSION", OLDER_ATTRIBUTE, NULL, "service.version" ATTRIBUTES,
	  "service.version" },
	{ "APP_ENV", OLDER_ATTRIBUTE, NULL, "deployment.environment.name" ATTRIBUTES,
	  "deployment.environment.name" },
};

#define URL_MAX 512 /* longer ones are taken as they are */

static bool ends_with(struct bytes b, struct bytes end)
{
	return b.n >= end.n && memcmp(b.p + b.n - end.n, end.p, end.n) == 0;
}

/* A key of the list, as far as it is written without escapes. */
static bool list_has(const char *list, const char *key)
{
	struct bytes rest = bytes_of(list);

	while (rest.p) {
		struct bytes member = bytes_split(&rest, ',');
		const char *equals = member.n ? memchr(member.p, '=', member.n) : NULL;

		if (!equals)
			continue;
		member.n = (size_t)(equals - member.p);
		if (bytes_equal(bytes_trim(member), bytes_of(key)))
			return true;
	}
	return false;
}

/* Where the URL's path begins; its length when it has none. */
static size_t path_start(struct bytes url)
{
	size_t i = 0;

	for (size_t at = 0; at + 2 < url.n; at++)
		if (memcmp(url.p + at, "://", 3) == 0) {
			i = at + 3;
			break;
		}
	while (i < url.n && url.p[i] != '/' && url.p[i] != '?')
		i++;
	return i;
}

/* True: Jaeger's own protocol, which nobody speaks here; OTLP goes to the same host. */
static bool put_jaeger(struct text *out, struct bytes url)
{
	size_t end = path_start(url);
	struct bytes authority = { url.p, end }, path = { url.p + end, url.n - end };

	if (!ends_with(authority, BYTES(JAEGER_THRIFT_PORT)) &&
	    !bytes_start_with(path, BYTES(JAEGER_THRIFT_PATH)))
		return false;
	while (authority.n && authority.p[authority.n - 1] >= '0' &&
	       authority.p[authority.n - 1] <= '9')
		authority.n--;
	if (authority.n && authority.p[authority.n - 1] == ':')
		authority.n--;
	else /* no port: the digits belong to the host */
		authority.n = end;
	text_put(out, authority);
	text_put_string(out, OTLP_PORT);
	return true;
}

static void read_url(struct config_older *o, char copy[static URL_MAX])
{
	struct text t = { .p = copy, .size = URL_MAX };
	struct bytes url = bytes_trim(bytes_of(o->value));

	if (put_jaeger(&t, url)) {
		o->meaning = ENDPOINT " with the same host and port 4318, where Jaeger takes OTLP";
	} else {
		/* These were whole URLs; the variable is a base. */
		if (ends_with(url, BYTES(OTLP_PATH)))
			url.n -= sizeof(OTLP_PATH) - 1;
		text_put(&t, url);
	}
	if (!t.cut && t.n < t.size)
		o->value = text_string(&t);
}

static bool read_row(struct config_older *o, const char *resource_attributes)
{
	static char urls[CONFIG_OLDER_COUNT][URL_MAX];

	switch (o->row->kind) {
	case OLDER_ENABLED:
		if (!bytes_equal_nocase(bytes_trim(bytes_of(o->value)), BYTES("false")))
			return false;
		o->value = "true";
		o->meaning = "OTEL_SDK_DISABLED=true";
		return true;
	case OLDER_RATIO:
		o->ratio = o->value;
		o->value = "parentbased_traceidratio";
		return true;
	case OLDER_URL:
		read_url(o, urls[o->row - config_older_names]);
		return true;
	case OLDER_ATTRIBUTE:
		return !list_has(resource_attributes, o->row->attribute);
	}
	return false;
}

void config_older_read(char **envp, const char *resource_attributes,
		       void (*use)(void *arg, const struct config_older *o), void *arg)
{
	for (size_t i = 0; i < CONFIG_OLDER_COUNT; i++) {
		const struct config_older_name *row = &config_older_names[i];
		struct config_older o = { .row = row, .meaning = row->meaning };

		o.value = environment_get(envp, row->name);
		if (o.value && *o.value && read_row(&o, resource_attributes))
			use(arg, &o);
	}
}
