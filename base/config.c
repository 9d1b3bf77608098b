/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config.h"

#include <errno.h>
#include "base/config_older.h"
#include "base/config_reader.h"
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

const size_t config_variable_count = CONFIG_VARIABLE_COUNT;

static char strings[STRINGS_MAX];

static void __attribute__((format(printf, 2, 3)))
warn(const struct config_reader *r, const char *format, ...)
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

void config_warn_bad(const struct config_reader *r, const struct config_variable *v,
		     struct bytes value, const char *what, struct bytes instead)
{
	bool cut = value.n > SHOWN_MAX;

	if (instead.n == 0)
		instead = BYTES("the default (unset)");
	warn(r, "%s=\"%.*s%s\": %s; using %.*s", v->name, cut ? SHOWN_MAX : (int)value.n,
	     value.n ? value.p : "", cut ? "..." : "", what, (int)instead.n, instead.p);
}

/* Copies s for good, or says why not and returns NULL. */
static const char *keep_string(struct config_reader *r, const struct config_variable *v,
			       const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = strings + r->strings_used;

	if (n > STRINGS_MAX - r->strings_used) {
		config_warn_bad(r, v, bytes_of(s), "all values together are longer than 64 KiB",
				bytes_of(v->fallback));
		return NULL;
	}
	memcpy(copy, s, n);
	r->strings_used += n;
	return copy;
}

static void read_bool(struct config_reader *r, const struct config_variable *v, struct bytes value)
{
	bool yes = bytes_equal_nocase(value, BYTES("true"));

	/* The specification: whatever is not "true" is false, also where true is the default. */
	if (!yes && !bytes_equal_nocase(value, BYTES("false")))
		config_warn_bad(r, v, value, "neither true nor false", BYTES("false"));
	*(bool *)config_field(v) = yes;
}

static void read_uint(struct config_reader *r, const struct config_variable *v, struct bytes value)
{
	char range[64];
	struct text t = TEXT_ON(range);

	if (config_parse_uint(value, v->min, v->max, config_field(v)) == 0)
		return;
	text_format(&t, "not a whole number from %u to %u", v->min, v->max);
	config_warn_bad(r, v, value, text_string(&t), bytes_of(v->fallback));
}

static void read_enum(struct config_reader *r, const struct config_variable *v, struct bytes value)
{
	char what[MESSAGE_MAX];
	struct text t = TEXT_ON(what);

	if (config_parse_choice(value, v->choices, config_field(v)) == 0)
		return;
	text_format(&t, "not one of %s", v->choices);
	config_warn_bad(r, v, value, text_string(&t), bytes_of(v->fallback));
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
	*(uint32_t *)config_field(v) = set->mask;
	if (v->offset == offsetof(struct config, propagators))
		memcpy(config.propagator_order, set->order, sizeof(set->order));
}

static void read_set(struct config_reader *r, const struct config_variable *v, struct bytes value)
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
	put_mask(&names, v->choices, *(uint32_t *)config_field(v));
	text_format(&what, "%s not supported here", text_string(&unknown));
	config_warn_bad(r, v, value, text_string(&what), text_bytes(&names));
}

void config_read_value(struct config_reader *r, const struct config_variable *v, const char *string)
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
		if (config_parse_ratio(value, config_field(v)) < 0)
			config_warn_bad(r, v, value, "not a number from 0 to 1",
					bytes_of(v->fallback));
		break;
	case CONFIG_STRING:
		copy = keep_string(r, v, string);
		if (copy)
			*(const char **)config_field(v) = copy;
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
		*(bool *)config_field(v) = bytes_equal(fallback, BYTES("true"));
		break;
	case CONFIG_UINT:
	case CONFIG_MS:
		config_parse_uint(fallback, 0, UINT32_MAX, config_field(v));
		break;
	case CONFIG_RATIO:
		config_parse_ratio(fallback, config_field(v));
		break;
	case CONFIG_STRING:
		*(const char **)config_field(v) = v->fallback;
		break;
	case CONFIG_ENUM:
		config_parse_choice(fallback, v->choices, config_field(v));
		break;
	case CONFIG_SET:
		config_parse_set(fallback, v->choices, &set, &unknown);
		apply_set(v, &set);
		break;
	}
}

