/* SPDX-License-Identifier: Apache-2.0 */
#include "base/grpc.h"

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
	case 8: /* CANCEL */
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
