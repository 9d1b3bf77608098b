/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include "launcher_spans.h"

static struct trace_store store;
static struct trace_tree tree;

static void set_up(void)
{
	trace_store_init(&store);
}

static void tear_down(void)
{
	trace_tree_free(&tree);
	trace_store_free(&store);
}

TestSuite(trace_tree, .init = set_up, .fini = tear_down);
TestSuite(trace_store, .init = set_up, .fini = tear_down);

static const char *built(void)
{
	trace_tree_build(&tree, &store, &store.traces[0]);
	return tree_text(&tree);
}

Test(trace_tree, puts_children_below_parents_by_start)
{
	add_span(&store, 4, 2, "b", KIND_CLIENT, 30, 5);
	add_span(&store, 3, 2, "b", KIND_CLIENT, 20, 5);
	add_span(&store, 2, 1, "b", KIND_SERVER, 10, 50);
	add_span(&store, 1, 0, "a", KIND_SERVER, 0, 100);
	add_span(&store, 5, 3, "c", KIND_SERVER, 21, 3);
	cr_assert_str_eq(built(), "1 .2 ..3 ...5 ..4");
	cr_assert_eq(tree.services, 3);
	cr_assert_eq(tree.orphans, 0);
	cr_assert_eq(tree.start_ns, START_NS);
	cr_assert_eq(tree.end_ns, START_NS + 100000);
	cr_assert(!tree.nodes[2].last);
	cr_assert(tree.nodes[4].last);
}

Test(trace_tree, shows_spans_without_their_parent_as_orphans)
{
	add_span(&store, 1, 0, "a", KIND_SERVER, 0, 100);
	add_span(&store, 2, 9, "b", KIND_SERVER, 10, 50);
	add_span(&store, 3, 2, "b", KIND_CLIENT, 20, 5);
	cr_assert_str_eq(built(), "1 ?2 .3");
	cr_assert_eq(tree.orphans, 1);
}

Test(trace_tree, opens_circles)
{
	add_span(&store, 1, 3, "a", KIND_SERVER, 0, 100);
	add_span(&store, 2, 1, "b", KIND_SERVER, 10, 50);
	add_span(&store, 3, 2, "c", KIND_SERVER, 20, 5);
	add_span(&store, 4, 2, "d", KIND_SERVER, 30, 5);
	add_span(&store, 5, 5, "e", KIND_SERVER, 40, 5);
	cr_assert_str_eq(built(), "?5 ?1 .2 ..3 ..4");
	cr_assert_eq(tree.count, 5);
}

Test(trace_tree, counts_a_span_once_that_came_twice)
{
	add_span(&store, 1, 0, "a", KIND_SERVER, 0, 100);
	add_span(&store, 2, 1, "b", KIND_SERVER, 10, 50);
	add_span(&store, 2, 1, "b", KIND_SERVER, 10, 50);
	add_span(&store, 3, 2, "b", KIND_SERVER, 10, 50);
	cr_assert_str_eq(built(), "1 .2 ..3");
	cr_assert_eq(tree.duplicates, 1);
}

Test(trace_tree, bears_chains_as_deep_as_a_file_is_long)
{
	for (unsigned i = 1; i <= 60000; i++)
		add_span(&store, i, i - 1, "a", KIND_SERVER, i, 100);
	built();
	cr_assert_eq(tree.count, 60000);
	cr_assert_eq(tree.nodes[59999].depth, 59999);
}

static struct span *add_on_host(unsigned id, unsigned parent, unsigned kind, int64_t start,
				int64_t length, const char *host)
{
	struct span *span = add_span(&store, id, parent, host, kind, start, length);

	span->host = trace_store_string(&store, host, strlen(host));
	return span;
}

Test(trace_tree, moves_servers_whose_clock_is_wrong_into_their_caller)
{
	add_on_host(1, 0, KIND_CLIENT, 0, 100, "one");
	add_on_host(2, 1, KIND_SERVER, -5000, 60, "two");
	add_on_host(3, 2, KIND_CLIENT, -4990, 20, "two");
	add_on_host(4, 3, KIND_SERVER, 33, 10, "one");
	cr_assert_str_eq(built(), "1 .2 ..3 ...4");
	cr_assert_eq(node_start(&tree.nodes[1]), START_NS + 20000);
	cr_assert_eq(node_start(&tree.nodes[2]), START_NS + 30000);
	cr_assert_eq(tree.nodes[3].shift_ns, 0);
	cr_assert_eq(tree.start_ns, START_NS);
	cr_assert_eq(tree.end_ns, START_NS + 100000);
	cr_assert_eq(tree.shifted, 1);
	cr_assert_eq(tree.widest_shift_ns, 5020000);
}

Test(trace_tree, leaves_times_of_one_host_alone)
{
	add_on_host(1, 0, KIND_CLIENT, 0, 100, "one");
	add_on_host(2, 1, KIND_SERVER, -50, 60, "one");
	built();
	cr_assert_eq(tree.nodes[1].shift_ns, 0);
	cr_assert_eq(tree.start_ns, START_NS - 50000);
}

Test(trace_tree, leaves_servers_alone_that_outlast_their_caller)
{
	add_on_host(1, 0, KIND_CLIENT, 0, 100, "one");
	add_on_host(2, 1, KIND_SERVER, 50, 600, "two");
	built();
	cr_assert_eq(tree.nodes[1].shift_ns, 0);
	cr_assert_eq(tree.end_ns, START_NS + 650000);
}

Test(trace_store, gives_one_pointer_for_one_text)
{
	char other[] = "nginx!";
	const char *a, *b;

	a = trace_store_string(&store, "nginx", 5);
	for (int i = 0; i < 5000; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%d", i);
		trace_store_string(&store, text, strlen(text));
	}
	b = trace_store_string(&store, other, 5);
	cr_assert_eq(a, b);
	cr_assert_neq(a, trace_store_string(&store, other, 6));
	cr_assert_neq(a, trace_store_string(&store, other, 4));
}

Test(trace_store, forgets_what_is_done_and_keeps_the_rest)
{
	for (unsigned i = 0; i < 1000; i++)
		add_span(&store, i + 1, 0, "a", KIND_SERVER, i, 1)->trace_id[0] = 0;
	for (unsigned i = 0; i < 500; i++) {
		struct span span = store.spans[0];

		span.trace_id[0] = (uint8_t)(i >> 8);
		span.trace_id[1] = (uint8_t)(i + 1);
		span.trace_id[2] = 7;
		trace_store_add(&store, &span);
	}
	cr_assert_eq(store.trace_count, 501);
	for (uint32_t i = 1; i < store.trace_count; i++)
		store.traces[i].done = true;
	trace_store_forget_done(&store);
	cr_assert_eq(store.trace_count, 1);
	cr_assert_eq(store.span_count, 1000);
	cr_assert_str_eq(store.spans[999].service, "a");
	cr_assert_not_null(trace_store_find(&store, store.spans[0].trace_id));
}
