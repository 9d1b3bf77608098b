/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config.h"

#include <errno.h>
#include "base/config_values.h"
#include "base/counters.h"
#include "base/log.h"

#define STRINGS_MAX 65536 /* bytes of all copied values */
#define MESSAGE_MAX 512
#define SHOWN_MAX   120 /* bytes of a bad value that its warning shows */

struct config config;

const struct config_variable config_variables[] = {
#define VARIABLE(field, name, type, fallback, min, max, choices, sentence)        \
	{                                                                         \
		name,     CONFIG_##type, fallback, choices,                       \
		sentence, min,           max,      offsetof(struct config, field) \
	},
#include "base/variables.def"
#undef VARIABLE
};

#define VARIABLE_COUNT (sizeof(config_variables) / sizeof(config_variables[0]))

const size_t config_variable_count = VARIABLE_COUNT;

static char strings[STRINGS_MAX];

struct reader {
	const char *values[VARIABLE_COUNT]; /* as they stand in the environment; NULL: unset */
	size_t strings_used;
	void (*warn)(void *arg, const char *message);
	void *arg;
};

static void *field_at(const struct config_variable *v)
{
	return (char *)&config + v->offset;
}

static void __attribute__((format(printf, 2, 3)))
warn(const struct reader *r, const char *format, ...)
{
	char message[MESSAGE_MAX];
	struct text t = TEXT_ON(message);
	va_list args;

	va_start(args, format);
	text_vformat(&t, format, args);
	va_end(args);
	count(warnings);
	if (r->warn)
		r->warn(r->arg, text_string(&t));
	else
		log_warn("%s", text_string(&t));
}

/* NAME="value" is not <what>; using <instead> */
static void warn_bad(const struct reader *r, const struct config_variable *v, struct bytes value,
		     const char *what, struct bytes instead)
{
	bool cut = value.n > SHOWN_MAX;

	if (instead.n == 0)
		instead = BYTES("the default (unset)");
	warn(r, "%s=\"%.*s%s\": %s; using %.*s", v->name, cut ? SHOWN_MAX : (int)value.n,
	     value.n ? value.p : "", cut ? "..." : "", what, (int)instead.n, instead.p);
}

/* Copies s for good, or says why not and returns NULL. */
static const char *keep_string(struct reader *r, const struct config_variable *v, const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = strings + r->strings_used;

	if (n > STRINGS_MAX - r->strings_used) {
		warn_bad(r, v, bytes_of(s), "all values together are longer than 64 KiB",
			 bytes_of(v->fallback));
		return NULL;
	}
	memcpy(copy, s, n);
	r->strings_used += n;
	return copy;
}

static void read_bool(struct reader *r, const struct config_variable *v, struct bytes value)
{
	bool yes = bytes_equal_nocase(value, BYTES("true"));

	/* The specification: whatever is not "true" is false, also where true is the default. */
	if (!yes && !bytes_equal_nocase(value, BYTES("false")))
		warn_bad(r, v, value, "neither true nor false", BYTES("false"));
	*(bool *)field_at(v) = yes;
}

static void read_uint(struct reader *r, const struct config_variable *v, struct bytes value)
{
	char range[64];
	struct text t = TEXT_ON(range);

	if (config_parse_uint(value, v->min, v->max, field_at(v)) == 0)
		return;
	text_format(&t, "not a whole number from %u to %u", v->min, v->max);
	warn_bad(r, v, value, text_string(&t), bytes_of(v->fallback));
}

static void read_enum(struct reader *r, const struct config_variable *v, struct bytes value)
{
	char what[MESSAGE_MAX];
	struct text t = TEXT_ON(what);

	if (config_parse_choice(value, v->choices, field_at(v)) == 0)
		return;
	text_format(&t, "not one of %s", v->choices);
	warn_bad(r, v, value, text_string(&t), bytes_of(v->fallback));
}

static void put_mask(struct text *t, const char *choices, uint32_t mask)
{
	for (uint32_t i = 0; mask >> i; i++) {
		struct bytes name = config_choice_name(choices, i);

		if (!(mask & 1u << i))
			continue;
		if (t->n)
			text_put_char(t, ',');
		text_put(t, name);
	}
}

static void apply_set(const struct config_variable *v, const struct config_set *set)
{
	*(uint32_t *)field_at(v) = set->mask;
	if (v->offset == offsetof(struct config, propagators))
		memcpy(config.propagator_order, set->order, sizeof(set->order));
}

