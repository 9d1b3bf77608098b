/* SPDX-License-Identifier: Apache-2.0 */
/* Trace and span ids. A span id is a keyed permutation of a counter, so that one of ours is
 * recognised when the program hands it back in a header, at any time, without a table; to
 * everybody else it looks random. Trace ids are random in their low seven bytes too (W3C Trace
 * Context level 2, random flag). */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stdbool.h>
#include <stdint.h>

enum id_kind {
	ID_OTHER,  /* client spans: seen coming back, they are somebody's parent, not a flow */
	ID_SERVER, /* server spans: seen going out, the header says whose request it is */
};

/* Draws the key (getrandom, else clock, pid and addresses). Once, from the constructor. */
void id_init(void);

/* In a new process (fork, clone): a prefix of its own under the inherited key. */
void id_init_child(void);

void id_new_trace(uint8_t trace_id[static 16]);
void id_new_span(uint8_t span_id[static 8], enum id_kind kind);

/* True when this process, or one it was forked from, made span_id by id_new_span(.., ID_SERVER)
 * (for an ancestor: before the fork). A foreign id passes with a chance below 2^-30. */
bool id_is_own_server(const uint8_t span_id[static 8]);

/* A service.instance.id, RFC 9562 version 4, 36 characters and a terminator. */
void id_new_uuid(char text[static 37]);

/* 64 random bits that need not be secret (jitter). Async-signal-safe. */
uint64_t id_random(void);

#endif
