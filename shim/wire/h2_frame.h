/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of HTTP/2 (RFC 9113 sections 4 and 6). Bytes in, views out: nothing here allocates, keeps
 * globals or does I/O. */
#ifndef SHIM_WIRE_H2_FRAME_H
#define SHIM_WIRE_H2_FRAME_H

#include <sys/types.h>
#include "base/bytes.h"

#define H2_PREFACE           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" /* RFC 9113 section 3.4 */
#define H2_PREFACE_LEN       24
#define H2_FRAME_HEAD        9
#define H2_MAX_FRAME_DEFAULT 16384
#define H2_TABLE_DEFAULT     4096

enum h2_type {
	H2_DATA,
	H2_HEADERS,
	H2_PRIORITY,
	H2_RST_STREAM,
	H2_SETTINGS,
	H2_PUSH_PROMISE,
	H2_PING,
	H2_GOAWAY,
	H2_WINDOW_UPDATE,
	H2_CONTINUATION
};

enum h2_flag {
	H2_FLAG_END_STREAM = 0x01,
	H2_FLAG_ACK = 0x01,
	H2_FLAG_END_HEADERS = 0x04,
	H2_FLAG_PADDED = 0x08,
	H2_FLAG_PRIORITY = 0x20
};

enum h2_error { H2_NO_ERROR = 0, H2_REFUSED_STREAM = 7, H2_CANCEL = 8 };

struct h2_frame {
	uint32_t length; /* of the payload */
	uint8_t type;    /* enum h2_type, or one we do not know */
	uint8_t flags;
	uint32_t stream;
};

struct h2_frame h2_frame_unpack(const char head[static H2_FRAME_HEAD]);
void h2_frame_put_length(char head[static 3], uint32_t length);
uint32_t h2_get_u32(const char *p);

/* Whether the bytes may be the beginning of a SETTINGS frame, with which a server may begin before
 * it has read anything (RFC 9113 section 3.4). */
bool h2_frame_may_be_settings(struct bytes start);

/* The part of a header block that a whole HEADERS, PUSH_PROMISE or CONTINUATION payload holds:
 * without padding, priority and promised stream. -EBADMSG: they do not fit. */
int h2_frame_fragment(struct bytes *out, const struct h2_frame *f, struct bytes payload);

/* What a SETTINGS payload says of header blocks and frames; `has` tells what it names. */
struct h2_settings {
	bool has_table, has_frame, has_list;
	uint32_t table;       /* SETTINGS_HEADER_TABLE_SIZE: the last of several counts */
	uint32_t table_least; /* the smallest of several */
	uint32_t frame;       /* SETTINGS_MAX_FRAME_SIZE */
	uint32_t list;        /* SETTINGS_MAX_HEADER_LIST_SIZE */
};
/* -EBADMSG: no multiple of six, or a frame size that RFC 9113 section 6.5.2 forbids. */
int h2_settings_parse(struct h2_settings *out, struct bytes payload);

/* The payload of SETTINGS in the HTTP2-Settings header of an upgrade (RFC 7540 section 3.2.1):
 * base64url without padding. Bytes written, or -EBADMSG. */
ssize_t h2_settings_from_header(char *to, size_t room, struct bytes value);

#endif
