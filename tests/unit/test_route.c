/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include "base/config.h"
#include "base/counters.h"
#include "guard.h"
#include "shim/route.h"

/* Each test is a process of its own: the tables start empty. */
static void start(void)
{
	config = (struct config){
		.routes = "",
		.exclude_paths = "",
		.propagate_to = "*",
		.known_methods = "",
		.server_request_headers = "",
		.server_response_headers = "",
		.client_request_headers = "",
		.client_response_headers = "",
	};
	route_init();
}

TestSuite(route, .init = start);

static const char *name_of(const char *method, const char *path)
{
	static char room[600];
	struct text t = TEXT_ON(room);
	struct bytes m = guard_string(method), p = guard_string(path);

	route_put_span_name(&t, m, p);
	guard_free(m);
	guard_free(p);
	cr_assert_leq(t.n, ROUTE_NAME_MAX);
	return text_string(&t);
}

static bool finds(const char *path, const char *want)
{
	return bytes_equal(route_find(guard_string(path)), bytes_of(want));
}

Test(route, the_first_pattern_that_fits_is_the_route)
{
	config.routes = " /users/me , /users/{id},,/static/*";
	route_init();
	cr_assert(finds("/users/me", "/users/me"));
	cr_assert(finds("/users/42", "/users/{id}"));
	cr_assert(finds("/static/a/b", "/static/*"));
	cr_assert(finds("/other", ""));
}

Test(route, names_use_the_route)
{
	config.routes = "/users/{id}";
	route_init();
	cr_assert_str_eq(name_of("GET", "/users/bob"), "GET /users/{id}");
	config.route_mode = ROUTE_OFF;
	cr_assert_str_eq(name_of("GET", "/users/bob"), "GET /users/{id}");
	cr_assert_str_eq(name_of("GET", "/other"), "GET");
}

Test(route, names_show_identifiers_as_id)
{
	cr_assert_str_eq(name_of("GET", "/"), "GET /");
	cr_assert_str_eq(name_of("GET", "/api/users/42/orders/"), "GET /api/users/{id}/orders/");
	cr_assert_str_eq(name_of("DELETE", "/a;v=1/550e8400-e29b-41d4-a716-446655440000"),
			 "DELETE /a/{id}");
	cr_assert_str_eq(name_of("OPTIONS", "*"), "OPTIONS");
	cr_assert_str_eq(name_of("CONNECT", ""), "CONNECT");
}

Test(route, an_unknown_method_is_named_http)
{
	cr_assert_str_eq(name_of("BREW", "/pot"), "HTTP /pot");
	cr_assert_str_eq(name_of("_OTHER", "/pot"), "HTTP /pot");
	cr_assert_str_eq(name_of("get", "/pot"), "HTTP /pot");
}

Test(route, the_eleventh_word_of_a_position_makes_it_a_star)
{
	char path[64], want[80];

	for (int i = 0; i < 10; i++) {
		snprintf(path, sizeof(path), "/shop/word%c/buy", 'a' + i);
		snprintf(want, sizeof(want), "GET %s", path);
		cr_assert_str_eq(name_of("GET", path), want);
		cr_assert_str_eq(name_of("GET", path), want);
	}
	cr_assert_str_eq(name_of("GET", "/shop/wordx/buy"), "GET /shop/*/buy");
	cr_assert_str_eq(name_of("GET", "/shop/worda/buy"), "GET /shop/*/buy");
	cr_assert_str_eq(name_of("GET", "/shop/42/buy"), "GET /shop/{id}/buy");
	cr_assert_str_eq(name_of("GET", "/other/wordx"), "GET /other/wordx");
	cr_assert_str_eq(name_of("GET", "/shop"), "GET /shop");
}

/* Whatever the hash makes of words that begin or end alike, or are alike but for one place. */
Test(route, words_are_told_apart_wherever_they_differ)
{
	static const char *const shapes[] = { "%c-home",    "home-%c",    "alpha%comega",
					      "%c",         "x%c",        "x%cy",
					      "abcdefgh%c", "%cbcdefghi", "abc%c",
					      "%cbcd",      "abcdefg%c",  "abcd%cfghijklmnop" };
	char path[80], prefix[16], segment[40];

	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		snprintf(prefix, sizeof(prefix), "/p%c/", (char)('a' + i));
		for (char c = 'g'; c < 'g' + 11; c++) {
			snprintf(segment, sizeof(segment), shapes[i], c);
			snprintf(path, sizeof(path), "%s%s", prefix, segment);
			name_of("GET", path);
		}
		cr_assert_str_eq(strrchr(name_of("GET", path), '/'), "/*", "%s", path);
	}
}

Test(route, identifiers_do_not_count_as_words)
{
	char path[64];

	for (int i = 0; i < 1000; i++) {
		snprintf(path, sizeof(path), "/item/%d", i);
		cr_assert_str_eq(name_of("GET", path), "GET /item/{id}");
	}
	cr_assert_str_eq(name_of("GET", "/item/new"), "GET /item/new");
}

