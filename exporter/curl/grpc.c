/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/curl/grpc.h"

#include <errno.h>
#include <sys/types.h>
#include "exporter/retry.h"
#include "exporter/wire_field.h"

#define DETAILS_MAX   8192 /* bytes of a status in full; gRPC's own bound of all trailers */
#define TIMEOUT_MAX   99999999ull
#define MS_PER_S      1000
#define NS_PER_MS     1000000
#define STREAM_CANCEL 8

void grpc_put_head(char head[static GRPC_HEAD_LEN], bool compressed, uint32_t n)
{
	head[0] = compressed;
	head[1] = (char)(n >> 24);
	head[2] = (char)(n >> 16);
	head[3] = (char)(n >> 8);
	head[4] = (char)n;
}

int grpc_read_message(struct bytes body, bool *compressed, struct bytes *message)
{
	const uint8_t *head = (const uint8_t *)body.p;
	uint32_t n;

	if (body.n < GRPC_HEAD_LEN || head[0] > 1)
		return -EINVAL;
	n = (uint32_t)head[1] << 24 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 8 | head[4];
	if (n != body.n - GRPC_HEAD_LEN)
		return -EINVAL;
	*compressed = head[0];
	*message = (struct bytes){ body.p + GRPC_HEAD_LEN, n };
	return 0;
}

void grpc_put_timeout(struct text *t, uint64_t ms)
{
	char unit = 'm';

	if (ms > TIMEOUT_MAX) {
		ms = (ms + MS_PER_S - 1) / MS_PER_S;
		unit = 'S';
	}
	text_put_u64(t, ms < TIMEOUT_MAX ? ms : TIMEOUT_MAX);
	text_put_char(t, unit);
}

enum grpc_status grpc_parse_status(struct bytes value)
{
	uint64_t code;

	if (bytes_to_u64(bytes_trim(value), &code) || code >= GRPC_STATUS_COUNT)
		return GRPC_UNKNOWN;
	return (enum grpc_status)code;
}

