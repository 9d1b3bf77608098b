/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of libcurl's handles. A handle is used by one thread at a time, and so is this. */
#ifndef HOOKS_CARRY_CURL_H
#define HOOKS_CARRY_CURL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "shim/shim.h"

#define CURL_HANDLES 1024 /* known at once; the others are left as they are */
/* Of the program's: with more lines, or more bytes in them and the URL, ours might be what makes a
 * head too long for its reader. */
#define CURL_HEADERS_MAX   48
#define CURL_HEAD_MAX      2500

#define CURL_LINES_MAX     3 /* traceparent, tracestate, baggage */
#define CARRY_CURL_IMPORTS 9

struct curl_list { /* struct curl_slist */
	char *data;
	struct curl_list *next;
};

struct curl_handle {
	_Atomic(void *) easy;
	bool http, https; /* where it goes, as far as the URL begins with it */
	bool unified;
	bool given; /* it has our list, which ends in theirs */
	uint8_t version;
	uint16_t url; /* bytes */
	void *multi;  /* that it was given for, NULL: for curl_easy_perform() */
	struct curl_list *theirs;
	struct curl_list node[CURL_LINES_MAX];
	char text[SHIM_CALLER_LINES];
};

bool curl_handles_start(void); /* false: no memory */

struct curl_handle *curl_handle_find(const void *easy); /* or NULL */
struct curl_handle *curl_handle_get(void *easy);        /* made when it is new; NULL: no room */
void curl_handle_clear(struct curl_handle *h);
void curl_handle_put(struct curl_handle *h);
void curl_handle_each(void (*fn)(struct curl_handle *h, void *easy, const void *arg),
		      const void *arg);

void curl_handle_set_url(struct curl_handle *h, const char *url);

/* Fills node[] with what the thread's request gives and `theirs` does not have, in front of it.
 * False: nothing, or a traceparent is there. */
bool curl_handle_fill(struct curl_handle *h, struct curl_list *theirs);

#endif