Test(route, words_that_were_often_seen_before_keep_their_name)
{
	char path[64];

	for (int i = 0; i < 16; i++)
		name_of("GET", "/api/orders");
	for (char c = 'a'; c <= 'z'; c++) {
		snprintf(path, sizeof(path), "/api/name%c", c);
		name_of("GET", path);
	}
	for (int i = 0; i < 40; i++)
		cr_assert_str_eq(name_of("GET", "/api/namea"), "GET /api/*");
	cr_assert_str_eq(name_of("GET", "/api/orders"), "GET /api/orders");
}

Test(route, the_number_of_names_is_bounded)
{
	static char names[20000][64];
	char path[64];
	int n = 0;
	unsigned x = 1;

	for (int i = 0; i < 100000; i++) {
		const char *name;
		int k;

		x = x * 1103515245 + 12345;
		snprintf(path, sizeof(path), "/q%c%c/q%c%c/q%c%c", 'g' + (x >> 8) % 20,
			 'g' + (x >> 12) % 20, 'g' + (x >> 16) % 20, 'g' + (x >> 20) % 20,
			 'g' + (x >> 4) % 20, 'g' + (x >> 24) % 20);
		name = name_of("GET", path);
		for (k = n > 2000 ? n - 2000 : 0; k < n && strcmp(names[k], name) != 0; k++)
			;
		if (k == n && n < 20000)
			strcpy(names[n++], name);
		if (i > 90000)
			cr_assert_str_eq(name, "GET /*/*/*");
	}
	cr_assert_lt(n, 11 * 11 * 11 + 11 * 11 + 11);
}

Test(route, a_full_table_shows_new_positions_as_stars)
{
	char path[64], want[80];
	bool starred = false;

	/* ten words under each of ten words, four deep: more positions than the table has */
	for (int a = 0; a < 10; a++) {
		for (int b = 0; b < 10; b++) {
			for (int c = 0; c < 10 && !starred; c++) {
				for (int d = 0; d < 10; d++) {
					snprintf(path, sizeof(path), "/w%c/w%c/w%c/w%c/end",
						 'g' + a, 'g' + b, 'g' + c, 'g' + d);
					snprintf(want, sizeof(want), "GET %s", path);
					starred |= strcmp(name_of("GET", path), want) != 0;
				}
			}
		}
	}
	cr_assert(starred);
	cr_assert_str_eq(name_of("GET", "/wg"), "GET /wg");
}

Test(route, long_and_deep_paths_are_cut_at_a_segment)
{
	char path[2000] = "", want[400];

	for (int i = 0; i < 40; i++)
		strcat(path, "/a");
	cr_assert_str_eq(name_of("GET", path), "GET /a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/*");
	memset(path, 'y', 300);
	memcpy(path, "/x/", 3);
	path[300] = 0;
	cr_assert_str_eq(name_of("GET", path), "GET /x/*");
	snprintf(want, sizeof(want), "/x/%.*s", 240, path + 3);
	cr_assert_eq(strlen(name_of("GET", want)), 4 + 243);
}

Test(route, names_fit_into_small_texts)
{
	for (size_t size = 0; size < 30; size++) {
		char room[32];
		struct text t = { .p = room, .size = size };

		room[size] = '!';
		route_put_span_name(&t, BYTES("DELETE"), BYTES("/alpha/beta/gamma"));
		cr_assert_leq(t.n, size);
		cr_assert_eq(room[size], '!');
	}
}

Test(route, excluded_paths_are_globs)
{
	cr_assert_not(route_excluded(BYTES("/healthz")));
	config.exclude_paths = "/healthz,/metrics*,*/ping";
	route_init();
	cr_assert(route_excluded(BYTES("/healthz")));
	cr_assert_not(route_excluded(BYTES("/healthz/x")));
	cr_assert(route_excluded(BYTES("/metrics/a")));
	cr_assert(route_excluded(BYTES("/a/b/ping")));
	cr_assert_not(route_excluded(BYTES("/")));
}

static bool goes_to(const char *host)
{
	return route_propagates_to(guard_string(host));
}

Test(route, headers_go_everywhere_by_default)
{
	cr_assert(goes_to("example.com"));
	cr_assert(goes_to("10.0.0.1"));
	cr_assert(goes_to("::1"));
	cr_assert(goes_to("[fe80::1]"));
	cr_assert(goes_to(""));
}

Test(route, headers_go_only_where_the_globs_say)
{
	config.propagate_to = "*.Internal, api.example.com,10.*,[::1]";
	route_init();
	cr_assert(goes_to("a.b.INTERNAL"));
	cr_assert(goes_to("API.example.com"));
	cr_assert(goes_to("api.example.com."));
	cr_assert(goes_to("10.1.2.3"));
	cr_assert_not(goes_to("example.com"));
	cr_assert_not(goes_to("xapi.example.com"));
	cr_assert_not(goes_to("127.0.0.1"));
}