static int hex_digit(char c)
{
	char l = ascii_lower(c);

	if (c >= '0' && c <= '9')
		return c - '0';
	return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

size_t grpc_decode_message(char *to, size_t size, struct bytes in)
{
	size_t n = 0;

	for (size_t i = 0; i < in.n && n < size; i++) {
		int high = in.p[i] == '%' && i + 2 < in.n ? hex_digit(in.p[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(in.p[i + 2]) : -1;

		if (low >= 0)
			i += 2;
		to[n++] = low >= 0 ? (char)(high << 4 | low) : in.p[i];
	}
	return n;
}

enum grpc_status grpc_status_of_http(unsigned http_status)
{
	switch (http_status) {
	case 400:
	case 431:
		return GRPC_INTERNAL;
	case 401:
		return GRPC_UNAUTHENTICATED;
	case 403:
		return GRPC_PERMISSION_DENIED;
	case 404:
		return GRPC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return GRPC_UNAVAILABLE;
	default:
		return GRPC_UNKNOWN;
	}
}

/* RFC 9113 section 7 */
enum grpc_status grpc_status_of_reset(unsigned error_code)
{
	switch (error_code) {
	case 7: /* REFUSED_STREAM */
		return GRPC_UNAVAILABLE;
	case STREAM_CANCEL:
		return GRPC_CANCELLED;
	case 11: /* ENHANCE_YOUR_CALM */
		return GRPC_RESOURCE_EXHAUSTED;
	case 12: /* INADEQUATE_SECURITY */
		return GRPC_PERMISSION_DENIED;
	case 5:  /* STREAM_CLOSED */
	case 13: /* HTTP_1_1_REQUIRED */
		return GRPC_UNKNOWN;
	default:
		return error_code < 13 ? GRPC_INTERNAL : GRPC_UNKNOWN;
	}
}

const char *grpc_status_name(enum grpc_status s)
{
	static const char *const names[GRPC_STATUS_COUNT] = {
		"OK",
		"CANCELLED",
		"UNKNOWN",
		"INVALID_ARGUMENT",
		"DEADLINE_EXCEEDED",
		"NOT_FOUND",
		"ALREADY_EXISTS",
		"PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION",
		"ABORTED",
		"OUT_OF_RANGE",
		"UNIMPLEMENTED",
		"INTERNAL",
		"UNAVAILABLE",
		"DATA_LOSS",
		"UNAUTHENTICATED",
	};

	return s < GRPC_STATUS_COUNT ? names[s] : names[GRPC_UNKNOWN];
}

bool grpc_is_retryable(enum grpc_status s, bool has_retry_info)
{
	switch (s) {
	case GRPC_CANCELLED:
	case GRPC_DEADLINE_EXCEEDED:
	case GRPC_ABORTED:
	case GRPC_OUT_OF_RANGE:
	case GRPC_UNAVAILABLE:
	case GRPC_DATA_LOSS:
		return true;
	case GRPC_RESOURCE_EXHAUSTED:
		return has_retry_info;
	default:
		return false;
	}
}

/* ---- grpc-status-details-bin ---- */

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* With padding or without, as gRPC has both. The length, or -EINVAL. */
static ssize_t base64_decode(char *to, size_t size, struct bytes in)
{
	uint32_t bits = 0;
	unsigned held = 0;
	size_t n = 0;

	while (in.n && in.p[in.n - 1] == '=')
		in.n--;
	for (size_t i = 0; i < in.n; i++) {
		int digit = base64_digit(in.p[i]);

		if (digit < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)digit;
		held += 6;
		if (held < 8)
			continue;
		held -= 8;
		if (n == size)
			return -EINVAL;
		to[n++] = (char)(bits >> held);
	}
	return (ssize_t)n;
}

/* google.protobuf.Duration: seconds = 1, nanos = 2. */
static int read_duration(struct bytes in, uint64_t *ms)
{
	int64_t seconds = 0, nanos = 0;
	struct wire_field field;

	while (in.n) {
		if (wire_field_read(&in, &field) < 0)
			return -EINVAL;
		if (field.number == 1 && field.type == WIRE_VARINT)
			seconds = (int64_t)field.varint;
		if (field.number == 2 && field.type == WIRE_VARINT)
			nanos = (int64_t)field.varint;
	}
	if (seconds < 0 || nanos < 0)
		*ms = 0;
	else if (seconds >= RETRY_AFTER_MAX_MS / MS_PER_S)
		*ms = RETRY_AFTER_MAX_MS;
	else
		*ms = (uint64_t)seconds * MS_PER_S +
		      (uint64_t)(nanos % (MS_PER_S * (int64_t)NS_PER_MS)) / NS_PER_MS;
	return 0;
}

/* google.protobuf.Any: type_url = 1, value = 2; RetryInfo: retry_delay = 1. */
static bool read_detail(struct bytes in, uint64_t *ms)
{
	const struct bytes wanted = BYTES("google.rpc.RetryInfo");
	struct bytes type = { NULL, 0 }, value = { NULL, 0 };
	struct wire_field field;

	while (in.n) {
		if (wire_field_read(&in, &field) < 0)
			return false;
		if (field.number == 1 && field.type == WIRE_LEN)
			type = field.content;
		if (field.number == 2 && field.type == WIRE_LEN)
			value = field.content;
	}
	if (type.n < wanted.n || memcmp(type.p + type.n - wanted.n, wanted.p, wanted.n) != 0)
		return false;
	*ms = 0;
	while (value.n) {
		if (wire_field_read(&value, &field) < 0)
			return false;
		if (field.number == 1 && field.type == WIRE_LEN &&
		    read_duration(field.content, ms) < 0)
			return false;
	}
	return true;
}

bool grpc_read_retry_info(struct bytes details, uint64_t *ms)
{
	char plain[DETAILS_MAX];
	ssize_t n = base64_decode(plain, sizeof(plain), bytes_trim(details));
	struct bytes in = { plain, n > 0 ? (size_t)n : 0 };
	struct wire_field field;

	while (in.n) { /* google.rpc.Status: details = 3 */
		if (wire_field_read(&in, &field) < 0)
			return false;
		if (field.number == 3 && field.type == WIRE_LEN && read_detail(field.content, ms))
			return true;
	}
	return false;
}
