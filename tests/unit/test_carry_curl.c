/* SPDX-License-Identifier: Apache-2.0 */
/* A real libcurl, called as a program's imports would be, and the list of headers that its handles
 * hold meanwhile. Nothing is sent. */
#include <curl/curl.h>
#include "base/objects.h"
#include "hooks/carriers.h"
#include "hooks/carry_curl.h"
#include "shim_links.h"

#define HANDLE_SIZE 6144
#define MADE_MAX    32

static struct import imports[CARRY_CURL_IMPORTS];
static size_t list_at;
static CURL *handle[MADE_MAX];
static CURLM *multi_handle[MADE_MAX];
static unsigned handles, multis;
static struct curl_slist two = { (char *)"X-Two: 2", NULL };
static struct curl_slist list = { (char *)"X-One: 1", &two };

static uintptr_t ours(const char *name)
{
	for (unsigned i = 0; i < CARRY_CURL_IMPORTS; i++)
		if (strcmp(imports[i].name, name) == 0)
			return imports[i].ours;
	return 0;
}

#define OURS(name) ((__typeof__(name) *)ours(#name))

/* Variadic for the program, but the hook takes a word. */
static CURLcode set(CURL *easy, CURLoption option, uintptr_t value)
{
	return ((CURLcode(*)(CURL *, CURLoption, uintptr_t))ours("curl_easy_setopt"))(easy, option,
										      value);
}

static bool is_curl(void *arg, const struct image *m)
{
	(void)arg;
	return image_find(m, "curl_multi_add_handle") && carry_curl_find(imports, m);
}

static const struct curl_slist *list_in(CURL *easy)
{
	return *(struct curl_slist **)((char *)easy + list_at);
}

static CURL *keep(CURL *easy)
{
	cr_assert(easy && handles < MADE_MAX);
	return handle[handles++] = easy;
}

static CURLM *multi_make(void)
{
	cr_assert(multis < MADE_MAX);
	return multi_handle[multis++] = curl_multi_init();
}

static void multi_end(CURLM *multi)
{
	cr_assert_eq(OURS(curl_multi_cleanup)(multi), CURLM_OK);
	for (unsigned i = 0; i < multis; i++)
		if (multi_handle[i] == multi)
			multi_handle[i] = NULL;
}

static void easy_end(CURL *easy)
{
	OURS(curl_easy_cleanup)(easy);
	for (unsigned i = 0; i < handles; i++)
		if (handle[i] == easy)
			handle[i] = NULL;
}

static void end(void)
{
	for (unsigned i = 0; i < handles; i++)
		if (handle[i])
			OURS(curl_easy_cleanup)(handle[i]);
	for (unsigned i = 0; i < multis; i++)
		if (multi_handle[i])
			OURS(curl_multi_cleanup)(multi_handle[i]);
	spans_stop();
}

/* A handle with the program's list and a URL. */
static CURL *make(const char *url)
{
	CURL *easy = keep(OURS(curl_easy_init)());

	set(easy, CURLOPT_HTTPHEADER, (uintptr_t)&list);
	for (size_t at = 8; !list_at && at < HANDLE_SIZE; at += 8)
		if (*(struct curl_slist **)((char *)easy + at) == &list)
			list_at = at;
	cr_assert(list_at && list_in(easy) == &list);
	set(easy, CURLOPT_URL, (uintptr_t)url);
	return easy;
}

static void begin(void)
{
	start();
	cr_assert(objects_each(is_curl, NULL));
	cr_assert(imports[0].ours);
	serve();
}

static void expect_ours(CURL *easy)
{
	const struct curl_slist *l = list_in(easy);

	cr_assert_eq(strncmp(l->data, "traceparent: 00-", 16), 0);
	cr_assert_eq(l->next, &list);
	cr_assert_eq(list.next, &two);
	cr_assert_null(two.next);
}

#define ADD(multi, easy) cr_assert_eq(OURS(curl_multi_add_handle)(multi, easy), CURLM_OK)

