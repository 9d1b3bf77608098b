/* SPDX-License-Identifier: Apache-2.0 */
/* Names from before OTEL_*, and the forms of a variable for one signal. */
#include <criterion/criterion.h>
#include <stdio.h>
#include "base/config.h"
#include "base/config_older.h"

static char warnings[16][512];
static int warning_count;

static void remember(void *arg, const char *message)
{
	(void)arg;
	if (warning_count < 16)
		snprintf(warnings[warning_count], sizeof(warnings[0]), "%s", message);
	warning_count++;
}

#define read_config(...) read_config_from((char *[]){ __VA_ARGS__, NULL })

static void read_config_from(char **envp)
{
	warning_count = 0;
	config_read(envp, remember, NULL);
}

static void expect_endpoint(char *entry, const char *url)
{
	read_config(entry);
	cr_expect_str_eq(config.otlp_endpoint, url, "%s gives %s", entry, config.otlp_endpoint);
	cr_expect_eq(warning_count, 1);
	cr_expect(strstr(warnings[0], " is an older name: read as OTEL_EXPORTER_OTLP_ENDPOINT"),
		  "%s", warnings[0]);
}

Test(config_older, names_stand_in_for_variables_and_say_so)
{
	read_config("TRACING_ENABLED=False", "TRACING_SERVICE_NAME=api",
		    "TRACING_SAMPLE_RATE=0.25");
	cr_assert(config.disabled);
	cr_assert_str_eq(config.service_name, "api");
	cr_assert_eq(config.sampler, SAMPLER_PARENT_RATIO);
	cr_assert(config.sampler_ratio == 0.25);
	cr_assert_eq(warning_count, 3);
	cr_assert_str_eq(warnings[0], "TRACING_ENABLED is an older name: read as "
				      "OTEL_SDK_DISABLED=true");
	cr_assert_str_eq(warnings[1],
			 "TRACING_SERVICE_NAME is an older name: read as OTEL_SERVICE_NAME");
	read_config("TRACING_ENABLED=true", "TRACING_SAMPLING_RATE=", "TRACING_SERVICE_NAMES=x");
	cr_assert(!config.disabled);
	cr_assert_eq(config.sampler, SAMPLER_PARENT_ALWAYS_ON);
	cr_assert_eq(warning_count, 0);
}

Test(config_older, names_lose_against_variables)
{
	read_config("OTEL_SDK_DISABLED=false", "TRACING_ENABLED=false", "OTEL_SERVICE_NAME=new",
		    "TRACING_SERVICE_NAME=old", "OTEL_TRACES_SAMPLER=always_on",
		    "TRACING_SAMPLE_RATE=0.1", "OTEL_EXPORTER_OTLP_ENDPOINT=http://new:4318",
		    "OTLP_ENDPOINT=http://old:4318");
	cr_assert(!config.disabled);
	cr_assert_str_eq(config.service_name, "new");
	cr_assert_eq(config.sampler, SAMPLER_ALWAYS_ON);
	cr_assert_str_eq(config.otlp_endpoint, "http://new:4318");
	cr_assert_eq(warning_count, 0);
	read_config("OTEL_TRACES_SAMPLER_ARG=0.5", "TRACING_SAMPLE_RATE=0.1");
	cr_assert_eq(config.sampler, SAMPLER_PARENT_RATIO);
	cr_assert(config.sampler_ratio == 0.5);
}

Test(config_older, a_bad_ratio_is_said_of_the_variable_it_stands_for)
{
	read_config("TRACING_SAMPLE_RATE=half");
	cr_assert_eq(warning_count, 2);
	cr_assert(strstr(warnings[1], "OTEL_TRACES_SAMPLER_ARG=\"half\""), "%s", warnings[1]);
	cr_assert(config.sampler_ratio == 1.0);
}

Test(config_older, urls_become_the_base_of_the_endpoint)
{
	expect_endpoint("OTLP_ENDPOINT=http://c:4318", "http://c:4318");
	expect_endpoint("OTLP_ENDPOINT=c:4317", "c:4317");
	expect_endpoint("OTLP_ENDPOINT= https://c/otlp/v1/traces ", "https://c/otlp");
	expect_endpoint("TRACING_COLLECTOR_URL=http://c:4318/v1/traces", "http://c:4318");
}

Test(config_older, jaegers_thrift_url_becomes_its_otlp_port)
{
	expect_endpoint("JAEGER_ENDPOINT=http://jaeger:14268/api/traces", "http://jaeger:4318");
	cr_assert(strstr(warnings[0], "port 4318"));
	expect_endpoint("JAEGER_ENDPOINT=https://u:p@jaeger/api/traces?format=x",
			"https://u:p@jaeger:4318");
	cr_assert(!strstr(warnings[0], "u:p"));
	expect_endpoint("JAEGER_ENDPOINT=jaeger:14268", "jaeger:4318");
	expect_endpoint("JAEGER_ENDPOINT=http://10.1.2.3/api/traces", "http://10.1.2.3:4318");
	expect_endpoint("JAEGER_ENDPOINT=http://[fd00::1]:14268/api/traces",
			"http://[fd00::1]:4318");
	expect_endpoint("JAEGER_ENDPOINT=http://jaeger:4318", "http://jaeger:4318");
	expect_endpoint("TRACING_COLLECTOR_URL=http://jaeger:14268/api/traces",
			"http://jaeger:4318");
}

