/* SPDX-License-Identifier: Apache-2.0 */
/* Where a body ends as far as heads tell: RFC 9112 section 6. Wherever two receivers in use could
 * find different ends the framing is bad: we only watch, so giving up is always right and a guess
 * is not. */
#include "shim/wire/http1.h"
#include "shim/wire/http1_scan.h"

/* Wire code: bytes in, views out. No allocation, no globals, no I/O, no system call; nothing reads
 * past in.n; every loop ends at a named ceiling or at the end of the bytes. */
#define malloc wire_code_must_not_allocate

bool http1_list_has(struct bytes value, struct bytes token)
{
	struct bytes rest = value;

	while (rest.p) {
		struct bytes piece = bytes_split(&rest, ',');

		if (bytes_equal_nocase(trim_lines(bytes_split(&piece, ';')), token))
			return true;
	}
	return false;
}

/* RFC 9110 section 8.6 lets receivers take equal lengths twice, and all that do agree. "5, 5" in
 * one line is 5 to some, no length to others; so are a sign, a space and 0x. */
static void note_length(struct http1_head *head, struct bytes value)
{
	uint64_t length;

	if (bytes_to_u64(value, &length) != 0 || length > INT64_MAX ||
	    (head->has_length && head->content_length != length)) {
		head->framing_bad = true;
		return;
	}
	head->has_length = true;
	head->content_length = length;
}

static bool known_coding(struct bytes name)
{
	static const char names[][12] = { "gzip", "x-gzip", "deflate", "compress", "x-compress" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bytes_equal_nocase(name, bytes_of(names[i])))
			return true;
	return false;
}

/* RFC 9112 section 6.1. One line, codings of the registry, chunked once and last or not at all. */
static void note_coding(struct http1_head *head, struct bytes value)
{
	struct bytes rest = value;

	if (head->count[HTTP1_TRANSFER_ENCODING] > 1)
		head->framing_bad = true;
	/* An HTTP/1.0 receiver does not know the field and a later one may obey it. */
	if (head->minor == 0)
		head->framing_bad = true;
	head->chunked = head->coding_other = false;
	while (rest.p) {
		struct bytes coding = bytes_trim(bytes_split(&rest, ','));

		if (head->chunked)
			head->framing_bad = true;
		head->chunked = bytes_equal_nocase(coding, BYTES("chunked"));
		if (!head->chunked && !known_coding(coding))
			head->framing_bad = true;
		head->coding_other = !head->chunked;
	}
}

/* Nearly every request has this field, with one token. */
static void note_connection(struct http1_head *head, struct bytes value)
{
	struct bytes rest = value;

	while (rest.p) {
		struct bytes piece = bytes_split(&rest, ','), token;

		token = trim_lines(bytes_split(&piece, ';'));
		head->close |= bytes_equal_nocase(token, BYTES("close"));
		head->keep_alive |= bytes_equal_nocase(token, BYTES("keep-alive"));
		head->upgrade |= bytes_equal_nocase(token, BYTES("upgrade"));
	}
}

void http1_note_field(struct http1_head *head, enum http1_field id, struct bytes value)
{
	switch (id) {
	case HTTP1_CONTENT_LENGTH:
		note_length(head, value);
		break;
	case HTTP1_TRANSFER_ENCODING:
		note_coding(head, value);
		break;
	case HTTP1_CONNECTION:
		note_connection(head, value);
		break;
	case HTTP1_EXPECT:
		/* RFC 9110 section 10.1.1: an HTTP/1.0 client cannot wait for an interim answer. */
		head->expect_continue |=
			head->minor > 0 && http1_list_has(value, BYTES("100-continue"));
		break;
	default:
		break;
	}
}

void http1_judge_framing(struct http1_head *head)
{
	bool coded = head->count[HTTP1_TRANSFER_ENCODING] > 0;

	/* Section 6.3, 3: the coding wins, and servers are told to close as it smells of smuggling.
	 */
	if (coded && head->count[HTTP1_CONTENT_LENGTH] > 0)
		head->framing_bad = true;
	/* Section 6.3, 4: a request cannot end with the connection. */
	if (coded && head->request && !head->chunked)
		head->framing_bad = true;
}

static struct http1_body body_in(enum http1_body_state state)
{
	return (struct http1_body){ .state = state };
}

static struct http1_body body_of_length(uint64_t length)
{
	return (struct http1_body){ .state = length ? BODY_LENGTH : BODY_DONE,
				    .remaining = length };
}

struct http1_body http1_request_body(const struct http1_head *head)
{
	if (head->framing_bad)
		return body_in(BODY_BAD);
	/* RFC 9110 section 9.3.6: what a body of CONNECT would mean is not defined. */
	if (bytes_equal(head->method, BYTES("CONNECT")) && (head->chunked || head->content_length))
		return body_in(BODY_BAD);
	if (head->chunked)
		return body_in(BODY_AWAIT_CHUNK_SIZE);
	return body_of_length(head->content_length);
}

/* Section 6.3, 1 and 2: these end with the head whatever its fields say. */
static bool ends_with_head(const struct http1_head *head, struct bytes method)
{
	return head->status < 200 || head->status == 204 || head->status == 304 ||
	       bytes_equal(method, BYTES("HEAD"));
}

struct http1_body http1_response_body(const struct http1_head *head, struct bytes method,
				      bool *tunnel)
{
	*tunnel = head->status == 101 ||
		  (head->status / 100 == 2 && bytes_equal(method, BYTES("CONNECT")));
	if (*tunnel)
		return body_in(BODY_DONE);
	if (head->framing_bad)
		return body_in(BODY_BAD);
	if (ends_with_head(head, method))
		return body_in(BODY_DONE);
	if (head->chunked)
		return body_in(BODY_AWAIT_CHUNK_SIZE);
	if (head->has_length)
		return body_of_length(head->content_length);
	return body_in(BODY_UNTIL_CLOSE);
}