Test(carry_curl, the_list_is_ours_and_then_theirs, .init = begin, .fini = end)
{
	CURL *easy = make("http://127.0.0.1:9/");
	CURLM *multi = multi_make();

	for (int i = 0; i < 3; i++) {
		ADD(multi, easy);
		expect_ours(easy);
		cr_assert_eq(OURS(curl_multi_remove_handle)(multi, easy), CURLM_OK);
		cr_assert_eq(list_in(easy), &list);
	}
	easy_end(easy);
	multi_end(multi);
}

Test(carry_curl, what_the_program_sets_meanwhile_stays, .init = begin, .fini = end)
{
	CURL *easy = make("https://127.0.0.1:9/");
	CURLM *multi = multi_make();

	ADD(multi, easy);
	set(easy, CURLOPT_HTTPHEADER, (uintptr_t)&two);
	cr_assert_eq(list_in(easy), &two);
	OURS(curl_multi_remove_handle)(multi, easy);
	cr_assert_eq(list_in(easy), &two);
	ADD(multi, easy);
	/* By a way that nobody sees. */
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, &list);
	OURS(curl_multi_remove_handle)(multi, easy);
	cr_assert_eq(list_in(easy), &list);
}

Test(carry_curl, a_copy_has_the_programs_list, .init = begin, .fini = end)
{
	CURL *easy = make("http://127.0.0.1:9/"), *copy;
	CURLM *multi = multi_make();

	ADD(multi, easy);
	copy = keep(OURS(curl_easy_duphandle)(easy));
	cr_assert_eq(list_in(copy), &list);
	expect_ours(easy);
	ADD(multi, copy);
	expect_ours(copy);
	OURS(curl_multi_remove_handle)(multi, copy);
	cr_assert_eq(list_in(copy), &list);
}

Test(carry_curl, the_end_of_a_multi_handle_gives_all_back, .init = begin, .fini = end)
{
	CURL *one = make("http://127.0.0.1:9/"), *other = make("http://127.0.0.1:9/");
	CURLM *multi = multi_make();

	ADD(multi, one);
	ADD(multi, other);
	multi_end(multi);
	cr_assert_eq(list_in(one), &list);
	cr_assert_eq(list_in(other), &list);
}

Test(carry_curl, a_handle_that_is_added_twice, .init = begin, .fini = end)
{
	CURL *easy = make("http://127.0.0.1:9/");
	CURLM *multi = multi_make();

	ADD(multi, easy);
	cr_assert_neq(OURS(curl_multi_add_handle)(multi, easy), CURLM_OK);
	OURS(curl_multi_remove_handle)(multi, easy);
	cr_assert_eq(list_in(easy), &list);
}

/* A jump out of a transfer, or a call by a way that nobody sees. */
Test(carry_curl, what_was_left_in_a_handle_is_taken_out_before_it_is_used_again, .init = begin,
     .fini = end)
{
	CURL *easy = make("http://127.0.0.1:1/");
	CURLM *multi = multi_make();

	ADD(multi, easy);
	cr_assert_eq(curl_multi_remove_handle(multi, easy), CURLM_OK);
	expect_ours(easy);
	cr_assert_eq(OURS(curl_easy_perform)(easy), CURLE_COULDNT_CONNECT);
	cr_assert_eq(list_in(easy), &list);
	ADD(multi, easy);
	cr_assert_eq(curl_multi_remove_handle(multi, easy), CURLM_OK);
	ADD(multi, easy);
	cr_assert_eq(list_in(easy), &list, "it is only taken out");
	OURS(curl_multi_remove_handle)(multi, easy);
	ADD(multi, easy);
	expect_ours(easy);
}

static void expect_left_alone(CURL *easy)
{
	CURLM *multi = multi_make();
	const struct curl_slist *before = list_in(easy);

	ADD(multi, easy);
	cr_assert_eq(list_in(easy), before);
	OURS(curl_multi_remove_handle)(multi, easy);
	cr_assert_eq(list_in(easy), before);
	multi_end(multi);
}

