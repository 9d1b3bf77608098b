/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/curl/answer.h"

#include <jansson.h>
#include <stdlib.h>
#include "exporter/curl/grpc.h"
#include "exporter/otlp.h"
#include "exporter/retry.h"

static void say(struct answer *a, struct bytes words)
{
	size_t n = words.n < ANSWER_SAID_MAX ? words.n : ANSWER_SAID_MAX;

	for (size_t i = 0; i < n; i++)
		a->said[i] = words.p[i] >= ' ' && words.p[i] <= '~' ? words.p[i] : '?';
	a->said[n] = '\0';
}

static void reject(struct answer *a, int64_t items)
{
	a->rejected = items <= 0 ? 0 : items > UINT32_MAX ? UINT32_MAX : (uint32_t)items;
}

static void read_retry_after(struct answer *a, const struct reply *r, uint64_t now_unix_s)
{
	if (r->retry_after.n)
		retry_after_parse(reply_bytes(&r->retry_after), now_unix_s, &a->asked_ms);
}

/* "application/json", with or without parameters. */
static bool has_type(const struct reply *r, struct bytes type)
{
	struct bytes rest = reply_bytes(&r->content_type);

	return bytes_equal_nocase(bytes_trim(bytes_split(&rest, ';')), type);
}

/* ---- bodies ---- */

/* 64-bit numbers are text in OTLP/JSON, and readers take both. */
static int64_t json_count(const json_t *number)
{
	const char *text = json_string_value(number);

	return text ? strtoll(text, NULL, 10) : json_integer_value(number);
}

static void say_json(struct answer *a, const json_t *message)
{
	say(a, bytes_of(json_string_value(message)));
}

/* An Export*ServiceResponse or a Status; what is no JSON says nothing. */
static void read_json(struct answer *a, struct bytes body)
{
	json_t *root = json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, NULL);
	const json_t *partial = json_object_get(root, "partialSuccess");
	const json_t *spans = json_object_get(partial, "rejectedSpans");

	if (a->loss) {
		say_json(a, json_object_get(root, "message"));
	} else if (partial) {
		reject(a,
		       json_count(spans ? spans : json_object_get(partial, "rejectedDataPoints")));
		say_json(a, json_object_get(partial, "errorMessage"));
	}
	json_decref(root);
}

static void read_protobuf(struct answer *a, struct bytes body)
{
	struct bytes message = { NULL, 0 };
	int64_t rejected = 0;

	if (a->loss)
		message = otlp_status_message(body);
	else if (otlp_parse_response(body, &rejected, &message) < 0)
		return;
	reject(a, rejected);
	say(a, message);
}

static void read_body(struct answer *a, const struct reply *r)
{
	struct bytes coding = reply_bytes(&r->content_encoding);

	/* We did not ask for any. */
	if (coding.n && !bytes_equal_nocase(coding, BYTES("identity")))
		return;
	if (has_type(r, BYTES("application/json")))
		read_json(a, reply_body(r));
	else if (has_type(r, BYTES("application/x-protobuf")) || !r->content_type.n)
		read_protobuf(a, reply_body(r));
}

void answer_read_http(struct answer *a, const struct reply *r, uint64_t now_unix_s)
{
	struct text status = TEXT_ON(a->status);
	bool good = r->http_status / 100 == 2;

	*a = (struct answer){ .final = true, .loss = good ? LOSS_NONE : LOSS_RESPONSE };
	read_body(a, r);
	if (good)
		return;
	text_format(&status, "%u", r->http_status);
	text_string(&status);
	a->final = !retry_status((int)r->http_status);
	if (!a->final)
		read_retry_after(a, r, now_unix_s);
}

/* ---- gRPC ---- */

static void settle_grpc(struct answer *a, enum grpc_status s, bool has_retry_info)
{
	struct text status = TEXT_ON(a->status);

	if (s == GRPC_OK)
		return;
	a->loss = LOSS_RESPONSE;
	a->final = !grpc_is_retryable(s, has_retry_info);
	text_format(&status, "grpc-status %s", grpc_status_name(s));
	text_string(&status);
}

/* An answer that cannot be read is no reason to send the spans again. */
static void read_grpc_message(struct answer *a, const struct reply *r)
{
	struct gzip_buffer plain = { NULL, 0, 0 };
	struct bytes message;
	bool compressed;

	if (grpc_read_message(reply_body(r), &compressed, &message) < 0)
		return;
	if (compressed) {
		if (!bytes_equal_nocase(reply_bytes(&r->grpc_encoding), BYTES("gzip")) ||
		    gzip_expand(&plain, message, REPLY_BODY_MAX) < 0)
			goto out;
		message = (struct bytes){ plain.p, plain.n };
	}
	read_protobuf(a, message);
out:
	free(plain.p);
}

/* Without grpc-status it was not a gRPC server that answered, but somebody on the way. */
static void read_foreign(struct answer *a, const struct reply *r, uint64_t now_unix_s)
{
	struct text status = TEXT_ON(a->status);

	settle_grpc(a, grpc_status_of_http(r->http_status), false);
	text_format(&status, "HTTP %u without grpc-status", r->http_status);
	text_string(&status);
	if (!a->final)
		read_retry_after(a, r, now_unix_s);
}

void answer_read_grpc(struct answer *a, const struct reply *r, uint64_t now_unix_s)
{
	char words[GRPC_MESSAGE_MAX];
	bool has_retry_info;

	*a = (struct answer){ .final = true, .loss = LOSS_NONE };
	if (!r->has_grpc_status) {
		read_foreign(a, r, now_unix_s);
		return;
	}
	has_retry_info = grpc_read_retry_info(reply_bytes(&r->grpc_details), &a->asked_ms);
	settle_grpc(a, grpc_parse_status(reply_bytes(&r->grpc_status)), has_retry_info);
	if (a->loss)
		say(a, (struct bytes){ words, grpc_decode_message(words, sizeof(words),
								  reply_bytes(&r->grpc_message)) });
	else
		read_grpc_message(a, r);
	if (a->final)
		a->asked_ms = 0;
}

void answer_read_reset(struct answer *a, unsigned error_code)
{
	*a = (struct answer){ .final = true, .loss = LOSS_NONE };
	settle_grpc(a, grpc_status_of_reset(error_code), false);
	say(a, BYTES("the stream was reset"));
}
