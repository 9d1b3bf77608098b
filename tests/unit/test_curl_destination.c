/* SPDX-License-Identifier: Apache-2.0 */
/* From the variables to what libcurl is told. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "exporter/curl/destination.h"

static struct destination d;
static char warnings[8][1024];
static int warning_count;

static void note(void *arg, const char *message)
{
	(void)arg;
	if (warning_count < 8)
		snprintf(warnings[warning_count], sizeof(warnings[0]), "%s", message);
	warning_count++;
}

static void ignore(void *arg, const char *message)
{
	(void)arg;
	(void)message;
}

/* Each of the arguments is one NAME=value without "OTEL_EXPORTER_OTLP_" in front. */
#define read_for(signal, ...) read_from(signal, (const char *[]){ __VA_ARGS__, NULL })

static void read_from(enum otlp_signal signal, const char **rest)
{
	static char entries[16][20000];
	char *envp[17] = { NULL };

	for (int i = 0; rest[i] && i < 16; i++) {
		snprintf(entries[i], sizeof(entries[i]), "OTEL_EXPORTER_OTLP_%s", rest[i]);
		envp[i] = entries[i];
	}
	config_read(envp, ignore, NULL);
	warning_count = 0;
	destination_read(&d, &config, signal, note, NULL);
}

Test(destination, of_each_signal_and_protocol)
{
	read_for(OTLP_TRACES, "ENDPOINT=http://c:4318/x");
	cr_assert_str_eq(d.url, "http://c:4318/x/v1/traces");
	cr_assert_eq(d.protocol, OTLP_HTTP_PROTOBUF);
	read_for(OTLP_METRICS, "ENDPOINT=http://c:4318/x", "TRACES_ENDPOINT=http://t");
	cr_assert_str_eq(d.url, "http://c:4318/x/v1/metrics");
	read_for(OTLP_METRICS, "METRICS_ENDPOINT=https://m?token=1", "PROTOCOL=http/json");
	cr_assert_str_eq(d.url, "https://m/?token=1");
	cr_assert_str_eq(d.described, "https://m/");
	cr_assert(d.https && d.protocol == OTLP_HTTP_JSON);
	read_for(OTLP_TRACES, "ENDPOINT=http://[::1]:99/x", "TRACES_PROTOCOL=grpc");
	cr_assert_str_eq(d.url, "http://[::1]:99/opentelemetry.proto.collector.trace.v1."
				"TraceService/Export");
	cr_assert_str_eq(d.described, "http://[::1]:99");
	read_for(OTLP_METRICS, "ENDPOINT=https://c", "METRICS_PROTOCOL=grpc");
	cr_assert_str_eq(d.url, "https://c/opentelemetry.proto.collector.metrics.v1."
				"MetricsService/Export");
	cr_assert_eq(warning_count, 0);
}

Test(destination, port_4317_is_grpc_unless_told_otherwise)
{
	read_for(OTLP_TRACES, "ENDPOINT=http://c:4317");
	cr_assert_eq(d.protocol, OTLP_GRPC);
	cr_assert_eq(warning_count, 1);
	read_for(OTLP_TRACES, "ENDPOINT=http://c:4317", "TRACES_PROTOCOL=http/protobuf");
	cr_assert_eq(d.protocol, OTLP_HTTP_PROTOBUF);
	read_for(OTLP_METRICS, "ENDPOINT=http://c:4317", "TRACES_PROTOCOL=http/protobuf");
	cr_assert_eq(d.protocol, OTLP_GRPC);
}

Test(destination, a_missing_scheme_is_plain_text_unless_grpc_is_told_otherwise)
{
	read_for(OTLP_TRACES, "ENDPOINT=c:4318", "INSECURE=false");
	cr_assert_str_eq(d.url, "http://c:4318/v1/traces");
	cr_assert_eq(warning_count, 1);
	read_for(OTLP_TRACES, "ENDPOINT=c:4317", "PROTOCOL=grpc");
	cr_assert(!d.https && warning_count == 1);
	read_for(OTLP_TRACES, "ENDPOINT=c:4317", "PROTOCOL=grpc", "INSECURE=true");
	cr_assert(!d.https && warning_count == 0);
	read_for(OTLP_TRACES, "ENDPOINT=c:4317", "PROTOCOL=grpc", "TRACES_INSECURE=false");
	cr_assert(d.https && warning_count == 0);
	read_for(OTLP_TRACES, "ENDPOINT=http://c:4317", "PROTOCOL=grpc", "INSECURE=false");
	cr_assert(!d.https && warning_count == 0);
	read_for(OTLP_TRACES, "ENDPOINT=https://c:4317", "PROTOCOL=grpc", "INSECURE=true");
	cr_assert(d.https && warning_count == 0);
}

Test(destination, what_is_no_url_gives_the_default)
{
	read_for(OTLP_TRACES, "ENDPOINT=http://u:secret@c:99999");
	cr_assert_str_eq(d.url, "http://localhost:4318/v1/traces");
	cr_assert_eq(warning_count, 1);
	cr_assert_null(strstr(warnings[0], "secret"));
	cr_assert(!d.has_user && d.loopback);
	read_for(OTLP_METRICS, "METRICS_ENDPOINT=ftp://c", "PROTOCOL=grpc");
	cr_assert_str_eq(d.described, "http://localhost:4317");
}