Test(carry_curl, a_traceparent_of_the_programs_own_is_enough, .init = begin, .fini = end)
{
	static const char *const own[] = { "traceparent: 00-1", "TraceParent: x",
					   "traceparent:", "Traceparent;" };
	CURL *easy = make("http://127.0.0.1:9/");

	for (unsigned i = 0; i < sizeof(own) / sizeof(*own); i++) {
		two.data = (char *)(uintptr_t)own[i];
		expect_left_alone(easy);
	}
	two.data = (char *)"Traceparents: other";
	ADD(multi_make(), easy);
	expect_ours(easy);
}

Test(carry_curl, a_head_that_may_be_as_long_as_is_allowed_gets_no_longer, .init = begin,
     .fini = end)
{
	static struct curl_slist many[48];
	char text[3000];
	CURL *easy = make("http://127.0.0.1:9/");

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	two.data = text;
	expect_left_alone(easy);
	two.data = (char *)"X-Two: 2";
	for (unsigned i = 0; i < 48; i++)
		many[i] = (struct curl_slist){ (char *)"X-Many: 1", i < 47 ? &many[i + 1] : NULL };
	set(easy, CURLOPT_HTTPHEADER, (uintptr_t)many);
	ADD(multi_make(), easy);
	cr_assert_eq(list_in(easy)->next, many);
	easy = make("http://127.0.0.1:9/");
	two.next = many;
	expect_left_alone(easy);
	two.next = NULL;
}

Test(carry_curl, only_requests_of_http_have_headers, .init = begin, .fini = end)
{
	static const char *const urls[] = { "smtp://127.0.0.1/",
					    "ftp://a/",
					    "localhost/",
					    "ws://a/",
					    "http://169.254.169.254/latest",
					    "http://[fd00:ec2::254]/",
					    "http://metadata.google.internal" };

	for (unsigned i = 0; i < sizeof(urls) / sizeof(*urls); i++)
		expect_left_alone(make(urls[i]));
}

Test(carry_curl, a_list_that_proxies_have_too_is_left_alone, .init = begin, .fini = end)
{
	CURL *easy = make("https://127.0.0.1:9/");

	set(easy, CURLOPT_HEADEROPT, CURLHEADER_UNIFIED);
	expect_left_alone(easy);
}

Test(carry_curl, what_was_known_goes_with_the_handle, .init = begin, .fini = end)
{
	CURL *easy = make("http://127.0.0.1:9/");
	CURLM *multi = multi_make();

	OURS(curl_easy_reset)(easy);
	cr_assert_null(list_in(easy));
	expect_left_alone(easy);
	set(easy, CURLOPT_URL, (uintptr_t) "http://127.0.0.1:9/");
	ADD(multi, easy);
	cr_assert(list_in(easy));
	easy_end(easy);
	cr_assert_null(curl_handle_find(easy));
}

Test(carry_curl, who_answers_nothing_has_nothing, .fini = end)
{
	start();
	cr_assert(objects_each(is_curl, NULL));
	expect_left_alone(make("http://127.0.0.1:9/"));
}

Test(carry_curl, more_handles_than_are_known, .init = begin, .fini = end)
{
	static char objects[4 * CURL_HANDLES][16];
	unsigned known = 0;

	for (unsigned i = 0; i < 4 * CURL_HANDLES; i++)
		known += curl_handle_get(objects[i]) != NULL;
	cr_assert_leq(known, CURL_HANDLES);
	cr_assert_gt(known, CURL_HANDLES / 2);
	for (unsigned i = 0; i < 4 * CURL_HANDLES; i++)
		if (curl_handle_find(objects[i]))
			curl_handle_put(curl_handle_find(objects[i]));
	cr_assert(curl_handle_get(objects[0]));
}
