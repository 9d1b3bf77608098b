/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mman.h>
#include "base/bytes.h"
#include "base/raw.h"
#include "hooks/carry_curl.h"

#define WINDOW 16

static struct curl_handle *handles;

bool curl_handles_start(void)
{
	char *map;

	if (handles)
		return true;
	map = (char *)raw_mmap(NULL, CURL_HANDLES * sizeof(*handles), PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if ((unsigned long)map > -4096ul)
		return false;
	handles = (struct curl_handle *)(void *)map;
	return true;
}

static struct curl_handle *nth(const void *easy, unsigned i)
{
	uint64_t h = (uintptr_t)easy * 0x9e3779b97f4a7c15u >> 40;

	return &handles[(h + i) % CURL_HANDLES];
}

struct curl_handle *curl_handle_find(const void *easy)
{
	for (unsigned i = 0; easy && i < WINDOW; i++)
		if (atomic_load_explicit(&nth(easy, i)->easy, memory_order_acquire) == easy)
			return nth(easy, i);
	return NULL;
}

struct curl_handle *curl_handle_get(void *easy)
{
	struct curl_handle *h = curl_handle_find(easy);

	for (unsigned i = 0; easy && !h && i < WINDOW; i++) {
		void *none = NULL;

		if (atomic_compare_exchange_strong_explicit(&nth(easy, i)->easy, &none, easy,
							    memory_order_acq_rel,
							    memory_order_relaxed))
			h = nth(easy, i);
	}
	return h;
}

/* As a handle is made. */
void curl_handle_clear(struct curl_handle *h)
{
	h->http = h->https = h->unified = h->given = false;
	h->version = 0;
	h->url = 0;
	h->multi = NULL;
}

void curl_handle_put(struct curl_handle *h)
{
	curl_handle_clear(h);
	atomic_store_explicit(&h->easy, NULL, memory_order_release);
}

void curl_handle_each(void (*fn)(struct curl_handle *h, void *easy, const void *arg),
		      const void *arg)
{
	for (unsigned i = 0; i < CURL_HANDLES; i++) {
		void *easy = atomic_load_explicit(&handles[i].easy, memory_order_acquire);

		if (easy)
			fn(&handles[i], easy, arg);
	}
}

static bool begins(struct bytes b, struct bytes with)
{
	return b.n >= with.n && bytes_equal_nocase((struct bytes){ b.p, with.n }, with);
}

static bool has(struct bytes b, struct bytes what)
{
	for (; b.n >= what.n; b.p++, b.n--)
		if (begins(b, what))
			return true;
	return false;
}

/* Other schemes have a use of their own for the list (mail), or none. Metadata services must not
 * have our id. */
void curl_handle_set_url(struct curl_handle *h, const char *url)
{
	struct bytes b = { url, 0 };

	while (url && b.n < CURL_HEAD_MAX && url[b.n])
		b.n++;
	h->url = (uint16_t)b.n;
	h->https = begins(b, BYTES("https://"));
	h->http = h->https || begins(b, BYTES("http://"));
	if (has(b, BYTES("169.254.")) || has(b, BYTES("fd00:ec2:")) ||
	    has(b, BYTES("metadata.google.internal")))
		h->http = h->https = false;
}

static bool is_short(const struct curl_list *list, size_t others)
{
	size_t bytes = others;
	unsigned n = 0;

	for (; list && n < CURL_HEADERS_MAX && bytes < CURL_HEAD_MAX; n++, list = list->next)
		bytes += list->data ? bytes_of(list->data).n : 0;
	return !list && bytes < CURL_HEAD_MAX;
}

/* "name: value", "name:" (the header is not to be sent) or "name;" (sent empty). */
static bool list_has(const struct curl_list *list, struct bytes name)
{
	for (unsigned i = 0; list && i < CURL_HEADERS_MAX; i++, list = list->next) {
		struct bytes line = bytes_of(list->data ? list->data : "");

		if (begins(line, name) && line.n > name.n &&
		    (line.p[name.n] == ':' || line.p[name.n] == ';' || line.p[name.n] == ' '))
			return true;
	}
	return false;
}

bool curl_handle_fill(struct curl_handle *h, struct curl_list *theirs)
{
	struct bytes rest = { h->text, 0 };
	unsigned n = 0;

	if (!is_short(theirs, h->url) || list_has(theirs, BYTES("traceparent")))
		return false;
	rest.n = shim_caller_lines(h->text, sizeof(h->text));
	while (rest.n && n < CURL_LINES_MAX) {
		struct bytes line = bytes_split(&rest, '\0'), name = line;

		if (list_has(theirs, bytes_split(&name, ':')))
			continue;
		h->node[n].data = (char *)(uintptr_t)line.p;
		h->node[n].next = theirs;
		if (n)
			h->node[n - 1].next = &h->node[n];
		n++;
	}
	h->theirs = theirs;
	return n != 0;
}
