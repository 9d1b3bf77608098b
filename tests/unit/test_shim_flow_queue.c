/* SPDX-License-Identifier: Apache-2.0 */
/* Rule "flow" for loops that read before they call back, and write behind the program's back. */
#include "shim/flow.h"
#include "shim_links.h"

struct served {
	int fd, peer;
	char id[17]; /* of the request read last */
};

struct asked {
	int fd, peer;
};

static void start_loop(void)
{
	start();
	thread_state.waits_on_inbound = true;
}

static struct served accepted(void)
{
	struct served s = { .id = "" };

	s.fd = fixture_socket(&s.peer, true, false);
	memset(&thread_state.flow.seen, 0, sizeof(thread_state.flow.seen));
	return s;
}

/* The loop reads; nobody has been called back yet. */
static void loop_reads(struct served *s, const char *bytes)
{
	program_reads(s->fd, s->peer, bytes);
	for (unsigned i = 0; i < 8; i++)
		sprintf(s->id + i * 2, "%02x", thread_state.flow.seen.span_id[i]);
}

/* The context of work that is begun in a callback behind the reading of a request. */
static struct shim_flow work_on(struct served *s)
{
	struct shim_flow context = { .serial = 0 }, child;

	loop_reads(s, REQUEST);
	cr_assert(shim_flow_callback(&context));
	cr_assert(shim_flow_child(&context, &child));
	shim_flow_callback_over();
	return child;
}

static struct asked connected(void)
{
	struct asked a;

	a.fd = fixture_socket(&a.peer, false, false);
	return a;
}

static void queue(const struct asked *a, struct shim_flow *context)
{
	cr_assert_not(shim_flow_queue(a->fd, context, strlen(REQUEST)));
}

/* What has been written leaves, and is answered. The spans of it, read from `*at`. */
static void flush(const struct asked *a, const char *bytes, const char *answers, size_t *at)
{
	*at = spans_read();
	program_writes(a->fd, bytes);
	program_reads(a->fd, a->peer, answers);
	spans_read();
}

static void expect_parent(size_t at, const char *parent)
{
	json_t *span = span_at(at);

	cr_assert_str_eq(span_attribute(span, "tagalong.link"), *parent ? "flow" : "none");
	cr_assert_str_eq(span_field(span, "parentSpanId"), parent);
}

Test(flow_queue, a_callback_is_for_what_was_read_before_it, .init = start_loop, .fini = spans_stop)
{
	struct served s = accepted(), other = accepted();
	struct shim_flow first = work_on(&s), second;
	struct asked a = connected();
	size_t at;

	second = work_on(&other);
	queue(&a, &first);
	flush(&a, REQUEST, RESPONSE, &at);
	expect_parent(at, s.id);
	queue(&a, &second);
	flush(&a, REQUEST, RESPONSE, &at);
	expect_parent(at, other.id);
}

Test(flow_queue, a_callback_behind_several_requests_is_for_none, .init = start_loop,
     .fini = spans_stop)
{
	struct served s = accepted();
	struct shim_flow context = { .serial = 0 };

	loop_reads(&s, REQUEST REQUEST);
	cr_assert_not(shim_flow_callback(&context));
	cr_assert_not(shim_flow_seen());
}

Test(flow_queue, what_was_read_in_a_callback_is_not_the_next_ones, .init = start_loop,
     .fini = spans_stop)
{
	struct served s = accepted();
	struct shim_flow context = { .serial = 0 };

	loop_reads(&s, REQUEST);
	shim_flow_callback_over();
	cr_assert_not(shim_flow_callback(&context));
}

Test(flow_queue, a_context_that_connections_share_is_the_last_ones, .init = start_loop,
     .fini = spans_stop)
{
	struct served s = accepted(), other = accepted();
	struct shim_flow shared = { .serial = 0 };
	struct asked a = connected();
	size_t at;

	loop_reads(&s, REQUEST);
	cr_assert(shim_flow_callback(&shared));
	loop_reads(&other, REQUEST REQUEST);
	cr_assert(shim_flow_callback(&shared)); /* one of the first's is not right any more */
	queue(&a, &shared);
	flush(&a, REQUEST, RESPONSE, &at);
	expect_parent(at, "");
}

