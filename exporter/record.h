/* SPDX-License-Identifier: Apache-2.0 */
/* A finished span as bytes: what the shim writes into the ring and the exporter reads, possibly in
 * another process. A fixed head, then fields { uint16 key, uint16 length, bytes }, little endian
 * as the machine is, each field padded to 4 bytes, the whole to 8. No pointers. */
#ifndef EXPORTER_RECORD_H
#define EXPORTER_RECORD_H

#include "base/bytes.h"

#define RECORD_VERSION         1
#define RECORD_MAX             16384 /* bytes of one record */
#define RECORD_VALUE_MAX       8192  /* bytes of one value: longer ones are cut on a UTF-8 border */
#define RECORD_HEADER_NAME_MAX 256   /* headers with longer names are dropped */

enum attribute {
#define ATTRIBUTE(id, key, type) ATTRIBUTE_##id,
#include "exporter/attributes.def"
#undef ATTRIBUTE
	ATTRIBUTE_COUNT
};

/* Field keys beside the attributes. */
enum record_field {
	RECORD_NAME = 0x1000,
	RECORD_TRACE_STATE,
	RECORD_LINK,           /* struct record_link, then its tracestate */
	RECORD_REQUEST_HEADER, /* "name\0value": http.request.header.<name>, an array of one */
	RECORD_RESPONSE_HEADER,
	RECORD_STATUS_MESSAGE,
	RECORD_REQUEST_METADATA, /* the same for rpc.request.metadata.<name> */
	RECORD_RESPONSE_METADATA
};

enum span_kind { SPAN_INTERNAL = 1, SPAN_SERVER, SPAN_CLIENT, SPAN_PRODUCER, SPAN_CONSUMER };
enum span_status { STATUS_UNSET, STATUS_OK, STATUS_ERROR };

struct record_head {
	uint32_t size;         /* whole record, a multiple of 8 */
	uint8_t kind;          /* enum span_kind */
	uint8_t status;        /* enum span_status */
	uint8_t trace_flags;   /* W3C flags of the span's own context */
	uint8_t parent_remote; /* the parent came from another process (or there is none: 0) */
	uint8_t trace_id[16];
	uint8_t span_id[8];
	uint8_t parent_id[8];      /* zero: a root */
	uint64_t start_ns, end_ns; /* since 1970 */
	uint16_t cut_values;       /* values that were shortened */
	uint16_t dropped;          /* attributes that found no room */
	uint16_t dropped_links;    /* links that found no room */
	uint16_t pad;
};

struct record_link {
	uint8_t trace_id[16];
	uint8_t span_id[8];
	uint8_t flags;
	uint8_t remote;
	uint8_t pad[6];
};

/* Builds one record in `room` (8-aligned, at least sizeof(struct record_head)). */
struct record {
	struct record_head *head;
	size_t n, room;
};

void record_begin(struct record *r, void *room, size_t size);
/* Values are cut to RECORD_VALUE_MAX or to what room is left; without room for a sensible part
 * the attribute is dropped and counted in the head. A tracestate is cut between its entries. Bytes
 * that are not UTF-8 are kept: the encoder makes text of them. Empty values are written. */
void record_put(struct record *r, unsigned key, struct bytes value);
void record_put_int(struct record *r, unsigned key, int64_t value);
void record_put_header(struct record *r, unsigned key, struct bytes name, struct bytes value);
void record_put_link(struct record *r, const struct record_link *link, struct bytes trace_state);
/* Pads and sets the size; returns it. */
size_t record_end(struct record *r);

/* Reading. record_check() first: false when `size` bytes at head do not hold a sane record
 * (torn, foreign version): every field lies inside. */
bool record_check(const struct record_head *head, size_t size);

struct record_field_view {
	unsigned key;
	struct bytes value; /* of an INT: 8 bytes, see record_int() */
};
/* pos starts at 0; false at the end. */
bool record_next(const struct record_head *head, size_t *pos, struct record_field_view *field);
int64_t record_int(const struct record_field_view *field);

const char *attribute_key(enum attribute a);
enum attribute_type { ATTRIBUTE_STRING, ATTRIBUTE_INT, ATTRIBUTE_STRINGS };
enum attribute_type attribute_type(enum attribute a);

#endif
