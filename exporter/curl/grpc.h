/* SPDX-License-Identifier: Apache-2.0 */
/* What gRPC puts around HTTP/2 (grpc's PROTOCOL-HTTP2 and its status mapping). Pure functions on
 * bytes and numbers. */
#ifndef EXPORTER_CURL_GRPC_H
#define EXPORTER_CURL_GRPC_H

#include "base/grpc.h"
#include "base/text.h"

#define GRPC_HEAD_LEN    5
#define GRPC_MESSAGE_MAX 512 /* bytes of grpc-message that are kept */

/* The five bytes in front of a message of n bytes. */
void grpc_put_head(char head[static GRPC_HEAD_LEN], bool compressed, uint32_t n);

/* The one message of a unary answer. 0: *message is a view into body; -EINVAL: body is not one
 * whole message with its head. */
int grpc_read_message(struct bytes body, bool *compressed, struct bytes *message);

/* grpc-timeout: at most eight digits and a unit, never shorter than asked. */
void grpc_put_timeout(struct text *t, uint64_t ms);

/* The codes that OTLP calls retryable. has_retry_info: the answer came with a RetryInfo. */
bool grpc_is_retryable(enum grpc_status s, bool has_retry_info);

/* grpc-status-details-bin: base64 of a google.rpc.Status. True when it holds a RetryInfo; *ms is
 * its delay, cut to RETRY_AFTER_MAX_MS, 0 when it says none. */
bool grpc_read_retry_info(struct bytes details, uint64_t *ms);

#endif
