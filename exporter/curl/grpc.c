/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/curl/grpc.h"

#include <errno.h>
#include <sys/types.h>
#include "exporter/retry.h"
#include "exporter/wire_field.h"

#define DETAILS_MAX 8192 /* bytes of a status in full; gRPC's own bound of all trailers */
#define TIMEOUT_MAX 99999999ull
#define MS_PER_S    1000
#define NS_PER_MS   1000000

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