Test(flow_queue, work_begun_when_a_connection_is_made_goes_on_with_its_requests, .init = start_loop,
     .fini = spans_stop)
{
	struct served s = accepted();
	struct shim_flow task, unused = { .serial = 0 };
	struct asked a = connected();
	size_t at;

	cr_assert_not(shim_flow_of_made(&task));
	shim_flow_made(s.fd);
	cr_assert(shim_flow_of_made(&task));
	shim_flow_callback_over();
	cr_assert_not(shim_flow_of_made(&unused));
	loop_reads(&s, REQUEST);
	cr_assert(shim_flow_callback(&unused));
	queue(&a, &task);
	flush(&a, REQUEST, RESPONSE, &at);
	expect_parent(at, s.id);
	/* He answers, and is still at it when the next one has been read. */
	cr_assert(shim_flow_queue(s.fd, &task, strlen(RESPONSE)));
	answer(s.fd);
	shim_flow_callback_over();
	queue(&a, &task);
	flush(&a, REQUEST, RESPONSE, &at);
	expect_parent(at, s.id);
	loop_reads(&s, REQUEST);
	queue(&a, &task);
	flush(&a, REQUEST, RESPONSE, &at);
	expect_parent(at, "");
}

Test(flow_queue, no_client_connection_is_told_of_as_new, .init = start_loop, .fini = spans_stop)
{
	struct asked a = connected();
	struct shim_flow task;

	shim_flow_made(a.fd);
	cr_assert_not(shim_flow_of_made(&task));
}

Test(flow_queue, requests_of_several_that_leave_together_are_nobodys, .init = start_loop,
     .fini = spans_stop)
{
	struct served s = accepted(), other = accepted();
	struct shim_flow first = work_on(&s), second = work_on(&other);
	struct asked a = connected();
	size_t at;

	queue(&a, &first);
	queue(&a, &second);
	flush(&a, REQUEST REQUEST, RESPONSE RESPONSE, &at);
	expect_parent(at, "");
}

Test(flow_queue, of_two_that_leave_apart_the_last_is_known, .init = start_loop, .fini = spans_stop)
{
	struct served s = accepted(), other = accepted();
	struct shim_flow first = work_on(&s), second = work_on(&other);
	struct asked a = connected();
	size_t at;

	queue(&a, &first);
	queue(&a, &second);
	flush(&a, REQUEST, RESPONSE, &at);
	expect_parent(at, "");
	flush(&a, REQUEST, RESPONSE, &at);
	expect_parent(at, other.id);
}

Test(flow_queue, bytes_that_nobody_counted_end_it, .init = start_loop, .fini = spans_stop)
{
	struct served s = accepted();
	struct shim_flow work = work_on(&s);
	struct asked a = connected(), other = connected();
	size_t at;

	queue(&a, &work);
	flush(&a, REQUEST, RESPONSE, &at);
	expect_parent(at, s.id);
	flush(&a, REQUEST, RESPONSE, &at);
	expect_parent(at, "");
	queue(&a, &work);
	flush(&a, REQUEST, RESPONSE, &at);
	expect_parent(at, "");
	shim_flow_queue_lost(other.fd);
	queue(&other, &work);
	flush(&other, REQUEST, RESPONSE, &at);
	expect_parent(at, "");
}

Test(flow_queue, begins_anew_where_another_connection_has_the_place, .init = start_loop,
     .fini = spans_stop)
{
	struct served s = accepted();
	struct shim_flow work = work_on(&s);
	struct asked a = connected();
	size_t at;

	queue(&a, &work); /* never sent */
	fixture_close(a.fd, a.peer);
	a = connected();
	flush(&a, REQUEST, RESPONSE, &at);
	expect_parent(at, "");
	queue(&a, &work);
	flush(&a, REQUEST, RESPONSE, &at);
	expect_parent(at, s.id);
}