/* The first of several entries with one name counts, as for getenv(); empty is unset. */
static void collect(struct config_reader *r, char **envp)
{
	bool seen[CONFIG_VARIABLE_COUNT] = { false };

	for (; envp && *envp; envp++) {
		if (strncmp(*envp, "OTEL_", 5) != 0 && strncmp(*envp, "TAGALONG_", 9) != 0)
			continue;
		for (size_t i = 0; i < CONFIG_VARIABLE_COUNT; i++) {
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

static size_t row_named(const char *name)
{
	size_t i = 0;

	while (i + 1 < CONFIG_VARIABLE_COUNT && strcmp(config_variables[i].name, name) != 0)
		i++;
	return i;
}

/* A variable that is set always wins. */
static void take_older(void *arg, const struct config_older *o)
{
	struct config_reader *r = arg;
	const char **value;

	if (o->row->variable) {
		value = &r->values[row_named(o->row->variable)];
		if (*value)
			return;
		*value = o->value;
	}
	if (o->ratio && !r->values[ROW(sampler_ratio)])
		r->values[ROW(sampler_ratio)] = o->ratio;
	warn(r, "%s is an older name: read as %s", o->row->name, o->meaning);
}

/* The argument speaks to the ratio samplers only; others leave it to whom it is meant for. */
static void settle_sampler(struct config_reader *r)
{
	const struct config_variable *v = &config_variables[ROW(sampler_ratio)];
	const char *argument = r->values[ROW(sampler_ratio)];
	struct bytes value = bytes_trim(bytes_of(argument));

	if (!argument ||
	    (config.sampler != SAMPLER_RATIO && config.sampler != SAMPLER_PARENT_RATIO))
		return;
	config.sampler_arg_set = config_parse_ratio(value, &config.sampler_ratio) == 0;
	if (!config.sampler_arg_set)
		config_warn_bad(r, v, value, "not a number from 0 to 1", bytes_of(v->fallback));
}

static void settle_rest(struct config_reader *r)
{
	const struct config_variable *v = &config_variables[ROW(stacktrace)];

	if (!config_is_stacktrace(bytes_of(config.stacktrace))) {
		config_warn_bad(r, v, bytes_of(config.stacktrace), "not one of off, error, slow:MS",
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
}

/* The log first, so that it can hold what is said about the others. */
static void start_log(struct config_reader *r, size_t log)
{
	const struct config_variable *level = &config_variables[ROW(log_level)];

	if (r->values[log])
		config_read_value(r, &config_variables[log], r->values[log]);
	config_parse_choice(bytes_trim(bytes_of(r->values[ROW(log_level)])), level->choices,
			    config_field(level));
	if (!r->warn)
		log_init(config.log, (enum log_level)config.log_level);
}

void config_read(char **envp, void (*warn_fn)(void *arg, const char *message), void *arg)
{
	struct config_reader r = { .warn = warn_fn, .arg = arg };
	const size_t log = ROW(log), argument = ROW(sampler_ratio);

	memset(&config, 0, sizeof(config));
	collect(&r, envp);
	for (size_t i = 0; i < CONFIG_VARIABLE_COUNT; i++)
		set_default(&config_variables[i]);
	start_log(&r, log);
	config_older_read(envp, r.values[ROW(resource_attributes)], take_older, &r);
	for (size_t i = 0; i < CONFIG_VARIABLE_COUNT; i++)
		if (r.values[i] && i != log && i != argument)
			config_read_value(&r, &config_variables[i], r.values[i]);
	settle_sampler(&r);
	config_settle_signals(&r);
	settle_rest(&r);
}
