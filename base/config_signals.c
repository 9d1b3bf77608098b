/* SPDX-License-Identifier: Apache-2.0 */
/* Variables that have a form for one signal beside the general one. */
#include "base/config_reader.h"
#include "base/config_values.h"

/* What a number or choice holds, as text. */
static void put_field(struct text *t, const struct config_variable *v)
{
	uint32_t now = *(uint32_t *)config_field(v);

	if (v->type == CONFIG_ENUM)
		text_put(t, config_choice_name(v->choices, now));
	else
		text_put_u64(t, now);
}

/* A variable for one signal that is set wins over the general one, in the field at `offset`. It is
 * read by the general one's rules; not understood, what the general one gave stays. */
static void prefer_at(struct config_reader *r, size_t special, size_t general, size_t offset)
{
	const struct config_variable *g = &config_variables[general];
	const struct config_variable *s = &config_variables[special];
	struct config_variable row = *g;
	char now[32];
	struct text t = TEXT_ON(now);

	if (!r->values[special])
		return;
	if (g->type == CONFIG_STRING) {
		const char *value = *(const char **)config_field(s);

		if (*value)
			*(const char **)config_field(g) = value;
		return;
	}
	put_field(&t, g);
	row.name = s->name;
	row.fallback = text_string(&t);
	row.offset = offset;
	config_read_value(r, &row, r->values[special]);
}

static void prefer(struct config_reader *r, size_t special, size_t general)
{
	prefer_at(r, special, general, config_variables[general].offset);
}

/* A string for metrics that is unset is the general one. */
static void inherit(size_t special, size_t general)
{
	const char **field = config_field(&config_variables[special]);

	if (!**field)
		*field = *(const char **)config_field(&config_variables[general]);
}

/* Before the general fields become those of traces. */
static void settle_metrics(struct config_reader *r)
{
	config.metrics_otlp_protocol = config.otlp_protocol;
	config.metrics_otlp_timeout = config.otlp_timeout;
	config.metrics_otlp_protocol_set =
		r->values[ROW(otlp_protocol)] || r->values[ROW(otlp_metrics_protocol)];
	prefer_at(r, ROW(otlp_metrics_protocol), ROW(otlp_protocol),
		  offsetof(struct config, metrics_otlp_protocol));
	prefer_at(r, ROW(otlp_metrics_timeout), ROW(otlp_timeout),
		  offsetof(struct config, metrics_otlp_timeout));
	inherit(ROW(otlp_metrics_headers), ROW(otlp_headers));
	inherit(ROW(otlp_metrics_compression), ROW(otlp_compression));
	inherit(ROW(otlp_metrics_certificate), ROW(otlp_certificate));
	inherit(ROW(otlp_metrics_client_key), ROW(otlp_client_key));
	inherit(ROW(otlp_metrics_client_certificate), ROW(otlp_client_certificate));
	inherit(ROW(otlp_metrics_insecure), ROW(otlp_insecure));
}

/* Numbers that may be absent are strings; the specification's range is 0 to 2^31 - 1. */
static void check_limit(struct config_reader *r, size_t row)
{
	const struct config_variable *v = &config_variables[row];
	const char **field = config_field(v);
	uint32_t number;

	if (!**field || config_parse_uint(bytes_trim(bytes_of(*field)), 0, INT32_MAX, &number) == 0)
		return;
	config_warn_bad(r, v, bytes_of(*field), "not a whole number from 0 to 2147483647",
			BYTES("no limit"));
	*field = "";
}

/* A string that may be unset, of two choices; kept in one spelling for whoever compares it. */
static void check_choice(struct config_reader *r, size_t row, const char *const choice[2],
			 const char *instead)
{
	const struct config_variable *v = &config_variables[row];
	const char **field = config_field(v);
	struct bytes value = bytes_trim(bytes_of(*field));
	char what[64];
	struct text t = TEXT_ON(what);

	if (!value.n)
		return;
	for (int i = 0; i < 2; i++) {
		if (bytes_equal_nocase(value, bytes_of(choice[i]))) {
			*field = choice[i];
			return;
		}
	}
	text_format(&t, "not one of %s,%s", choice[0], choice[1]);
	config_warn_bad(r, v, value, text_string(&t), bytes_of(instead));
	*field = instead;
}

static void check_choices(struct config_reader *r)
{
	static const char *const compression[2] = { "gzip", "none" };
	static const char *const yes_no[2] = { "true", "false" };

	check_choice(r, ROW(otlp_compression), compression, "none");
	check_choice(r, ROW(otlp_traces_compression), compression, "none");
	check_choice(r, ROW(otlp_metrics_compression), compression, "none");
	check_choice(r, ROW(otlp_insecure), yes_no, "false");
	check_choice(r, ROW(otlp_traces_insecure), yes_no, "false");
	check_choice(r, ROW(otlp_metrics_insecure), yes_no, "false");
}

void config_settle_signals(struct config_reader *r)
{
	check_choices(r);
	check_limit(r, ROW(value_length_limit));
	check_limit(r, ROW(span_value_length_limit));
	settle_metrics(r);
	config.otlp_protocol_set =
		r->values[ROW(otlp_protocol)] || r->values[ROW(otlp_traces_protocol)];
	prefer(r, ROW(otlp_traces_protocol), ROW(otlp_protocol));
	prefer(r, ROW(otlp_traces_headers), ROW(otlp_headers));
	prefer(r, ROW(otlp_traces_compression), ROW(otlp_compression));
	prefer(r, ROW(otlp_traces_timeout), ROW(otlp_timeout));
	prefer(r, ROW(otlp_traces_certificate), ROW(otlp_certificate));
	prefer(r, ROW(otlp_traces_client_key), ROW(otlp_client_key));
	prefer(r, ROW(otlp_traces_client_certificate), ROW(otlp_client_certificate));
	prefer(r, ROW(otlp_traces_insecure), ROW(otlp_insecure));
	prefer(r, ROW(span_attribute_count_limit), ROW(attribute_count_limit));
	if (*config.span_value_length_limit)
		config.value_length_limit = config.span_value_length_limit;
}
