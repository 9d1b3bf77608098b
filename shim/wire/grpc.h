/* SPDX-License-Identifier: Apache-2.0 */
/* What gRPC says over HTTP/2 (its PROTOCOL-HTTP2): which requests are calls, of what, how long they
 * may take, and whose error their end is. Bytes in, views out. */
#ifndef SHIM_WIRE_GRPC_H
#define SHIM_WIRE_GRPC_H

#include "base/grpc.h"

#define GRPC_NO_STATUS    (-1) /* in place of an enum grpc_status: none is known */
#define GRPC_TIMEOUT_NONE UINT64_MAX

/* Error codes of HTTP/2: RFC 9113 section 7. */
enum h2_error {
	H2_NO_ERROR,
	H2_PROTOCOL_ERROR,
	H2_INTERNAL_ERROR,
	H2_FLOW_CONTROL_ERROR,
	H2_SETTINGS_TIMEOUT,
	H2_STREAM_CLOSED,
	H2_FRAME_SIZE_ERROR,
	H2_REFUSED_STREAM,
	H2_CANCEL,
	H2_COMPRESSION_ERROR,
	H2_CONNECT_ERROR,
	H2_ENHANCE_YOUR_CALM,
	H2_INADEQUATE_SECURITY,
	H2_HTTP_1_1_REQUIRED,
	H2_ERRORS
};

/* "refused_stream"; what has no name is "_OTHER". */
const char *h2_error_name(uint32_t error);

/* "application/grpc" and what may follow it: "+proto", "; charset". Not application/grpc-web. */
bool grpc_is_content_type(struct bytes value);

/* Whether it makes the span of that side an error (semantic conventions of gRPC). */
bool grpc_status_is_error(int status, bool server);

/* The value of grpc-timeout in nanoseconds; GRPC_TIMEOUT_NONE when it is none. */
uint64_t grpc_timeout_parse(struct bytes value);

/* "/pkg.Svc/Meth": "pkg.Svc/Meth", and the two parts of it. False: not of this form. */
struct grpc_method {
	struct bytes full, service, method;
};
bool grpc_split_path(struct grpc_method *out, struct bytes path);

#endif
