/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are served, requests that are sent meanwhile, and what these are linked to. */
#ifndef TESTS_SHIM_LINKS_H
#define TESTS_SHIM_LINKS_H

#include <pthread.h>
#include "base/thread.h"
#include "shim/link.h"
#include "shim/process_state.h"
#include "shim_spans.h"

static int inbound_peer;

/* There are threads beside the test's: the process has shown that readers answer. */
static inline void readers_answer(void)
{
	atomic_store(&process_state.reader_answers_alone, LINK_EVIDENCE_ALONE);
}

static inline void start(void)
{
	spans_start(NULL);
	readers_answer();
}

/* A connection on which a request was read by this thread, in blocking style unless said. */
static inline int serve_with(const char *head, bool blocking)
{
	int fd = fixture_socket(&inbound_peer, true, blocking);

	program_reads(fd, inbound_peer, head);
	return fd;
}

static inline int serve(void)
{
	return serve_with(REQUEST, true);
}

static inline void answer(int fd)
{
	program_writes(fd, RESPONSE);
}

/* ---- what an outgoing request was linked to ---- */

static struct {
	char rule[16], parent[17], trace[33], span[17];
	size_t links;
	bool header; /* one of ours was on the wire, with the span's id */
} outgoing;

/* Sends a request from this thread, reads the answer, and fills `outgoing`; false: no span. */
static inline bool ask_with(const char *head)
{
	int peer, fd = fixture_socket(&peer, false, true);
	size_t before = spans_read();
	char value[56];
	json_t *span;

	memset(&outgoing, 0, sizeof(outgoing));
	snprintf(value, sizeof(value), "%s", traceparent_in(program_writes(fd, head)));
	program_reads(fd, peer, RESPONSE);
	fixture_close(fd, peer);
	if (spans_read() == before)
		return false;
	span = span_at(before);
	cr_assert_eq(span_kind(span), KIND_CLIENT);
	strcpy(outgoing.rule, span_attribute(span, "tagalong.link"));
	strcpy(outgoing.parent, span_field(span, "parentSpanId"));
	strcpy(outgoing.trace, span_field(span, "traceId"));
	strcpy(outgoing.span, span_field(span, "spanId"));
	outgoing.links = span_links(span);
	outgoing.header = *value && strncmp(value + 3, outgoing.trace, 32) == 0 &&
			  strncmp(value + 36, outgoing.span, 16) == 0;
	cr_assert(outgoing.header);
	return true;
}

static inline void ask(void)
{
	cr_assert(ask_with(REQUEST));
}

static inline void expect_rule(const char *rule)
{
	cr_assert_str_eq(outgoing.rule, rule);
}

/* Runs fn(arg) in another thread. */
struct job {
	void (*fn)(void *arg);
	void *arg;
};

static inline void *run_job(void *p)
{
	struct job *j = p;

	j->fn(j->arg);
	return NULL;
}

static inline void in_thread(void (*fn)(void *arg), void *arg)
{
	struct job j = { fn, arg };
	pthread_t t;

	pthread_create(&t, NULL, run_job, &j);
	pthread_join(t, NULL);
}

#endif
