/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/config.h"
#include "base/config_values.h"
#include "base/counters.h"
#include "guard.h"

static char warnings[16][1024];
static int warning_count;

static void remember(void *arg, const char *message)
{
	(void)arg;
	if (warning_count < 16)
		snprintf(warnings[warning_count], sizeof(warnings[0]), "%s", message);
	warning_count++;
}

/* Each of the arguments is one NAME=value. */
#define read_config(...) read_config_from((char *[]){ __VA_ARGS__, NULL })

static void read_config_from(char **envp)
{
	warning_count = 0;
	config_read(envp, remember, NULL);
}

/* Exactly one warning, and it says all of these. */
static void expect_warning(const char *name, const char *value, const char *instead)
{
	cr_assert_eq(warning_count, 1, "%d warnings: %s", warning_count, warnings[0]);
	cr_assert_not_null(strstr(warnings[0], name), "%s", warnings[0]);
	cr_assert_not_null(strstr(warnings[0], value), "%s", warnings[0]);
	cr_assert_not_null(strstr(warnings[0], instead), "%s", warnings[0]);
}

Test(config, holds_the_table_defaults_when_nothing_is_set)
{
	read_config("PATH=/bin");
	cr_assert_eq(warning_count, 0);
	cr_assert(!config.disabled && !config.stats && config.trust_inbound);
	cr_assert_eq(config.propagators, 1u << PROPAGATOR_TRACECONTEXT | 1u << PROPAGATOR_BAGGAGE);
	cr_assert_eq(config.propagator_order[0], PROPAGATOR_TRACECONTEXT);
	cr_assert_eq(config.propagator_order[1], PROPAGATOR_BAGGAGE);
	cr_assert_eq(config.propagator_order[2], 0);
	cr_assert_eq(config.sampler, SAMPLER_PARENT_ALWAYS_ON);
	cr_assert(config.sampler_ratio == 1.0 && !config.sampler_arg_set);
	cr_assert_eq(config.traces_exporter, EXPORTER_OTLP);
	cr_assert_eq(config.bsp_schedule_delay, 1000);
	cr_assert_eq(config.bsp_max_queue, 2048);
	cr_assert_eq(config.bsp_max_batch, 512);
	cr_assert_eq(config.log_level, LOG_LEVEL_INFO);
	cr_assert_eq(config.link, LINK_EXACT);
	cr_assert_str_eq(config.propagate_to, "*");
	cr_assert_str_eq(config.service_name, "");
	cr_assert_str_eq(config.stacktrace, "off");
	read_config_from(NULL);
	cr_assert_eq(config.bsp_max_queue, 2048);
}

Test(config, has_a_default_in_range_for_each_variable)
{
	for (size_t i = 0; i < config_variable_count; i++) {
		const struct config_variable *v = &config_variables[i];
		char entry[300];

		snprintf(entry, sizeof(entry), "%s=%s", v->name, v->fallback);
		read_config(entry);
		cr_assert_eq(warning_count, 0, "%s: %s", entry, warnings[0]);
	}
}

Test(config, takes_an_empty_value_for_an_unset_one)
{
	for (size_t i = 0; i < config_variable_count; i++) {
		char entry[300];

		snprintf(entry, sizeof(entry), "%s=", config_variables[i].name);
		read_config(entry);
		cr_assert_eq(warning_count, 0, "%s: %s", entry, warnings[0]);
	}
	read_config("TAGALONG_TRUST_INBOUND=");
	cr_assert(config.trust_inbound);
}

Test(config, takes_the_first_of_two_entries)
{
	read_config("OTEL_SERVICE_NAME=one", "OTEL_SERVICE_NAME=two");
	cr_assert_str_eq(config.service_name, "one");
	read_config("OTEL_SERVICE_NAME=", "OTEL_SERVICE_NAME=two");
	cr_assert_str_eq(config.service_name, "");
	read_config("OTEL_SERVICE_NAMES=x", "OTEL_SERVICE_NAM=x", "OTEL_SERVICE_NAME");
	cr_assert_str_eq(config.service_name, "");
}

Test(config, keeps_values_after_the_environment_is_gone)
{
	char entry[] = "OTEL_SERVICE_NAME=shop";

	read_config(entry);
	memset(entry, 'x', sizeof(entry) - 1);
	cr_assert_str_eq(config.service_name, "shop");
}

