/* SPDX-License-Identifier: Apache-2.0 */
/* Rule "flow": contexts as a runtime would carry them, and what is written in them. */
#include "shim/flow.h"
#include "shim_links.h"

#define NOTHING 0

static int peer;       /* of the inbound connection */
static char id[4][17]; /* of the server spans, in the order the requests were read */
static unsigned ids;

static void start_loop(void)
{
	start();
	ids = 0;
	thread_state.waits_on_inbound = true;
}

static void start_thread(void)
{
	start();
	ids = 0;
}

static int accepted_in(struct shim_flow *context)
{
	struct thread_flow saved;
	int fd;

	shim_flow_begin(&saved, context);
	fd = fixture_socket(&peer, true, false);
	shim_flow_end(&saved, context, SHIM_FLOW_ANY);
	return fd;
}

static void read_as(struct shim_flow *context, int fd, const char *head, enum shim_flow_style style)
{
	struct thread_flow saved;

	shim_flow_begin(&saved, context);
	program_reads(fd, peer, head);
	cr_assert(shim_flow_seen());
	for (unsigned i = 0; i < 8; i++)
		sprintf(id[ids] + i * 2, "%02x", thread_state.flow.seen.span_id[i]);
	ids++;
	shim_flow_end(&saved, context, style);
}

static void read_in(struct shim_flow *context, int fd)
{
	read_as(context, fd, REQUEST, SHIM_FLOW_ANY);
}

static void answer_in(struct shim_flow *context, int fd)
{
	struct thread_flow saved;

	shim_flow_begin(&saved, context);
	answer(fd);
	shim_flow_end(&saved, context, SHIM_FLOW_ANY);
}

static void ask_in(const struct shim_flow *context)
{
	struct thread_flow saved;
	struct shim_flow unused = *context;

	shim_flow_begin(&saved, context);
	ask();
	shim_flow_end(&saved, &unused, SHIM_FLOW_ANY);
}

static void expect_parent(const struct shim_flow *context, unsigned request)
{
	ask_in(context);
	expect_rule("flow");
	cr_assert_str_eq(outgoing.parent, id[request]);
}

static void expect_none(const struct shim_flow *context)
{
	ask_in(context);
	expect_rule("none");
}

/* A context copied for a piece of work. */
static struct shim_flow child_of(struct shim_flow *parent)
{
	struct shim_flow child;

	return shim_flow_child(parent, &child) ? child : *parent;
}

/* What a loop does: accepts, and begins work for the connection. */
static struct shim_flow begin_connection(int *fd)
{
	struct shim_flow listener = { NOTHING };

	*fd = accepted_in(&listener);
	return child_of(&listener);
}

Test(flow, is_nothing_where_nothing_was_read, .init = start_loop, .fini = spans_stop)
{
	struct shim_flow none = { NOTHING };

	expect_none(&none);
}

Test(flow, of_work_made_by_the_reader_is_the_request_it_read, .init = start_loop,
     .fini = spans_stop)
{
	int fd;
	struct shim_flow reader = begin_connection(&fd), first, second;

	read_in(&reader, fd);
	first = child_of(&reader);
	expect_parent(&reader, 0);
	expect_parent(&first, 0);
	answer_in(&first, fd);
	read_in(&reader, fd);
	second = child_of(&reader);
	expect_parent(&second, 1);
	expect_parent(&first, 0); /* answered, and still at work */
	answer_in(&second, fd);
	program_closes(fd);
	expect_parent(&first, 0);
	expect_parent(&second, 1);
}

Test(flow, of_a_context_that_has_not_seen_the_newest_request_is_none, .init = start_loop,
     .fini = spans_stop)
{
	int fd;
	struct shim_flow reader = begin_connection(&fd), other, late;

	read_in(&reader, fd);
	other = reader;
	answer_in(&other, fd);
	read_in(&reader, fd);
	expect_none(&other);
	late = child_of(&other);
	expect_none(&late);
}

Test(flow, of_a_connection_is_the_request_that_is_open, .init = start_loop, .fini = spans_stop)
{
	int fd;
	struct shim_flow connection = begin_connection(&fd), reader = connection, request;

	expect_none(&connection);
	read_in(&reader, fd);
	expect_parent(&connection, 0);
	request = child_of(&connection);
	answer_in(&request, fd);
	expect_none(&connection);
	read_in(&reader, fd);
	expect_parent(&connection, 1);
	expect_parent(&request, 0);
}

Test(flow, of_who_answers_himself_is_his_request_until_the_next_one_is_read, .init = start_loop,
     .fini = spans_stop)
{
	int fd;
	struct shim_flow connection = begin_connection(&fd), reader = connection, work;

	read_in(&reader, fd);
	answer_in(&connection, fd);
	expect_parent(&connection, 0);
	work = child_of(&connection);
	read_in(&reader, fd);
	expect_none(&connection); /* is he at it? */
	expect_parent(&work, 0);
	work = child_of(&connection);
	expect_none(&work);
}

Test(flow, of_who_waited_for_the_next_request_is_that_one, .init = start_loop, .fini = spans_stop)
{
	int fd;
	struct shim_flow connection = begin_connection(&fd), reader = connection;

	read_in(&reader, fd);
	answer_in(&connection, fd);
	read_in(&reader, fd);
	cr_assert(shim_flow_reading());
	shim_flow_awaited(&reader);
	expect_parent(&connection, 1);
	cr_assert_not(shim_flow_reading());
}

