/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl. The headers of a request are a list of the program's that the handle points to while it
 * is in use: ours are put in front of it for a transfer, and the handle is given the program's own
 * list back behind it. Where the handle keeps the pointer is found out once, by setting it; what
 * the program sets meanwhile is thereby seen, and stays. */
#include "hooks/carry_curl.h"

#include "base/bytes.h"
#include "base/readable.h"
#include "hooks/carriers.h"
#include "shim/shim.h"

#define HANDLE_SIZE 6144 /* of libcurl's own: as far as the pointer is looked for */

/* Options, and what they may be set to. */
#define HTTP_VERSION      84
#define HEADEROPT         229
#define URL               10002
#define HTTPHEADER        10023
#define CURLU             10282
#define HEADERS_UNIFIED   0 /* the list is for proxies too */
#define VERSION_DEFAULT   0
#define VERSION_2         3
#define VERSION_2_BY_TLS  4
#define VERSION_2_AT_ONCE 5
#define VERSION_3         30

/* Behind the handle curl_easy_setopt() has one argument more, a word of whatever kind. */
static struct {
	int (*setopt)(void *easy, int option, ...);
	void *(*init)(void);
	void *(*duphandle)(void *easy);
	void (*cleanup)(void *easy);
	void (*reset)(void *easy);
	int (*perform)(void *easy);
	int (*add)(void *multi, void *easy);
	int (*remove)(void *multi, void *easy);
	int (*multi_cleanup)(void *multi);
} curl;

static _Atomic size_t list_at; /* in a handle; 0: not known yet */

static struct curl_list *list_of(const void *easy)
{
	size_t at = atomic_load_explicit(&list_at, memory_order_relaxed);

	return *(struct curl_list *const *)((uintptr_t)easy + at);
}

static void set_list(void *easy, struct curl_list *list)
{
	curl.setopt(easy, HTTPHEADER, list);
}

/* The handle is new, and has no list. */
static void find_list(void *easy)
{
	static struct curl_list one, other;

	set_list(easy, &one);
	for (size_t at = sizeof(void *); at < HANDLE_SIZE; at += sizeof(void *)) {
		struct curl_list *const *place = (struct curl_list *const *)((uintptr_t)easy + at);

		if (!memory_readable(place, sizeof(void *)))
			break;
		if (__atomic_load_n(place, __ATOMIC_RELAXED) != &one)
			continue;
		set_list(easy, &other);
		if (__atomic_load_n(place, __ATOMIC_RELAXED) != &other)
			break;
		set_list(easy, NULL);
		if (__atomic_load_n(place, __ATOMIC_RELAXED) == NULL)
			atomic_store_explicit(&list_at, at, memory_order_relaxed);
		break;
	}
	set_list(easy, NULL);
}

static bool list_is_known(void)
{
	return atomic_load_explicit(&list_at, memory_order_relaxed) != 0;
}

/* ---- for one transfer ---- */

/* The wire knows by itself what a thread writes that asks, but not in HTTP/2. */
static bool may_be_written_by_others(const struct curl_handle *h)
{
	return h->version == VERSION_2 || h->version == VERSION_2_AT_ONCE ||
	       h->version >= VERSION_3 ||
	       (h->https && (h->version == VERSION_DEFAULT || h->version == VERSION_2_BY_TLS));
}

/* Puts our lines in front of the program's list. */
static bool give(struct curl_handle *h, void *easy, void *multi)
{
	struct curl_list *list;

	if (!h->http || h->unified || !list_is_known())
		return false;
	list = list_of(easy);
	if (!curl_handle_fill(h, list))
		return false;
	h->given = true;
	h->multi = multi;
	set_list(easy, h->node);
	return true;
}

/* The program's own list again, if it has not set another one. */
static void take_back(struct curl_handle *h, void *easy)
{
	if (!h->given)
		return;
	if (list_of(easy) == h->node)
		set_list(easy, h->theirs);
	h->given = false;
}

static int perform(void *easy)
{
	struct curl_handle *h = curl_handle_find(easy);
	int result;

	if (h && h->given) /* left by a jump, or in a multi handle: then it fails */
		take_back(h, easy);
	else if (h && may_be_written_by_others(h) && give(h, easy, NULL))
		;
	else
		h = NULL;
	result = curl.perform(easy);
	if (h && curl_handle_find(easy) == h)
		take_back(h, easy);
	return result;
}