Test(config, takes_only_true_for_true)
{
	read_config("OTEL_SDK_DISABLED=TrUe", "TAGALONG_STATS= true ");
	cr_assert(config.disabled && config.stats);
	cr_assert_eq(warning_count, 0);
	read_config("OTEL_SDK_DISABLED=False");
	cr_assert(!config.disabled);
	cr_assert_eq(warning_count, 0);
	read_config("OTEL_SDK_DISABLED=1");
	cr_assert(!config.disabled);
	expect_warning("OTEL_SDK_DISABLED", "\"1\"", "using false");
	read_config("TAGALONG_TRUST_INBOUND=yes");
	cr_assert(!config.trust_inbound);
	expect_warning("TAGALONG_TRUST_INBOUND", "\"yes\"", "using false");
}

Test(config, refuses_numbers_that_are_none_or_out_of_range)
{
	static const char *const bad[] = { "-1",  "+5",         "0x10",
					   "1e3", "12ms",       "1 2",
					   "0",   "2147483648", "99999999999999999999999" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char entry[100];

		snprintf(entry, sizeof(entry), "OTEL_BSP_MAX_QUEUE_SIZE=%s", bad[i]);
		read_config(entry);
		cr_assert_eq(config.bsp_max_queue, 2048);
		expect_warning("OTEL_BSP_MAX_QUEUE_SIZE", bad[i], "using 2048");
	}
	read_config("OTEL_BSP_MAX_QUEUE_SIZE= 4096 ", "OTEL_BSP_SCHEDULE_DELAY=0");
	cr_assert_eq(warning_count, 0);
	cr_assert_eq(config.bsp_max_queue, 4096);
	cr_assert_eq(config.bsp_schedule_delay, 0);
}

