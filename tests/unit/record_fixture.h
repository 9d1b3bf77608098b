/* SPDX-License-Identifier: Apache-2.0 */
/* Records for tests: a server span with the usual attributes, and ids that are easy to read. */
#ifndef UNIT_RECORD_FIXTURE_H
#define UNIT_RECORD_FIXTURE_H

#include "exporter/record.h"
#include "guard.h"

struct fixture {
	_Alignas(8) char room[RECORD_MAX];
	struct record r;
};

/* A record with trace id tt..tt, span id ss..ss, no parent, no fields. */
static inline void fixture_begin(struct fixture *f, uint8_t trace, uint8_t span)
{
	record_begin(&f->r, f->room, sizeof(f->room));
	f->r.head->kind = SPAN_SERVER;
	f->r.head->trace_flags = 1;
	memset(f->r.head->trace_id, trace, 16);
	memset(f->r.head->span_id, span, 8);
	f->r.head->start_ns = 1700000000000000000u;
	f->r.head->end_ns = 1700000000001500000u;
}

static inline const struct record_head *fixture_end(struct fixture *f)
{
	record_end(&f->r);
	return f->r.head;
}

/* What a server span usually says: 12 attributes. */
static inline void fixture_put_usual(struct record *r)
{
	record_put(r, RECORD_NAME, BYTES("GET /users/{id}"));
	record_put(r, ATTRIBUTE_HTTP_REQUEST_METHOD, BYTES("GET"));
	record_put(r, ATTRIBUTE_URL_PATH, BYTES("/users/4711"));
	record_put(r, ATTRIBUTE_URL_SCHEME, BYTES("http"));
	record_put(r, ATTRIBUTE_HTTP_ROUTE, BYTES("/users/{id}"));
	record_put_int(r, ATTRIBUTE_HTTP_RESPONSE_STATUS_CODE, 200);
	record_put(r, ATTRIBUTE_SERVER_ADDRESS, BYTES("api.example.com"));
	record_put_int(r, ATTRIBUTE_SERVER_PORT, 8080);
	record_put(r, ATTRIBUTE_CLIENT_ADDRESS, BYTES("192.0.2.33"));
	record_put(r, ATTRIBUTE_NETWORK_PEER_ADDRESS, BYTES("127.0.0.1"));
	record_put_int(r, ATTRIBUTE_NETWORK_PEER_PORT, 51234);
	record_put(r, ATTRIBUTE_NETWORK_PROTOCOL_VERSION, BYTES("1.1"));
	record_put(r, ATTRIBUTE_USER_AGENT_ORIGINAL, BYTES("curl/7.88.1"));
}

/* n zero bytes to write to, followed by a guard page; gone after 64 more calls. */
static inline char *guard_room(size_t n)
{
	static struct bytes kept[64];
	static unsigned next;
	struct bytes *b = &kept[next++ % 64];
	static const char zero[RECORD_MAX];

	if (b->p)
		guard_free(*b);
	*b = guard_copy(zero, n);
	return (char *)(uintptr_t)b->p;
}

#endif
