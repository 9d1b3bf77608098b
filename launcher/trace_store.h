/* SPDX-License-Identifier: Apache-2.0 */
/* Spans as `view` and `check` need them, grouped by trace, and where they come from: files of
 * OTLP-JSON lines (one TracesData object a line). */
#ifndef LAUNCHER_TRACE_STORE_H
#define LAUNCHER_TRACE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_ID_TEXT 32
#define NO_INDEX      UINT32_MAX

enum { KIND_INTERNAL = 1, KIND_SERVER, KIND_CLIENT, KIND_PRODUCER, KIND_CONSUMER };

/* Texts live as long as the store; equal ones are the same pointer. Absent ones are NULL. */
struct span {
	uint8_t trace_id[16], span_id[8];
	uint8_t parent_id[8]; /* zero: a root */
	uint8_t kind;
	bool error;
	uint16_t http_status; /* 0: none */
	uint32_t next;        /* index of the trace's next span, NO_INDEX at the end */
	uint64_t start_ns, end_ns;
	const char *service, *name; /* never NULL */
	const char *link;           /* tagalong.link */
	const char *rpc_status;     /* "NOT_FOUND" */
	const char *error_type, *message;
	const char *target; /* url.full, url.path or server.address */
	const char *host;   /* host.name of the resource */
};

struct trace {
	uint8_t id[16];
	uint32_t first, last, count; /* spans, as indexes */
	uint64_t start_ns;           /* the earliest span's */
	uint64_t touched_ms;         /* when the last span came, monotonic clock */
	bool has_root;
	bool done; /* drawn, for whoever follows a file */
};

struct string_pool;

struct trace_store {
	struct span *spans;
	struct trace *traces;
	uint32_t span_count, span_room, trace_count, trace_room;
	uint32_t *buckets; /* of trace ids: index + 1, 0 when free; a power of two */
	uint32_t bucket_count;
	struct string_pool *pool;
};

/* No memory ends the command: it is ours. */
void trace_store_init(struct trace_store *store);
void trace_store_free(struct trace_store *store);

/* The one pointer for these bytes. */
const char *trace_store_string(struct trace_store *store, const char *text, size_t n);

/* Adds a copy (its `next` is ours). */
void trace_store_add(struct trace_store *store, const struct span *span);

/* The trace of that id or NULL; good until the next add. */
struct trace *trace_store_find(const struct trace_store *store, const uint8_t id[16]);

/* Drops traces that are done, spans and texts with them. */
void trace_store_forget_done(struct trace_store *store);

/* Trace indexes by start time; free() it. */
uint32_t *trace_store_sorted(const struct trace_store *store);

void *must_have(void *memory); /* complains and exits when NULL */
uint64_t now_ms(void);
void hex_string(char *out, const uint8_t *p, size_t n); /* 2 * n characters and a NUL */
/* Exactly 2 * n hex digits of either case. */
bool trace_hex_parse(uint8_t *out, size_t n, const char *text);

#endif
