/* SPDX-License-Identifier: Apache-2.0 */
/* A batch that has something of everything, and arenas that run out. */
#ifndef UNIT_OTLP_FIXTURE_H
#define UNIT_OTLP_FIXTURE_H

#include "base/arena.h"
#include "base/config.h"
#include "exporter/resource.h"
#include "record_fixture.h"

#define FIXTURE_SPANS 5

static struct fixture fixtures[FIXTURE_SPANS];
static const struct record_head *fixture_records[FIXTURE_SPANS];
static struct resource fixture_resource;

/* The defaults of the variables that matter here. */
static inline void fixture_config(void)
{
	config.value_length_limit = "";
	config.attribute_count_limit = 128;
	config.link_count_limit = 128;
}

static inline void fixture_add(const char *key, const char *value, int64_t number)
{
	struct resource *r = &fixture_resource;

	r->attributes[r->count++] = (struct resource_attribute){ .key = bytes_of(key),
								 .value = bytes_of(value),
								 .number = number };
}

static inline void fixture_error(struct record *r)
{
	r->head->kind = SPAN_CLIENT;
	r->head->status = STATUS_ERROR;
	memset(r->head->parent_id, 0x21, 8);
	record_put(r, RECORD_NAME, BYTES("POST"));
	record_put(r, RECORD_STATUS_MESSAGE, BYTES("connection \"reset\"\tby\\peer\x01"));
	record_put(r, ATTRIBUTE_ERROR_TYPE, BYTES("connection_reset"));
	record_put(r, ATTRIBUTE_URL_FULL, BYTES("http://stock:8080/\xc3\xa9/\xf0\x9f\x98\x80"));
}

static inline void fixture_links(struct record *r)
{
	struct record_link link = { .flags = 3, .remote = 1 };

	memset(link.trace_id, 0x55, 16);
	memset(link.span_id, 0x66, 8);
	record_put(r, RECORD_NAME, BYTES("GET"));
	record_put_link(r, &link, BYTES("vendor=1"));
	link.remote = 0;
	link.flags = 0;
	record_put_link(r, &link, BYTES(""));
	record_put(r, RECORD_TRACE_STATE, BYTES("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
	record_put_header(r, RECORD_REQUEST_HEADER, BYTES("X-Id"), BYTES("one"));
	record_put_header(r, RECORD_REQUEST_HEADER, BYTES("x-iD"), BYTES("\xff two"));
	record_put_header(r, RECORD_RESPONSE_HEADER, BYTES("etag"), BYTES(""));
}

/* Five spans; the records stay good until the next call. */
static inline void fixture_batch(void)
{
	struct record *r;

	fixture_config();
	fixture_resource.count = 0;
	fixture_add("service.name", "shop \"7\"", 0);
	fixture_add("process.pid", NULL, 4711);
	fixture_add("empty", "", 0);
	fixture_add("bad", "\x80", 0);
	for (uint8_t i = 0; i < FIXTURE_SPANS; i++)
		fixture_begin(&fixtures[i], 0x11, (uint8_t)(0x21 + i));
	fixture_put_usual(&fixtures[0].r);
	fixture_error(&fixtures[1].r);
	fixture_links(&fixtures[2].r);
	r = &fixtures[3].r;
	r->head->parent_remote = 1;
	r->head->trace_flags = 3;
	memset(r->head->parent_id, 0x99, 8);
	record_put(r, RECORD_NAME, BYTES("\xe2\x82 cut \xed\xa0\x80 a\0b"));
	record_put_int(r, ATTRIBUTE_SERVER_PORT, INT64_MIN);
	record_put_int(r, ATTRIBUTE_CLIENT_PORT, INT64_MAX);
	record_put_int(r, ATTRIBUTE_NETWORK_PEER_PORT, 0);
	r->head->dropped = 7;
	r->head->dropped_links = 2;
	r = &fixtures[4].r;
	r->head->kind = SPAN_INTERNAL;
	r->head->trace_flags = 0;
	r->head->end_ns = r->head->start_ns - 5;
	for (uint8_t i = 0; i < FIXTURE_SPANS; i++)
		fixture_records[i] = fixture_end(&fixtures[i]);
}

/* An arena in which `left` bytes are free, and no more to come. */
static inline void arena_left(struct arena *a, size_t left)
{
	arena_free(a);
	arena_init(a, ARENA_CHUNK);
	arena_alloc(a, 1);
	while (a->chunks && ARENA_CHUNK - a->used > left + 16)
		arena_alloc(a, ARENA_CHUNK - a->used - left - 16);
}

#endif