Test(config_older, of_two_urls_the_first_of_the_table_counts)
{
	read_config("JAEGER_ENDPOINT=http://j:14268/api/traces", "TRACING_COLLECTOR_URL=http://t",
		    "OTLP_ENDPOINT=http://o");
	cr_assert_str_eq(config.otlp_endpoint, "http://o");
	cr_assert_eq(warning_count, 1);
}

Test(config_older, urls_of_any_length_and_content_do_no_harm)
{
	char entry[2048];

	for (size_t n = 0; n < 700; n += 1 + n / 100) {
		int at = snprintf(entry, sizeof(entry), "JAEGER_ENDPOINT=http://");

		memset(entry + at, '1', n);
		snprintf(entry + at + n, sizeof(entry) - (size_t)at - n, ":14268");
		read_config(entry);
		cr_assert_eq(warning_count, 1);
	}
	read_config("JAEGER_ENDPOINT=:14268", "OTLP_ENDPOINT=/v1/traces");
	read_config("JAEGER_ENDPOINT=://", "TRACING_COLLECTOR_URL=/api/traces");
}

Test(config_older, attributes_of_the_resource_are_announced_unless_it_has_them)
{
	read_config("SERVICE_VERSION=1.2", "APP_ENV=prod");
	cr_assert_eq(warning_count, 2);
	cr_assert(strstr(warnings[0], "service.version"));
	cr_assert(strstr(warnings[1], "deployment.environment.name"));
	cr_assert_str_eq(config.resource_attributes, "");
	read_config("SERVICE_VERSION=1.2", "APP_ENV=prod", "TRACING_SERVICE_NAME=old",
		    "OTEL_RESOURCE_ATTRIBUTES=a=b, service.version = 3,service.name=new");
	cr_assert_eq(warning_count, 1);
	cr_assert(strstr(warnings[0], "APP_ENV"));
}

Test(config_signals, metrics_use_the_general_variable_or_their_own)
{
	read_config("OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_HEADERS=a=1",
		    "OTEL_EXPORTER_OTLP_COMPRESSION=GZIP", "OTEL_EXPORTER_OTLP_TIMEOUT=7",
		    "OTEL_EXPORTER_OTLP_CERTIFICATE=/ca", "OTEL_EXPORTER_OTLP_INSECURE=TRUE",
		    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json",
		    "OTEL_EXPORTER_OTLP_TRACES_HEADERS=b=2", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=9",
		    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE=/traces",
		    "OTEL_EXPORTER_OTLP_TRACES_INSECURE=false");
	cr_assert_eq(warning_count, 0);
	cr_assert_eq(config.otlp_protocol, OTLP_HTTP_JSON);
	cr_assert_eq(config.metrics_otlp_protocol, OTLP_GRPC);
	cr_assert_str_eq(config.otlp_headers, "b=2");
	cr_assert_str_eq(config.otlp_metrics_headers, "a=1");
	cr_assert_str_eq(config.otlp_compression, "gzip");
	cr_assert_str_eq(config.otlp_metrics_compression, "gzip");
	cr_assert_eq(config.otlp_timeout, 9);
	cr_assert_eq(config.metrics_otlp_timeout, 7);
	cr_assert_str_eq(config.otlp_certificate, "/traces");
	cr_assert_str_eq(config.otlp_metrics_certificate, "/ca");
	cr_assert_str_eq(config.otlp_insecure, "false");
	cr_assert_str_eq(config.otlp_metrics_insecure, "true");
	cr_assert(config.otlp_protocol_set && config.metrics_otlp_protocol_set);
	read_config("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=grpc",
		    "OTEL_EXPORTER_OTLP_METRICS_HEADERS=m=1",
		    "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION=gzip",
		    "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT=oops");
	cr_assert_eq(warning_count, 1);
	cr_assert(strstr(warnings[0], "METRICS_TIMEOUT=\"oops\""));
	cr_assert_eq(config.otlp_protocol, OTLP_HTTP_PROTOBUF);
	cr_assert(!config.otlp_protocol_set && config.metrics_otlp_protocol_set);
	cr_assert_eq(config.metrics_otlp_protocol, OTLP_GRPC);
	cr_assert_str_eq(config.otlp_headers, "");
	cr_assert_str_eq(config.otlp_metrics_headers, "m=1");
	cr_assert_str_eq(config.otlp_compression, "");
	cr_assert_eq(config.metrics_otlp_timeout, 10000);
}

Test(config_signals, choices_kept_as_text_are_checked)
{
	read_config("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION=zstd");
	cr_assert_eq(warning_count, 1);
	cr_assert_str_eq(config.otlp_metrics_compression, "none");
	read_config("OTEL_EXPORTER_OTLP_INSECURE=yes");
	cr_assert_eq(warning_count, 1);
	cr_assert_str_eq(config.otlp_insecure, "false");
}
