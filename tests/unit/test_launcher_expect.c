/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include "launcher/expect.h"
#include "launcher_spans.h"

static struct trace_store store;

/* gw client > api server > api client > users server, and api client > prices server. */
static void set_up(void)
{
	trace_store_init(&store);
	add_span(&store, 1, 0, "gw", KIND_CLIENT, 0, 100);
	add_span(&store, 2, 1, "api", KIND_SERVER, 1, 90);
	add_span(&store, 3, 2, "api", KIND_CLIENT, 2, 30);
	add_span(&store, 4, 3, "users", KIND_SERVER, 3, 20);
	add_span(&store, 5, 2, "api", KIND_CLIENT, 40, 30);
	add_span(&store, 6, 5, "prices", KIND_SERVER, 41, 20);
}

static void tear_down(void)
{
	trace_store_free(&store);
}

TestSuite(expectation, .init = set_up, .fini = tear_down);

static unsigned steps_held(const char *text)
{
	struct expectation e;
	struct trace_tree tree;
	const char *wrong = expectation_parse(&e, text);
	unsigned steps;

	cr_assert_null(wrong, "%s: %s", text, wrong);
	trace_tree_build(&tree, &store, &store.traces[0]);
	steps = expectation_match(&e, &tree, NULL);
	trace_tree_free(&tree);
	expectation_free(&e);
	return steps;
}

Test(expectation, splits_at_arrows_and_trims)
{
	struct expectation e;

	cr_assert_null(expectation_parse(&e, " nginx>my api\t> users "));
	cr_assert_eq(e.count, 3);
	cr_assert_str_eq(e.steps[0], "nginx");
	cr_assert_str_eq(e.steps[1], "my api");
	cr_assert_str_eq(e.steps[2], "users");
	expectation_free(&e);
}

Test(expectation, refuses_missing_names)
{
	static const char *const wrong[] = { "", " ", ">", "a >", "> a", "a >> b", "a > > b" };
	struct expectation e;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert_not_null(expectation_parse(&e, wrong[i]), "%s", wrong[i]);
}

Test(expectation, refuses_more_steps_than_it_has_bits_for)
{
	struct expectation e;
	char text[256] = "a";

	for (int i = 1; i < EXPECT_STEPS_MAX; i++)
		strcat(text, ">a");
	cr_assert_null(expectation_parse(&e, text));
	expectation_free(&e);
	strcat(text, ">a");
	cr_assert_not_null(expectation_parse(&e, text));
}

Test(expectation, holds_for_chains_by_parent_links)
{
	cr_assert_eq(steps_held("gw > api > users"), 3);
	cr_assert_eq(steps_held("gw > api > prices"), 3);
	cr_assert_eq(steps_held("api > users"), 2);
	cr_assert_eq(steps_held("users"), 1);
}

Test(expectation, breaks_where_the_chain_breaks)
{
	cr_assert_eq(steps_held("gw > api > billing"), 2);
	cr_assert_eq(steps_held("gw > users"), 1);
	cr_assert_eq(steps_held("users > api"), 1);
	cr_assert_eq(steps_held("billing > api"), 0);
	cr_assert_eq(steps_held("gw > api > users > prices"), 3);
}

Test(expectation, takes_globs_for_services)
{
	cr_assert_eq(steps_held("gw > * > users"), 3);
	cr_assert_eq(steps_held("g? > a*"), 2);
}

Test(expectation, wants_another_request_for_the_same_service_again)
{
	cr_assert_eq(steps_held("gw > api > api > users"), 2);
	add_span(&store, 7, 5, "api", KIND_SERVER, 42, 3);
	add_span(&store, 8, 7, "api", KIND_CLIENT, 43, 1);
	add_span(&store, 9, 8, "users", KIND_SERVER, 43, 1);
	cr_assert_eq(steps_held("gw > api > api > users"), 4);
}

static char said[4096];

static void remember(void *arg, const char *line)
{
	(void)arg;
	strcat(strcat(said, line), "\n");
}

static const char *explained(const char *text)
{
	struct expectation e;
	struct trace_tree tree;

	said[0] = '\0';
	expectation_parse(&e, text);
	trace_tree_build(&tree, &store, &store.traces[0]);
	expectation_explain(&e, &tree, &store, remember, NULL);
	trace_tree_free(&tree);
	expectation_free(&e);
	return said;
}

Test(expectation, says_who_was_called_instead)
{
	cr_assert(strstr(explained("gw > api > billing"), "api leads to users"), "%s", said);
	cr_assert(strstr(said, "No span of billing"), "%s", said);
}

Test(expectation, says_that_context_did_not_arrive)
{
	add_span(&store, 20, 0, "billing", KIND_SERVER, 5, 1);
	store.span_count--; /* as a trace of its own */
	struct span other = store.spans[store.span_count];

	store.traces[0].count--;
	store.spans[5].next = NO_INDEX;
	store.traces[0].last = 5;
	other.trace_id[0] = 0xab;
	trace_store_add(&store, &other);
	cr_assert(strstr(explained("gw > api > billing"),
			 "begins 1 trace of its own (such as ab00"),
		  "%s", said);
}

Test(expectation, says_which_name_was_meant)
{
	cr_assert(strstr(explained("gw > api > user"), "Did you mean users?"), "%s", said);
}

Test(expectation, says_that_a_call_was_not_answered)
{
	add_span(&store, 10, 2, "api", KIND_CLIENT, 80, 1)->target = "http://billing/";
	cr_assert(strstr(explained("api > billing"), "api called http://billing/"), "%s", said);
}

Test(expectation, explains_nothing_when_it_holds)
{
	cr_assert_str_eq(explained("gw > api"), "");
}