static void read_set(struct reader *r, const struct config_variable *v, struct bytes value)
{
	char bad[MESSAGE_MAX], used[128];
	struct text unknown = TEXT_ON(bad), names = TEXT_ON(used);
	char message[MESSAGE_MAX];
	struct text what = TEXT_ON(message);
	struct config_set set;

	config_parse_set(value, v->choices, &set, &unknown);
	if (set.mask)
		apply_set(v, &set);
	if (!unknown.n)
		return;
	put_mask(&names, v->choices, *(uint32_t *)field_at(v));
	text_format(&what, "%s not supported here", text_string(&unknown));
	warn_bad(r, v, value, text_string(&what), text_bytes(&names));
}

static void read_value(struct reader *r, const struct config_variable *v, const char *string)
{
	struct bytes value = bytes_trim(bytes_of(string));
	const char *copy;

	switch (v->type) {
	case CONFIG_BOOL:
		read_bool(r, v, value);
		break;
	case CONFIG_UINT:
	case CONFIG_MS:
		read_uint(r, v, value);
		break;
	case CONFIG_RATIO:
		if (config_parse_ratio(value, field_at(v)) < 0)
			warn_bad(r, v, value, "not a number from 0 to 1", bytes_of(v->fallback));
		break;
	case CONFIG_STRING:
		copy = keep_string(r, v, string);
		if (copy)
			*(const char **)field_at(v) = copy;
		break;
	case CONFIG_ENUM:
		read_enum(r, v, value);
		break;
	case CONFIG_SET:
		read_set(r, v, value);
		break;
	}
}

static void set_default(const struct config_variable *v)
{
	struct bytes fallback = bytes_of(v->fallback);
	char none[1];
	struct text unknown = TEXT_ON(none);
	struct config_set set;

	switch (v->type) {
	case CONFIG_BOOL:
		*(bool *)field_at(v) = bytes_equal(fallback, BYTES("true"));
		break;
	case CONFIG_UINT:
	case CONFIG_MS:
		config_parse_uint(fallback, 0, UINT32_MAX, field_at(v));
		break;
	case CONFIG_RATIO:
		config_parse_ratio(fallback, field_at(v));
		break;
	case CONFIG_STRING:
		*(const char **)field_at(v) = v->fallback;
		break;
	case CONFIG_ENUM:
		config_parse_choice(fallback, v->choices, field_at(v));
		break;
	case CONFIG_SET:
		config_parse_set(fallback, v->choices, &set, &unknown);
		apply_set(v, &set);
		break;
	}
}

/* The first of several entries with one name counts, as for getenv(); empty is unset. */
static void collect(struct reader *r, char **envp)
{
	bool seen[VARIABLE_COUNT] = { false };

	for (; envp && *envp; envp++) {
		if (strncmp(*envp, "OTEL_", 5) != 0 && strncmp(*envp, "TAGALONG_", 9) != 0)
			continue;
		for (size_t i = 0; i < VARIABLE_COUNT; i++) {
			size_t n = strlen(config_variables[i].name);

			if (strncmp(*envp, config_variables[i].name, n) != 0 || (*envp)[n] != '=')
				continue;
			if (!seen[i] && (*envp)[n + 1])
				r->values[i] = *envp + n + 1;
			seen[i] = true;
			break;
		}
	}
}

/* The row of a field, and what the environment says for it. */
#define ROW(field) row_at(offsetof(struct config, field))

static size_t row_at(size_t offset)
{
	size_t i = 0;

	while (i + 1 < VARIABLE_COUNT && config_variables[i].offset != offset)
		i++;
	return i;
}

/* What a number or choice holds, as text. */
static void put_field(struct text *t, const struct config_variable *v)
{
	uint32_t now = *(uint32_t *)field_at(v);

	if (v->type == CONFIG_ENUM)
		text_put(t, config_choice_name(v->choices, now));
	else
		text_put_u64(t, now);
}

/* A variable for traces (or spans) that is set wins over the general one. It is read by the general
 * one's rules; not understood, what the general one gave stays. */
static void prefer(struct reader *r, size_t special, size_t general)
{
	const struct config_variable *g = &config_variables[general];
	const struct config_variable *s = &config_variables[special];
	struct config_variable row = *g;
	char now[32];
	struct text t = TEXT_ON(now);

	if (!r->values[special])
		return;
	if (g->type == CONFIG_STRING) {
		const char *value = *(const char **)field_at(s);

		if (*value)
			*(const char **)field_at(g) = value;
		return;
	}
	put_field(&t, g);
	row.name = s->name;
	row.fallback = text_string(&t);
	read_value(r, &row, r->values[special]);
}

/* Numbers that may be absent are strings; the specification's range is 0 to 2^31 - 1. */
static void check_limit(struct reader *r, size_t row)
{
	const struct config_variable *v = &config_variables[row];
	const char **field = field_at(v);
	uint32_t number;

	if (!**field || config_parse_uint(bytes_trim(bytes_of(*field)), 0, INT32_MAX, &number) == 0)
		return;
	warn_bad(r, v, bytes_of(*field), "not a whole number from 0 to 2147483647",
		 BYTES("no limit"));
	*field = "";
}

