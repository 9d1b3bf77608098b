/* SPDX-License-Identifier: Apache-2.0 */
/* Heads and first bytes. The first byte chooses the direction and where to cut; what was seen
 * before and what follows must not change the answer. */
#include <stdlib.h>
#include "shim/wire/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool true_always)
{
	if (!true_always)
		abort();
}

/* On the heap without slack, so that the sanitizer sees each byte read too many. */
static ssize_t parse(bool request, struct http1_head *head, struct bytes in, size_t seen)
{
	char *copy = malloc(in.n ? in.n : 1);
	struct bytes exact = { copy, in.n };
	ssize_t n;

	memcpy(copy, in.p, in.n);
	n = request ? http1_parse_request(head, exact, seen)
		    : http1_parse_response(head, exact, seen);
	must(n >= -1 && (n < 0 || (size_t)n <= in.n));
	free(copy);
	return n;
}

static void must_lie_in(struct bytes part, struct bytes whole)
{
	if (part.n)
		must(part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check_head(const struct http1_head *head, struct bytes in)
{
	struct bytes whole = { in.p, head->length };
	struct http1_header header;
	size_t pos = head->headers;
	unsigned count = 0;

	must(head->headers <= head->blank && head->blank < head->length);
	must(in.p[head->length - 1] == '\n' && in.p[head->blank - 1] == '\n');
	must_lie_in(head->method, whole);
	must_lie_in(head->target, whole);
	for (unsigned id = 0; id < HTTP1_FIELD_COUNT; id++) {
		must_lie_in(head->field[id], whole);
		must(head->count[id] || head->field[id].n == 0);
	}
	for (; http1_next_header(head, in, &pos, &header); count++) {
		must(header.name.n > 0);
		must_lie_in(header.name, whole);
		must_lie_in(header.value, whole);
	}
	must(count == head->header_count && pos == head->blank);
	must(!(head->chunked && head->has_length) || head->framing_bad);
}

static void check_body(const struct http1_head *head)
{
	struct http1_body body;
	bool tunnel;

	body = head->request ? http1_request_body(head)
			     : http1_response_body(head, BYTES("GET"), &tunnel);
	if (head->framing_bad && !(!head->request && tunnel))
		must(body.state == BODY_BAD);
	if (head->request)
		must(body.state != BODY_UNTIL_CLOSE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http1_head head;
	struct bytes in;
	bool request;
	size_t cut;
	ssize_t n;

	if (size < 2)
		return 0;
	request = data[0] & 1;
	in = (struct bytes){ (const char *)data + 1, size - 1 };
	cut = in.n * (data[0] >> 1) / 128;
	n = parse(request, &head, in, 0);
	/* Too early to tell is an answer too, but never a head, and never in place of one. */
	if (parse(request, &head, (struct bytes){ in.p, cut }, 0) == HTTP1_MORE)
		must(n == HTTP1_BAD ? parse(request, &head, in, cut) <= 0
				    : parse(request, &head, in, cut) == n);
	if (n > 0) {
		must(parse(request, &head, (struct bytes){ in.p, (size_t)n - 1 }, 0) == HTTP1_MORE);
		must(parse(request, &head, (struct bytes){ in.p, (size_t)n }, 0) == n);
		must((request ? http1_parse_request : http1_parse_response)(&head, in, 0) == n);
		check_head(&head, in);
		check_body(&head);
		must(http1_sniff(in) == (request ? HTTP1_START_REQUEST : HTTP1_START_RESPONSE));
	}
	http1_sniff(in);
	return 0;
}
