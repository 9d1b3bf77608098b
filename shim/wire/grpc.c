/* SPDX-License-Identifier: Apache-2.0 */
/* Pure: bytes in, bytes out. No memory, no globals, no I/O, nothing read past the view. */
#include "shim/wire/grpc.h"

#define malloc             wire_code_must_not_allocate

#define TIMEOUT_DIGITS_MAX 8

static const char *const error_names[H2_ERRORS] = {
	[H2_NO_ERROR] = "no_error",
	[H2_PROTOCOL_ERROR] = "protocol_error",
	[H2_INTERNAL_ERROR] = "internal_error",
	[H2_FLOW_CONTROL_ERROR] = "flow_control_error",
	[H2_SETTINGS_TIMEOUT] = "settings_timeout",
	[H2_STREAM_CLOSED] = "stream_closed",
	[H2_FRAME_SIZE_ERROR] = "frame_size_error",
	[H2_REFUSED_STREAM] = "refused_stream",
	[H2_CANCEL] = "cancel",
	[H2_COMPRESSION_ERROR] = "compression_error",
	[H2_CONNECT_ERROR] = "connect_error",
	[H2_ENHANCE_YOUR_CALM] = "enhance_your_calm",
	[H2_INADEQUATE_SECURITY] = "inadequate_security",
	[H2_HTTP_1_1_REQUIRED] = "http_1_1_required",
};

const char *h2_error_name(uint32_t error)
{
	return error < H2_ERRORS ? error_names[error] : "_OTHER";
}

bool grpc_is_content_type(struct bytes value)
{
	struct bytes type = BYTES("application/grpc");

	if (value.n < type.n || !bytes_equal_nocase((struct bytes){ value.p, type.n }, type))
		return false;
	if (value.n == type.n)
		return true;
	switch (value.p[type.n]) {
	case '+':
	case ';':
	case ' ': /* in front of a parameter */
	case '\t':
		return true;
	default:
		return false;
	}
}

bool grpc_status_is_error(int status, bool server)
{
	if (!server)
		return status > GRPC_OK;
	switch (status) {
	case GRPC_UNKNOWN:
	case GRPC_DEADLINE_EXCEEDED:
	case GRPC_UNIMPLEMENTED:
	case GRPC_INTERNAL:
	case GRPC_UNAVAILABLE:
	case GRPC_DATA_LOSS:
		return true;
	default: /* the caller's mistake */
		return false;
	}
}

static uint64_t unit_ns(char unit)
{
	switch (unit) {
	case 'H':
		return 3600000000000ull;
	case 'M':
		return 60000000000ull;
	case 'S':
		return 1000000000ull;
	case 'm':
		return 1000000ull;
	case 'u':
		return 1000ull;
	case 'n':
		return 1;
	default:
		return 0;
	}
}

uint64_t grpc_timeout_parse(struct bytes value)
{
	uint64_t n, unit = value.n ? unit_ns(value.p[value.n - 1]) : 0;

	if (!unit || value.n > TIMEOUT_DIGITS_MAX + 1)
		return GRPC_TIMEOUT_NONE;
	value.n--;
	if (bytes_to_u64(value, &n) < 0 || __builtin_mul_overflow(n, unit, &n))
		return GRPC_TIMEOUT_NONE;
	return n;
}

bool grpc_split_path(struct grpc_method *out, struct bytes path)
{
	size_t slash;

	if (path.n < 2 || path.p[0] != '/')
		return false;
	out->full = (struct bytes){ path.p + 1, path.n - 1 };
	for (slash = out->full.n; slash && out->full.p[slash - 1] != '/';)
		slash--;
	if (slash < 2 || slash == out->full.n)
		return false;
	out->service = (struct bytes){ out->full.p, slash - 1 };
	out->method = (struct bytes){ out->full.p + slash, out->full.n - slash };
	return true;
}