static void check_compression(struct reader *r, size_t row)
{
	const struct config_variable *v = &config_variables[row];
	const char **field = field_at(v);
	struct bytes value = bytes_trim(bytes_of(*field));

	if (!value.n || bytes_equal_nocase(value, BYTES("gzip")) ||
	    bytes_equal_nocase(value, BYTES("none"))) {
		/* One spelling for whoever compares it. */
		if (value.n)
			*field = ascii_lower(value.p[0]) == 'g' ? "gzip" : "none";
		return;
	}
	warn_bad(r, v, value, "not one of gzip,none", BYTES("none"));
	*field = "none";
}

static void settle_signals(struct reader *r)
{
	check_compression(r, ROW(otlp_compression));
	check_compression(r, ROW(otlp_traces_compression));
	check_limit(r, ROW(value_length_limit));
	check_limit(r, ROW(span_value_length_limit));
	prefer(r, ROW(otlp_traces_protocol), ROW(otlp_protocol));
	prefer(r, ROW(otlp_traces_headers), ROW(otlp_headers));
	prefer(r, ROW(otlp_traces_compression), ROW(otlp_compression));
	prefer(r, ROW(otlp_traces_timeout), ROW(otlp_timeout));
	prefer(r, ROW(span_attribute_count_limit), ROW(attribute_count_limit));
	if (*config.span_value_length_limit)
		config.value_length_limit = config.span_value_length_limit;
}

/* The argument speaks to the ratio samplers only; others leave it to whom it is meant for. */
static void settle_sampler(struct reader *r)
{
	const struct config_variable *v = &config_variables[ROW(sampler_ratio)];
	const char *argument = r->values[ROW(sampler_ratio)];
	struct bytes value = bytes_trim(bytes_of(argument));

	if (!argument ||
	    (config.sampler != SAMPLER_RATIO && config.sampler != SAMPLER_PARENT_RATIO))
		return;
	config.sampler_arg_set = config_parse_ratio(value, &config.sampler_ratio) == 0;
	if (!config.sampler_arg_set)
		warn_bad(r, v, value, "not a number from 0 to 1", bytes_of(v->fallback));
}

static void settle_rest(struct reader *r)
{
	const struct config_variable *v = &config_variables[ROW(stacktrace)];

	if (!config_is_stacktrace(bytes_of(config.stacktrace))) {
		warn_bad(r, v, bytes_of(config.stacktrace), "not one of off, error, slow:MS",
			 BYTES("off"));
		config.stacktrace = "off";
	}
	config.traces_exporter_set = r->values[ROW(traces_exporter)] != NULL;
	if (config.bsp_max_batch > config.bsp_max_queue) {
		if (r->values[ROW(bsp_max_batch)])
			warn(r,
			     "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=\"%u\": more than "
			     "OTEL_BSP_MAX_QUEUE_SIZE; using %u",
			     config.bsp_max_batch, config.bsp_max_queue);
		config.bsp_max_batch = config.bsp_max_queue;
	}
	if (*config.config_file)
		warn(r, "OTEL_CONFIG_FILE=\"%.*s\": not read yet; using the other variables",
		     SHOWN_MAX, config.config_file);
	if (*config.spill_dir)
		warn(r, "TAGALONG_SPILL_DIR=\"%.*s\": not read yet; using memory only", SHOWN_MAX,
		     config.spill_dir);
	if (config.metrics_exporter & EXPORTER_OTLP)
		warn(r, "OTEL_METRICS_EXPORTER=\"otlp\": not read yet; using none");
}

/* The log first, so that it can hold what is said about the others. */
static void start_log(struct reader *r, size_t log)
{
	const struct config_variable *level = &config_variables[ROW(log_level)];

	if (r->values[log])
		read_value(r, &config_variables[log], r->values[log]);
	config_parse_choice(bytes_trim(bytes_of(r->values[ROW(log_level)])), level->choices,
			    field_at(level));
	if (!r->warn)
		log_init(config.log, (enum log_level)config.log_level);
}

void config_read(char **envp, void (*warn_fn)(void *arg, const char *message), void *arg)
{
	struct reader r = { .warn = warn_fn, .arg = arg };
	const size_t log = ROW(log), argument = ROW(sampler_ratio);

	memset(&config, 0, sizeof(config));
	collect(&r, envp);
	for (size_t i = 0; i < VARIABLE_COUNT; i++)
		set_default(&config_variables[i]);
	start_log(&r, log);
	for (size_t i = 0; i < VARIABLE_COUNT; i++)
		if (r.values[i] && i != log && i != argument)
			read_value(&r, &config_variables[i], r.values[i]);
	settle_sampler(&r);
	settle_signals(&r);
	settle_rest(&r);
}