Test(destination, loopback_is_known_in_its_forms)
{
	static const struct {
		const char *endpoint;
		bool loopback;
	} all[] = {
		{ "ENDPOINT=http://LocalHost:1", true },
		{ "ENDPOINT=http://127.9.9.9", true },
		{ "ENDPOINT=http://[::1]:1", true },
		{ "ENDPOINT=http://127.evil.example", false },
		{ "ENDPOINT=http://localhost.example", false },
		{ "ENDPOINT=http://10.0.0.1", false },
		{ "ENDPOINT=http://[fd00::1]", false },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		read_for(OTLP_TRACES, all[i].endpoint);
		cr_expect_eq(d.loopback, all[i].loopback, "%s", all[i].endpoint);
	}
}

Test(destination, userinfo_is_decoded_and_never_in_the_url)
{
	read_for(OTLP_TRACES, "ENDPOINT=http://us%20er:p%3Aw:x@c");
	cr_assert(d.has_user);
	cr_assert_str_eq(d.user, "us er");
	cr_assert_str_eq(d.password, "p:w:x");
	cr_assert_str_eq(d.url, "http://c/v1/traces");
	read_for(OTLP_TRACES, "ENDPOINT=http://u:p@c", "HEADERS=Authorization=Bearer%20t");
	cr_assert_not(d.has_user);
	cr_assert_str_eq(d.headers, "authorization: Bearer t\r\n");
}

Test(destination, headers_are_lower_case_and_grpcs_own_stay_its_own)
{
	read_for(OTLP_TRACES, "HEADERS=Api-Key=a%2Cb, X-Empty=,GRPC-Timeout=1S");
	cr_assert_str_eq(d.headers, "api-key: a,b\r\nx-empty: \r\ngrpc-timeout: 1S\r\n");
	read_for(OTLP_TRACES, "HEADERS=Api-Key=a,GRPC-Timeout=1S", "PROTOCOL=grpc");
	cr_assert_str_eq(d.headers, "api-key: a\r\n");
	read_for(OTLP_TRACES, "HEADERS=good=1,evil=a%0Ab,te=x,nonsense");
	cr_assert_str_eq(d.headers, "good: 1\r\n");
	cr_assert_eq(warning_count, 1);
	read_for(OTLP_METRICS, "HEADERS=a=1", "TRACES_HEADERS=b=2");
	cr_assert_str_eq(d.headers, "a: 1\r\n");
	read_for(OTLP_METRICS, "HEADERS=a=1", "METRICS_HEADERS=te=1");
	cr_assert_str_eq(d.headers, "");
	cr_assert_not_null(strstr(warnings[0], "OTLP_METRICS_HEADERS"));
}

Test(destination, urls_and_headers_of_any_length_fit_or_are_left_out)
{
	static char entry[19000];

	for (size_t n = 100; n < sizeof(entry) - 50; n += 997) {
		int at = snprintf(entry, sizeof(entry), "ENDPOINT=http://c/");

		memset(entry + at, 'x', n);
		entry[(size_t)at + n] = '\0';
		read_for(OTLP_TRACES, entry);
		cr_assert_eq(warning_count, n > 8100, "%zu", n);
		at = snprintf(entry, sizeof(entry), "HEADERS=a=");
		memset(entry + at, 'x', n);
		entry[(size_t)at + n] = '\0';
		read_for(OTLP_TRACES, entry);
		cr_assert(d.headers[0] ? warning_count == 0 : warning_count == 1);
	}
}

Test(destination, tls_files_are_for_https_and_looked_at)
{
	char name[] = "/tmp/test_curl_destination.XXXXXX", entry[128];
	int fd = mkstemp(name);

	cr_assert_geq(fd, 0);
	snprintf(entry, sizeof(entry), "CERTIFICATE=%s", name);
	read_for(OTLP_TRACES, "ENDPOINT=https://c", entry);
	cr_assert_str_eq(d.certificate, name);
	cr_assert_eq(warning_count, 0);
	read_for(OTLP_TRACES, "ENDPOINT=http://c", entry, "CLIENT_KEY=/nowhere");
	cr_assert(!d.certificate && !d.client_key && warning_count == 0);
	read_for(OTLP_METRICS, "ENDPOINT=https://c", "METRICS_CLIENT_KEY=/nowhere");
	cr_assert_str_eq(d.client_key, "/nowhere");
	cr_assert_eq(warning_count, 2);
	unlink(name);
}

Test(destination, compression_is_gzip_or_none)
{
	read_for(OTLP_TRACES, "COMPRESSION=GZip");
	cr_assert(d.gzip);
	read_for(OTLP_METRICS, "COMPRESSION=gzip", "METRICS_COMPRESSION=none");
	cr_assert_not(d.gzip);
}