static int add(void *multi, void *easy)
{
	struct curl_handle *h = curl_handle_find(easy);
	bool given = false;
	int result;

	if (h && h->given)
		take_back(h, easy);
	else if (h)
		given = give(h, easy, multi);
	result = curl.add(multi, easy);
	if (given && result)
		take_back(h, easy);
	return result;
}

static int remove_handle(void *multi, void *easy)
{
	int result = curl.remove(multi, easy);
	struct curl_handle *h = curl_handle_find(easy);

	if (h && !result)
		take_back(h, easy);
	return result;
}

static void forget_multi(struct curl_handle *h, void *easy, const void *multi)
{
	if (h->given && h->multi == multi)
		take_back(h, easy);
}

static int multi_cleanup(void *multi)
{
	int result = curl.multi_cleanup(multi);

	if (!result && multi)
		curl_handle_each(forget_multi, multi);
	return result;
}

/* ---- what is known of a handle ---- */

static void *init(void)
{
	void *easy = curl.init();
	struct curl_handle *gone = curl_handle_find(easy);

	if (gone) /* ended by a way that nobody saw */
		curl_handle_clear(gone);
	if (easy && !list_is_known())
		find_list(easy);
	return easy;
}

static int setopt(void *easy, int option, uintptr_t value)
{
	int result = curl.setopt(easy, option, value);
	struct curl_handle *h;

	if (result ||
	    (option != URL && option != CURLU && option != HTTP_VERSION && option != HEADEROPT))
		return result;
	h = curl_handle_get(easy);
	if (!h)
		return result;
	if (option == HTTP_VERSION)
		h->version = (uint8_t)value;
	else if (option == HEADEROPT)
		h->unified = value == HEADERS_UNIFIED;
	else
		curl_handle_set_url(h, option == URL ? (const char *)value : NULL);
	return result;
}

static void *duphandle(void *easy)
{
	void *made = curl.duphandle(easy);
	const struct curl_handle *h = curl_handle_find(easy);
	struct curl_handle *copy = made && h ? curl_handle_get(made) : NULL;

	if (made && h && h->given && list_of(made) == h->node)
		set_list(made, h->theirs);
	if (copy) {
		curl_handle_clear(copy);
		copy->http = h->http;
		copy->https = h->https;
		copy->url = h->url;
		copy->version = h->version;
		copy->unified = h->unified;
	}
	return made;
}

static void reset(void *easy)
{
	struct curl_handle *h = curl_handle_find(easy);

	curl.reset(easy);
	if (h) {
		take_back(h, easy);
		curl_handle_clear(h);
	}
}

static void cleanup(void *easy)
{
	struct curl_handle *h = curl_handle_find(easy);

	if (h) {
		take_back(h, easy);
		curl_handle_put(h);
	}
	curl.cleanup(easy);
}

bool carry_curl_find(struct import *imports, const struct image *m)
{
	const struct {
		const char *name;
		uintptr_t ours;
		void **theirs;
	} wanted[CARRY_CURL_IMPORTS] = {
		{ "curl_easy_perform", (uintptr_t)perform, (void **)&curl.perform },
		{ "curl_easy_setopt", (uintptr_t)setopt, (void **)&curl.setopt },
		{ "curl_easy_init", (uintptr_t)init, (void **)&curl.init },
		{ "curl_easy_duphandle", (uintptr_t)duphandle, (void **)&curl.duphandle },
		{ "curl_easy_cleanup", (uintptr_t)cleanup, (void **)&curl.cleanup },
		{ "curl_easy_reset", (uintptr_t)reset, (void **)&curl.reset },
		{ "curl_multi_add_handle", (uintptr_t)add, (void **)&curl.add },
		{ "curl_multi_remove_handle", (uintptr_t)remove_handle, (void **)&curl.remove },
		{ "curl_multi_cleanup", (uintptr_t)multi_cleanup, (void **)&curl.multi_cleanup },
	};

	for (unsigned i = 0; i < CARRY_CURL_IMPORTS; i++) {
		*wanted[i].theirs = image_find(m, wanted[i].name);
		if (!*wanted[i].theirs)
			return false;
	}
	if (!curl_handles_start())
		return false;
	for (unsigned i = 0; i < CARRY_CURL_IMPORTS; i++)
		imports[i] = (struct import){ .name = wanted[i].name,
					      .theirs = (uintptr_t)*wanted[i].theirs,
					      .ours = wanted[i].ours };
	return true;
}