Test(route, headers_never_go_to_metadata_services)
{
	static const char *const hosts[] = {
		"169.254.169.254",
		"169.254.170.2",
		"2852039166",
		"0xA9FEA9FE",
		"0251.0376.0251.0376",
		"169.254.43518",
		"169.16689662",
		"::ffff:169.254.169.254",
		"[::ffff:a9fe:a9fe]",
		"::169.254.169.254",
		"64:ff9b::a9fe:a9fe",
		"fd00:ec2::254",
		"[FD00:EC2:0:0::254]",
		"fd00:0ec2::23",
		"fd20:ce::254",
		"Metadata.Google.Internal",
		"metadata.google.internal.",
		"metadata.goog",
		"instance-data.ec2.internal",
		"169.254.169.254.",
	};

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		cr_assert_not(goes_to(hosts[i]), "%s", hosts[i]);
	config.propagate_to = "169.254.*";
	route_init();
	cr_assert_not(goes_to("169.254.169.254"));
	cr_assert(route_is_metadata(BYTES("169.254.0.1")));
	cr_assert_not(route_is_metadata(BYTES("169.253.169.254")));
	cr_assert_not(route_is_metadata(BYTES("fd00:ec3::254")));
}

Test(route, knows_metadata_services_by_their_address)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	inet_pton(AF_INET, "169.254.169.254", &v4.sin_addr);
	cr_assert(route_is_metadata_peer((struct sockaddr *)&v4, sizeof(v4)));
	inet_pton(AF_INET, "127.0.0.1", &v4.sin_addr);
	cr_assert_not(route_is_metadata_peer((struct sockaddr *)&v4, sizeof(v4)));
	inet_pton(AF_INET6, "fd00:ec2::254", &v6.sin6_addr);
	cr_assert(route_is_metadata_peer((struct sockaddr *)&v6, sizeof(v6)));
	cr_assert_not(route_is_metadata_peer((struct sockaddr *)&v6, 4));
	inet_pton(AF_INET6, "::ffff:169.254.1.1", &v6.sin6_addr);
	cr_assert(route_is_metadata_peer((struct sockaddr *)&v6, sizeof(v6)));
}

Test(route, knows_the_usual_methods_with_case)
{
	static const char *const known[] = { "GET",     "HEAD",    "POST",  "PUT",   "DELETE",
					     "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY" };

	for (size_t i = 0; i < 10; i++)
		cr_assert(bytes_equal(route_known_method(guard_string(known[i])),
				      bytes_of(known[i])));
	cr_assert_eq(route_known_method(BYTES("get")).n, 0);
	cr_assert_eq(route_known_method(BYTES("PROPFIND")).n, 0);
	cr_assert_eq(route_known_method(BYTES("")).n, 0);
}

Test(route, a_list_of_methods_replaces_the_usual_ones)
{
	config.known_methods = "GET, PROPFIND";
	route_init();
	cr_assert_eq(route_known_method(BYTES("PROPFIND")).n, 8);
	cr_assert_eq(route_known_method(BYTES("POST")).n, 0);
	cr_assert_str_eq(name_of("PROPFIND", "/dav"), "PROPFIND /dav");
}

Test(route, captures_the_headers_of_each_list)
{
	cr_assert_not(route_captures_any(HEADERS_SERVER_REQUEST));
	config.server_request_headers = "X-Request-Id, accept";
	config.client_response_headers = "server";
	route_init();
	cr_assert(route_captures_any(HEADERS_SERVER_REQUEST));
	cr_assert(route_captures(HEADERS_SERVER_REQUEST, BYTES("x-request-id")));
	cr_assert(route_captures(HEADERS_SERVER_REQUEST, BYTES("Accept")));
	cr_assert_not(route_captures(HEADERS_SERVER_REQUEST, BYTES("server")));
	cr_assert_not(route_captures(HEADERS_SERVER_RESPONSE, BYTES("accept")));
	cr_assert(route_captures(HEADERS_CLIENT_RESPONSE, BYTES("Server")));
}

Test(route, lists_past_their_ceiling_are_cut_with_one_warning)
{
	static char list[40000];
	uint64_t before = counted(warnings);

	for (int i = 0; i < ROUTE_PATTERNS_MAX + 50; i++)
		sprintf(list + strlen(list), "/p%d,", i);
	config.routes = list;
	route_init();
	cr_assert(finds("/p127", "/p127"));
	cr_assert(finds("/p128", ""));
	cr_assert_eq(counted(warnings), before + 1);
}

Test(route, warns_about_patterns_that_fit_no_path)
{
	uint64_t before = counted(warnings);

	config.routes = "users/{id}";
	config.exclude_paths = "*/ping";
	route_init();
	cr_assert_eq(counted(warnings), before + 1);
}

static void *name_many(void *arg)
{
	unsigned x = (unsigned)(uintptr_t)arg;
	char path[32];

	for (int i = 0; i < 20000; i++) {
		char room[256];
		struct text t = TEXT_ON(room);

		x = x * 1103515245 + 12345;
		snprintf(path, sizeof(path), "/a%c/b%c", 'g' + (x >> 16) % 15,
			 'g' + (x >> 20) % 15);
		route_put_span_name(&t, BYTES("GET"), bytes_of(path));
	}
	return NULL;
}

Test(route, threads_learn_together)
{
	pthread_t thread[4];

	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, name_many, (void *)(i + 1));
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	cr_assert_str_eq(name_of("GET", "/azz/bzz"), "GET /*/*");
}
