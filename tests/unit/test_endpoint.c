/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include "exporter/endpoint.h"
#include "exporter/headers.h"
#include "guard.h"

static struct endpoint endpoint;
static char warnings[4096];
static int warned;

static void note(void *arg, const char *message)
{
	(void)arg;
	warned++;
	snprintf(warnings + strlen(warnings), sizeof(warnings) - strlen(warnings), "%s\n", message);
}

static struct config defaults(void)
{
	struct config c = { .otlp_timeout = 10000 };
	const char **const strings[] = { &c.otlp_endpoint, &c.otlp_traces_endpoint, &c.otlp_headers,
					 &c.otlp_traces_headers, &c.otlp_compression };

	for (unsigned i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		*strings[i] = "";
	return c;
}

static void read_config(const struct config *c)
{
	warned = 0;
	warnings[0] = '\0';
	endpoint_read(&endpoint, c, note, NULL);
}

static void read_base(const char *url)
{
	struct config c = defaults();

	c.otlp_endpoint = url;
	read_config(&c);
}

static void read_traces(const char *url)
{
	struct config c = defaults();

	c.otlp_traces_endpoint = url;
	read_config(&c);
}

static void read_headers(const char *headers)
{
	struct config c = defaults();

	c.otlp_headers = headers;
	read_config(&c);
}

static const char *head(void)
{
	static char copy[ENDPOINT_HEAD_MAX + 1];

	memcpy(copy, endpoint.head, endpoint.head_n);
	copy[endpoint.head_n] = '\0';
	return copy;
}

static const char *described(void)
{
	static char copy[512];
	struct text t = TEXT_ON(copy);

	endpoint_describe(&endpoint, &t);
	return text_string(&t);
}

Test(endpoint, default_is_localhost_4318_without_a_warning)
{
	struct config c = defaults();

	read_config(&c);
	cr_expect_str_eq(head(), "POST /v1/traces HTTP/1.1\r\nHost: localhost:4318\r\n"
				 "User-Agent: tagalong/" TAGALONG_VERSION
				 " OTel-OTLP-Exporter-C/" TAGALONG_VERSION "\r\n"
				 "Content-Type: application/x-protobuf\r\nContent-Length: ");
	cr_expect_str_eq(endpoint.host, "localhost");
	cr_expect_eq(endpoint.port, 4318);
	cr_expect_null(endpoint.trouble);
	cr_expect_eq(warned, 0);
}

Test(endpoint, base_gets_the_path_of_traces)
{
	static const char *const cases[][2] = {
		{ "http://c:4318", "http://c:4318/v1/traces" },
		{ "http://c:4318/", "http://c:4318/v1/traces" },
		{ "http://c:4318/x", "http://c:4318/x/v1/traces" },
		{ "http://c:4318/x/", "http://c:4318/x/v1/traces" },
		{ "http://c", "http://c/v1/traces" },
		{ "HTTP://Collector.Example:80/a%20b", "http://Collector.Example/a%20b/v1/traces" },
		{ "  http://c:1 ", "http://c:1/v1/traces" },
		{ "http://[::1]:4318", "http://[::1]:4318/v1/traces" },
		{ "http://[fd00::a.b]", NULL },
		{ "http://10.0.0.1:65535", "http://10.0.0.1:65535/v1/traces" },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		read_base(cases[i][0]);
		if (!cases[i][1])
			continue;
		cr_expect_str_eq(described(), cases[i][1]);
		cr_expect_eq(warned, 0, "%s", warnings);
	}
}

Test(endpoint, traces_endpoint_is_used_as_it_is)
{
	read_traces("http://c:4318");
	cr_expect_str_eq(described(), "http://c:4318/");
	read_traces("http://c:4318/custom");
	cr_expect_str_eq(described(), "http://c:4318/custom");
	read_traces("http://c:4318/custom/");
	cr_expect_str_eq(described(), "http://c:4318/custom/");
	cr_expect_eq(warned, 0);
}

Test(endpoint, traces_endpoint_wins)
{
	struct config c = defaults();

	c.otlp_endpoint = "http://a:1";
	c.otlp_traces_endpoint = "http://b:2/t";
	read_config(&c);
	cr_expect_str_eq(described(), "http://b:2/t");
}

Test(endpoint, query_stays_and_fragment_goes)
{
	read_base("http://c/p?key=1#frag");
	cr_expect(bytes_equal(endpoint.target, BYTES("/p/v1/traces?key=1")));
	read_traces("http://c?key=1");
	cr_expect(bytes_equal(endpoint.target, BYTES("/?key=1")));
	cr_expect_str_eq(described(), "http://c/", "the query may hold a key: not shown");
}

Test(endpoint, no_port_means_80)
{
	read_base("http://c");
	cr_expect_eq(endpoint.port, 80);
	cr_expect(strstr(head(), "\r\nHost: c\r\n"));
}

Test(endpoint, no_scheme_means_http_with_one_warning)
{
	read_base("collector:4318");
	cr_expect_str_eq(described(), "http://collector:4318/v1/traces");
	cr_expect_eq(warned, 1);
	cr_expect(strstr(warnings, "OTEL_EXPORTER_OTLP_ENDPOINT"));
	read_traces("127.0.0.1:99/x");
	cr_expect_str_eq(described(), "http://127.0.0.1:99/x");
	cr_expect_eq(warned, 1);
}

Test(endpoint, https_is_undeliverable_and_says_what_to_do)
{
	read_base("https://c.example");
	cr_expect_not_null(endpoint.trouble);
	cr_expect(endpoint.is_https);
	cr_expect_eq(endpoint.port, 443);
	cr_expect_eq(warned, 1);
	cr_expect(strstr(warnings, "tagalong run"));
}

Test(endpoint, grpc_is_undeliverable_and_says_what_to_do)
{
	struct config c = defaults();

	c.otlp_protocol = OTLP_GRPC;
	c.otlp_endpoint = "https://c.example";
	read_config(&c);
	cr_expect_not_null(endpoint.trouble);
	cr_expect_eq(warned, 1, "%s", warnings);
	cr_expect(strstr(warnings, "tagalong run"));
}

Test(endpoint, json_and_gzip_are_replaced_with_a_warning_each)
{
	struct config c = defaults();

	c.otlp_protocol = OTLP_HTTP_JSON;
	c.otlp_compression = "gzip";
	read_config(&c);
	cr_expect_null(endpoint.trouble);
	cr_expect_eq(warned, 2);
	cr_expect(strstr(head(), "application/x-protobuf"));
	cr_expect_null(strstr(head(), "gzip"));
}

Test(endpoint, what_is_no_http_url_gives_the_default_and_one_warning)
{
	static const char *const bad[] = {
		"http://",
		"http://:80",
		"http://c:0",
		"http://c:65536",
		"http://c:x",
		"ftp://c",
		"unix:///run/otel.sock",
		"http://[::1",
		"http://[::1]x",
		"http://[zz]:1",
		"http://a b/",
		"http://c/\r\nX: y",
		"http://c/\r\n\r\nGET / HTTP/1.1",
		"http://c/a\tb",
		"http://c\n",
		"http://c/\x7f",
		"http://a:1:2",
		"http://\xc3\xa4.example",
		"://c",
		"http://c/%\x01",
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		read_base(bad[i]);
		cr_expect_str_eq(described(), "http://localhost:4318/v1/traces", "%s", bad[i]);
		cr_expect_eq(warned, 1, "%s: %s", bad[i], warnings);
		cr_expect(strstr(warnings, "OTEL_EXPORTER_OTLP_ENDPOINT"));
		for (const char *p = warnings; *p; p++)
			cr_expect(*p == '\n' || (*p >= ' ' && *p <= '~'));
	}
}

Test(endpoint, a_host_or_path_past_the_limit_gives_the_default)
{
	char url[20000] = "http://";

	memset(url + 7, 'a', 254);
	read_base(url);
	cr_expect_eq(warned, 1);
	memcpy(url, "http://c/", 9);
	memset(url + 9, 'a', sizeof(url) - 10);
	url[sizeof(url) - 1] = '\0';
	read_base(url);
	cr_expect_eq(warned, 1);
	cr_expect_str_eq(described(), "http://localhost:4318/v1/traces");
}

Test(endpoint, bytes_past_ascii_in_a_path_are_encoded)
{
	read_traces("http://c/\xc3\xa4");
	cr_expect(bytes_equal(endpoint.target, BYTES("/%C3%A4")));
}

Test(endpoint, userinfo_becomes_basic_authentication_and_is_never_shown)
{
	read_base("http://Aladdin:open%20sesame@c:1/");
	cr_expect(strstr(head(), "\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
	cr_expect_str_eq(described(), "http://c:1/v1/traces");
	cr_expect(strstr(head(), "\r\nHost: c:1\r\n"));
	read_base("http://a@b@c:1/");
	cr_expect_str_eq(endpoint.host, "c");
	read_base("http://user:secret@c:99999/");
	cr_expect_null(strstr(warnings, "secret"));
	read_base("http://a:%zz@c/");
	cr_expect_null(strstr(head(), "Authorization"));
}

Test(endpoint, base64_pads)
{
	read_base("http://a@c/");
	cr_expect(strstr(head(), "Basic YQ==\r\n"));
	read_base("http://ab@c/");
	cr_expect(strstr(head(), "Basic YWI=\r\n"));
	read_base("http://abc@c/");
	cr_expect(strstr(head(), "Basic YWJj\r\n"));
}

Test(headers, are_decoded_and_sent_in_order)
{
	read_headers("api-key=abc%20d%3D, x-Second = two words ,third=a=b;c");
	cr_expect(strstr(head(), "api-key: abc d=\r\nx-Second: two words\r\nthird: a=b;c\r\n"));
	cr_expect_eq(warned, 0, "%s", warnings);
}

Test(headers, that_are_not_understood_give_one_warning_with_names_and_no_values)
{
	read_headers("good=1,=nameless,novalue,bad name=x,broken=%zz,half=%4,,also=2,nul=%00");
	cr_expect(strstr(head(), "good: 1\r\nalso: 2\r\n"));
	cr_expect_eq(warned, 1);
	cr_expect(strstr(warnings, "broken") && strstr(warnings, "half") &&
		  strstr(warnings, "nul"));
	cr_expect(strstr(warnings, "entry 2") && strstr(warnings, "entry 3"), "%s", warnings);
	cr_expect_null(strstr(warnings, "nameless"));
	cr_expect_null(strstr(warnings, "novalue"), "it may be the secret itself");
}

Test(headers, cannot_end_their_line)
{
	read_headers("a=x%0d%0aEvil: 1,b=y%0AEvil: 1,c=z\r\nEvil: 1,d\r\nEvil=2,e=%0D,f=%7f");
	cr_expect_null(strstr(head(), "Evil"));
	cr_expect_eq(warned, 1);
}

Test(headers, of_the_framing_are_ours)
{
	read_headers("Content-Length=5,transfer-encoding=chunked,CONNECTION=close,"
		     "content-type=text/plain,Content-Encoding=gzip,expect=100-continue");
	cr_expect_str_eq(strstr(head(), "Content-Type"),
			 "Content-Type: application/x-protobuf\r\nContent-Length: ");
	cr_expect_eq(warned, 1);
}

Test(headers, host_agent_and_authorization_of_the_user_win)
{
	struct config c = defaults();

	c.otlp_endpoint = "http://u:p@c:1";
	c.otlp_headers = "Host=virtual,user-agent=me,Authorization=Bearer%20t";
	read_config(&c);
	cr_expect(strstr(head(), "Host: virtual\r\n"));
	cr_expect_null(strstr(head(), "Host: c"));
	cr_expect_null(strstr(head(), "tagalong/"));
	cr_expect(strstr(head(), "Authorization: Bearer t\r\n"));
	cr_expect_null(strstr(head(), "Basic"));
}

Test(headers, of_the_same_name_the_last_counts)
{
	read_headers("k=1,other=2,K=3");
	cr_expect_null(strstr(head(), "k: 1"));
	cr_expect(strstr(head(), "other: 2\r\nK: 3\r\n"));
}

Test(headers, that_find_no_room_are_left_out_whole_and_named)
{
	char *list = malloc(40000);
	char *at = list;

	for (int i = 0; i < 5; i++) {
		at += sprintf(at, "%sbig%d=", i ? "," : "", i);
		memset(at, 'v', 5000);
		at += 5000;
	}
	*at = '\0';
	read_headers(list);
	cr_expect_eq(warned, 1);
	cr_expect(strstr(warnings, "big4"));
	cr_expect(strstr(head(), "big0: vvv"));
	cr_expect_null(strstr(head(), "big4"));
	cr_expect_str_eq(head() + endpoint.head_n - 18, "\r\nContent-Length: ");
	free(list);
}

Test(headers, every_cut_is_read_within_its_bytes)
{
	static const char list[] = "a=1%20, b = %C3%A4 ,c,=d,e=%zz,f=g;h=i,%41=x,a=2";
	char out[1024];

	for (size_t n = 0; n < sizeof(list); n++) {
		struct bytes copy = guard_copy(list, n);
		struct text t = TEXT_ON(out);
		struct headers h;

		headers_read(&h, copy);
		headers_write(&h, &t);
		cr_expect_not(t.cut);
		guard_free(copy);
	}
}

Test(headers, decode_says_when_there_is_no_room)
{
	char out[4];

	cr_expect_eq(headers_decode(out, sizeof(out), BYTES("%41bcd")), 4);
	cr_expect_eq(memcmp(out, "Abcd", 4), 0);
	cr_expect_eq(headers_decode(out, sizeof(out), BYTES("abcde")), -28);
}