Test(config, keeps_the_batch_within_the_queue)
{
	read_config("OTEL_BSP_MAX_QUEUE_SIZE=100");
	cr_assert_eq(config.bsp_max_batch, 100);
	cr_assert_eq(warning_count, 0, "nobody asked for the default batch");
	read_config("OTEL_BSP_MAX_QUEUE_SIZE=100", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=200");
	cr_assert_eq(config.bsp_max_batch, 100);
	expect_warning("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "\"200\"", "using 100");
}

Test(config, reads_propagators_in_order_and_once)
{
	read_config("OTEL_PROPAGATORS=B3, tracecontext,b3 ,,jaeger,TraceContext,b3multi,baggage");
	cr_assert_eq(warning_count, 0);
	cr_assert_arr_eq(config.propagator_order,
			 ((uint8_t[]){ PROPAGATOR_B3, PROPAGATOR_TRACECONTEXT, PROPAGATOR_JAEGER,
				       PROPAGATOR_B3MULTI, PROPAGATOR_BAGGAGE, 0 }),
			 6);
	cr_assert_eq(config.propagators, 0x3e);
}

Test(config, reads_no_propagator_from_none)
{
	read_config("OTEL_PROPAGATORS=none");
	cr_assert_eq(warning_count, 0);
	cr_assert_eq(config.propagators, 1u << PROPAGATOR_NONE);
	cr_assert_eq(config.propagator_order[0], 0);
	read_config("OTEL_PROPAGATORS=none,b3");
	expect_warning("OTEL_PROPAGATORS", "none", "using b3");
	cr_assert_eq(config.propagator_order[0], PROPAGATOR_B3);
}

Test(config, leaves_out_propagators_it_does_not_know)
{
	read_config("OTEL_PROPAGATORS=xray,tracecontext,ottrace");
	expect_warning("OTEL_PROPAGATORS", "xray,ottrace not supported", "using tracecontext");
	cr_assert_eq(config.propagators, 1u << PROPAGATOR_TRACECONTEXT);
	read_config("OTEL_PROPAGATORS=xray");
	expect_warning("OTEL_PROPAGATORS", "\"xray\"", "using tracecontext,baggage");
	cr_assert_eq(config.propagator_order[0], PROPAGATOR_TRACECONTEXT);
}

Test(config, knows_the_samplers_but_the_remote_ones)
{
	static const char *const remote[] = { "jaeger_remote", "parentbased_jaeger_remote", "xray",
					      "unknown" };

	read_config("OTEL_TRACES_SAMPLER=ParentBased_Always_Off");
	cr_assert_eq(config.sampler, SAMPLER_PARENT_ALWAYS_OFF);
	cr_assert_eq(warning_count, 0);
	for (size_t i = 0; i < 4; i++) {
		char entry[100];

		snprintf(entry, sizeof(entry), "OTEL_TRACES_SAMPLER=%s", remote[i]);
		read_config(entry, "OTEL_TRACES_SAMPLER_ARG=endpoint=http://x");
		cr_assert_eq(config.sampler, SAMPLER_PARENT_ALWAYS_ON);
		expect_warning("OTEL_TRACES_SAMPLER", remote[i], "using parentbased_always_on");
	}
}

Test(config, reads_the_ratio_of_the_ratio_samplers_only)
{
	read_config("OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.25");
	cr_assert(config.sampler_ratio == 0.25 && config.sampler_arg_set);
	read_config("OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=25%");
	cr_assert(config.sampler_ratio == 1.0 && !config.sampler_arg_set);
	expect_warning("OTEL_TRACES_SAMPLER_ARG", "\"25%\"", "using 1.0");
	read_config("OTEL_TRACES_SAMPLER=always_on", "OTEL_TRACES_SAMPLER_ARG=25%");
	cr_assert_eq(warning_count, 0);
	cr_assert(!config.sampler_arg_set);
}

static void same_as_strtod(const char *value)
{
	struct bytes b = guard_string(value);
	double v = -1;

	cr_assert_eq(config_parse_ratio(b, &v), 0, "%s", value);
	cr_assert(v == strtod(value, NULL), "%s is %.20g", value, v);
	guard_free(b);
}

Test(config, reads_ratios_to_the_last_digit)
{
	static const char *const good[] = {
		"0",
		"1",
		"0.0",
		"1.0",
		"1.000",
		".5",
		"0.",
		"1.",
		"0.1",
		"0.3",
		"0.7",
		"0.001",
		"1e-3",
		"1E-3",
		"5e-1",
		"+0.5",
		"10e-1",
		"0.01e2",
		"00000000000000000000000.5",
		"0.333333333333333",
		"0e999999999999",
		"100000000000000000000e-21",
		"1e-9",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		same_as_strtod(good[i]);
	for (int i = 0; i <= 10000; i++) {
		char value[20];

		snprintf(value, sizeof(value), "0.%04d", i % 10000);
		same_as_strtod(value);
	}
}

Test(config, refuses_ratios_that_are_none)
{
	static const char *const bad[] = {
		"",
		".",
		"-0.5",
		"-0",
		"1.1",
		"2",
		"1e1",
		"nan",
		"inf",
		"0x1p-1",
		"0.5 ",
		" 0.5",
		"0.5.5",
		"e5",
		"0.5e",
		"0.5e+",
		"0.5x",
		"0,5",
		"1e999999999999",
		"++1",
		"50%",
		"1.00000000000000000001e1",
		"99999999999999999999999999999",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bytes b = guard_string(bad[i]);
		double v = -1;

		cr_assert_lt(config_parse_ratio(b, &v), 0, "%s", bad[i]);
		cr_assert(v == -1);
		guard_free(b);
	}
}

Test(config, prefers_the_variables_for_traces)
{
	read_config("OTEL_EXPORTER_OTLP_TIMEOUT=1", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=2",
		    "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
		    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=HTTP/JSON",
		    "OTEL_EXPORTER_OTLP_HEADERS=a=1", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=b=2",
		    "OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
		    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION=None",
		    "OTEL_EXPORTER_OTLP_ENDPOINT=http://a",
		    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://b", "OTEL_ATTRIBUTE_COUNT_LIMIT=5",
		    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=6", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=7",
		    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT=8");
	cr_assert_eq(warning_count, 0);
	cr_assert_eq(config.otlp_timeout, 2);
	cr_assert_eq(config.otlp_protocol, OTLP_HTTP_JSON);
	cr_assert_str_eq(config.otlp_headers, "b=2");
	cr_assert_str_eq(config.otlp_compression, "none");
	cr_assert_str_eq(config.otlp_endpoint, "http://a");
	cr_assert_str_eq(config.otlp_traces_endpoint, "http://b");
	cr_assert_eq(config.attribute_count_limit, 6);
	cr_assert_str_eq(config.value_length_limit, "8");
}

Test(config, reads_what_is_for_metrics_alone)
{
	read_config("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=Delta",
		    "OTEL_METRIC_EXPORT_INTERVAL=0", "OTEL_METRICS_EXPORTER=otlp");
	expect_warning("OTEL_METRIC_EXPORT_INTERVAL", "\"0\"", "using 60000");
	cr_assert_eq(config.otlp_metrics_temporality, TEMPORALITY_DELTA);
	cr_assert_eq(config.metrics_exporter, EXPORTER_OTLP);
}

Test(config, falls_back_to_the_general_variable)
{
	read_config("OTEL_EXPORTER_OTLP_TIMEOUT=77", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=soon");
	expect_warning("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "\"soon\"", "using 77");
	cr_assert_eq(config.otlp_timeout, 77);
	read_config("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=carrier-pigeon");
	expect_warning("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "pigeon", "using http/protobuf");
	read_config("OTEL_EXPORTER_OTLP_HEADERS=a=1", "OTEL_EXPORTER_OTLP_COMPRESSION=GZIP",
		    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=9");
	cr_assert_str_eq(config.otlp_headers, "a=1");
	cr_assert_str_eq(config.otlp_compression, "gzip");
	cr_assert_str_eq(config.value_length_limit, "9");
	cr_assert_eq(warning_count, 0);
}

Test(config, checks_values_that_are_kept_as_text)
{
	read_config("OTEL_EXPORTER_OTLP_COMPRESSION=zstd");
	expect_warning("OTEL_EXPORTER_OTLP_COMPRESSION", "\"zstd\"", "using none");
	cr_assert_str_eq(config.otlp_compression, "none");
	read_config("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT=-1");
	expect_warning("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "\"-1\"", "no limit");
	cr_assert_str_eq(config.value_length_limit, "");
	read_config("TAGALONG_STACKTRACE=slow:1s");
	expect_warning("TAGALONG_STACKTRACE", "slow:1s", "using off");
	cr_assert_str_eq(config.stacktrace, "off");
	read_config("TAGALONG_STACKTRACE=slow:250");
	cr_assert_eq(warning_count, 0);
	cr_assert_str_eq(config.stacktrace, "slow:250");
}

Test(config, says_once_what_is_not_read_yet)
{
	read_config("OTEL_CONFIG_FILE=otel.yaml");
	expect_warning("OTEL_CONFIG_FILE", "otel.yaml", "not read yet");
}

Test(config, reads_sets_of_exporters_and_conventions)
{
	read_config("OTEL_TRACES_EXPORTER=console,OTLP",
		    "OTEL_SEMCONV_STABILITY_OPT_IN=http/dup,rpc");
	cr_assert_eq(config.traces_exporter, EXPORTER_CONSOLE | EXPORTER_OTLP);
	cr_assert_eq(config.semconv, SEMCONV_HTTP_DUP | SEMCONV_RPC);
	cr_assert_eq(warning_count, 0);
	read_config("OTEL_TRACES_EXPORTER=none");
	cr_assert_eq(config.traces_exporter, EXPORTER_NONE);
	cr_assert_eq(warning_count, 0);
	read_config("OTEL_TRACES_EXPORTER=zipkin");
	expect_warning("OTEL_TRACES_EXPORTER", "zipkin", "using otlp");
}

static char *long_entry(const char *name, size_t n)
{
	char *entry = malloc(strlen(name) + 1 + n + 1);

	sprintf(entry, "%s=", name);
	memset(entry + strlen(entry), 'v', n);
	entry[strlen(name) + 1 + n] = '\0';
	return entry;
}

Test(config, refuses_text_past_64_kib_in_all)
{
	char *most = long_entry("OTEL_RESOURCE_ATTRIBUTES", 65535 - 10);
	char *more = long_entry("TAGALONG_ROUTES", 200);

	read_config(most, "OTEL_SERVICE_NAME=shop");
	cr_assert_eq(warning_count, 0);
	cr_assert_eq(strlen(config.resource_attributes), 65535 - 10);
	cr_assert_str_eq(config.service_name, "shop");
	read_config(most, "OTEL_SERVICE_NAME=shop", more);
	expect_warning("TAGALONG_ROUTES", "vvv...", "64 KiB");
	cr_assert_str_eq(config.routes, "");
	cr_assert_str_eq(config.service_name, "shop");
	free(most);
	free(more);
}

Test(config, survives_a_megabyte_and_every_byte_in_each_variable)
{
	for (size_t i = 0; i < config_variable_count; i++) {
		char *entry = long_entry(config_variables[i].name, 1 << 20);
		size_t start = strlen(config_variables[i].name) + 1;

		read_config(entry);
		cr_assert_leq(warning_count, 2);
		for (size_t k = start; k < start + 1000; k++)
			entry[k] = (char)(k % 255 + 1);
		entry[start + 1000] = '\0';
		read_config(entry);
		memset(entry + start, ',', 1000);
		read_config(entry);
		memset(entry + start, '9', 1000);
		read_config(entry);
		free(entry);
	}
}

Test(config, counts_its_warnings)
{
	uint64_t before = counted(warnings);

	read_config("OTEL_SDK_DISABLED=1", "OTEL_LOG_LEVEL=loud");
	cr_assert_eq(counted(warnings) - before, 2);
}

Test(config, warns_into_the_log_it_has_just_read)
{
	char path[] = "/tmp/tagalong-config-XXXXXX", entry[100], content[1000];
	int fd = mkstemp(path);
	ssize_t n;

	snprintf(entry, sizeof(entry), "TAGALONG_LOG=%s", path);
	config_read((char *[]){ "OTEL_SDK_DISABLED=1", entry, NULL }, NULL, NULL);
	n = read(fd, content, sizeof(content) - 1);
	unlink(path);
	cr_assert_gt(n, 0);
	content[n] = '\0';
	cr_assert_not_null(strstr(content, "warning: OTEL_SDK_DISABLED=\"1\""));
}