Test(flow, is_none_where_a_request_is_read_before_the_last_is_answered, .init = start_loop,
     .fini = spans_stop)
{
	int fd;
	struct shim_flow connection = begin_connection(&fd), reader = connection, first, second;

	read_in(&reader, fd);
	first = child_of(&reader);
	expect_parent(&first, 0);
	read_in(&reader, fd);
	second = child_of(&reader);
	expect_none(&first); /* the second one's work may be made in it */
	expect_none(&second);
	expect_none(&connection);
	answer_in(&first, fd);
	answer_in(&first, fd);
	program_closes(fd);
	expect_none(&first);
}

Test(flow, of_two_requests_in_one_piece_is_none, .init = start_loop, .fini = spans_stop)
{
	int fd;
	struct shim_flow reader = begin_connection(&fd);

	read_as(&reader, fd, REQUEST REQUEST, SHIM_FLOW_ANY);
	expect_none(&reader);
}

Test(flow, is_none_for_who_accepted_and_for_all_but_the_first_piece_of_work, .init = start_loop,
     .fini = spans_stop)
{
	struct shim_flow listener = { NOTHING }, first, second, reader;
	int fd = accepted_in(&listener);

	first = child_of(&listener);
	second = child_of(&listener);
	reader = first;
	read_in(&reader, fd);
	expect_parent(&first, 0);
	expect_none(&listener);
	expect_none(&second);
}

Test(flow, is_none_for_a_loop_that_reads_for_all_in_one_context, .init = start_loop,
     .fini = spans_stop)
{
	struct shim_flow context = { NOTHING };
	int fd = accepted_in(&context);

	read_in(&context, fd);
	expect_none(&context);
}

Test(flow, of_a_context_of_its_own_is_what_was_read_in_it, .init = start_loop, .fini = spans_stop)
{
	struct shim_flow context = { NOTHING };
	int fd = accepted_in(&context), first_peer = peer, other;

	read_as(&context, fd, REQUEST, SHIM_FLOW_OWN);
	expect_parent(&context, 0);
	other = fixture_socket(&peer, true, false);
	read_as(&context, other, REQUEST, SHIM_FLOW_OWN);
	expect_none(&context); /* one that reads several */
	fixture_close(other, peer);
	peer = first_peer;
}

Test(flow, of_a_thread_is_the_request_it_read_unless_others_answer, .init = start_thread,
     .fini = spans_stop)
{
	struct shim_flow thread = { NOTHING };
	int fd = fixture_socket(&peer, true, true);

	read_in(&thread, fd);
	expect_parent(&thread, 0);
	answer_in(&thread, fd);
	expect_parent(&thread, 0);
	process_flag_set(other_answered);
	expect_none(&thread);
}

static void expect_first(void *context)
{
	expect_parent(context, 0);
}

Test(flow, of_a_thread_ends_with_its_connection_but_not_where_it_was_handed_on,
     .init = start_thread, .fini = spans_stop)
{
	struct shim_flow thread = { NOTHING }, task;
	int fd = fixture_socket(&peer, true, true);

	read_in(&thread, fd);
	answer_in(&thread, fd);
	task = child_of(&thread);
	program_closes(fd);
	expect_none(&thread);
	expect_parent(&task, 0);
	in_thread(expect_first, &thread);
}

Test(flow, is_told_as_a_header_that_is_known_as_ours, .init = start_loop, .fini = spans_stop)
{
	int fd;
	struct shim_flow reader = begin_connection(&fd);
	char text[TRACEPARENT_LEN + 1], head[200];

	cr_assert_not(shim_flow_traceparent(&reader, text));
	read_in(&reader, fd);
	cr_assert(shim_flow_traceparent(&reader, text));
	cr_assert(strncmp(text + 36, id[0], 16) == 0);
	snprintf(head, sizeof(head), "GET /y HTTP/1.1\r\nHost: b\r\ntraceparent: %s\r\n\r\n", text);
	cr_assert(ask_with(head));
	expect_rule("header");
	cr_assert_str_eq(outgoing.parent, id[0]);
	/* That proves nothing of what the program does with headers. */
	cr_assert_not(process_flag(forwards));
}

static void start_limited(void)
{
	spans_start_with("TAGALONG_PROPAGATE_TO=*.example");
	ids = 0;
	thread_state.waits_on_inbound = true;
}

Test(flow, is_told_as_a_header_nowhere_where_not_all_may_have_it, .init = start_limited,
     .fini = spans_stop)
{
	int fd;
	struct shim_flow reader = begin_connection(&fd);
	char text[TRACEPARENT_LEN + 1];

	read_in(&reader, fd);
	cr_assert_not(shim_flow_traceparent(&reader, text));
}

Test(flow, is_nothing_when_the_bytes_are_not_ours, .init = start_loop, .fini = spans_stop)
{
	struct shim_flow odd, child;

	memset(&odd, 0xff, sizeof(odd));
	expect_none(&odd);
	cr_assert_not(shim_flow_child(&odd, &child));
	odd = (struct shim_flow){ .serial = 1, .kind = FLOW_REQUEST };
	expect_none(&odd);
}
