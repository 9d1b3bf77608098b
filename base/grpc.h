/* SPDX-License-Identifier: Apache-2.0 */
/* How calls of gRPC end (its statuscodes, PROTOCOL-HTTP2 and http-grpc-status-mapping): what the
 * exporter is answered, and what programs answer each other. Pure functions on bytes and numbers.
 */
#ifndef BASE_GRPC_H
#define BASE_GRPC_H

#include "base/bytes.h"

enum grpc_status {
	GRPC_OK,
	GRPC_CANCELLED,
	GRPC_UNKNOWN,
	GRPC_INVALID_ARGUMENT,
	GRPC_DEADLINE_EXCEEDED,
	GRPC_NOT_FOUND,
	GRPC_ALREADY_EXISTS,
	GRPC_PERMISSION_DENIED,
	GRPC_RESOURCE_EXHAUSTED,
	GRPC_FAILED_PRECONDITION,
	GRPC_ABORTED,
	GRPC_OUT_OF_RANGE,
	GRPC_UNIMPLEMENTED,
	GRPC_INTERNAL,
	GRPC_UNAVAILABLE,
	GRPC_DATA_LOSS,
	GRPC_UNAUTHENTICATED,
	GRPC_STATUS_COUNT
};

/* grpc-status; anything that is no code of gRPC's is GRPC_UNKNOWN. */
enum grpc_status grpc_parse_status(struct bytes value);

/* grpc-message is percent-encoded; a broken escape stands for itself, as gRPC wants it. Decodes
 * into to[size], cut off there; the length. */
size_t grpc_decode_message(char *to, size_t size, struct bytes in);

/* The status of an answer that has no grpc-status. */
enum grpc_status grpc_status_of_http(unsigned http_status);
/* The status of a stream that was reset with an error code of HTTP/2. */
enum grpc_status grpc_status_of_reset(unsigned error_code);

const char *grpc_status_name(enum grpc_status s);

#endif
