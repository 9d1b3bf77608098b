/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/carriers.h"

#include "base/bytes.h"
#include "base/objects.h"
#include "hooks/carry_curl.h"

static struct carrier carriers[] = {
	{ "grpc_call_start_batch", carry_grpc_find, CARRY_GRPC_IMPORTS, { { .name = NULL } } },
	{ "curl_multi_add_handle", carry_curl_find, CARRY_CURL_IMPORTS, { { .name = NULL } } },
};

#define CARRIERS (sizeof(carriers) / sizeof(*carriers))

struct search {
	struct carrier *carrier;
	struct image library;
};

static bool is_ours(const struct carrier *c, const struct image *m)
{
	for (unsigned i = 0; i < c->count; i++)
		if ((uintptr_t)image_find(m, c->import[i].name) != c->import[i].theirs)
			return false;
	return true;
}

/* The library: the first of its kind, and from then on that one. */
static bool is_library(void *arg, const struct image *m)
{
	struct search *s = arg;
	struct carrier *c = s->carrier;

	if (!image_name(m) || !image_find(m, c->known_by))
		return false;
	if (c->import[0].name ? !is_ours(c, m) : !c->find(c->import, m))
		return false;
	s->library = *m;
	return true;
}

/* A program, or something preloaded, may put functions of its own before the library's: the loader
 * knows whose are meant. */
static bool note_names(void *arg, const struct image *m)
{
	struct carrier *c = arg;

	for (unsigned i = 0; i < c->count; i++) {
		uintptr_t other = (uintptr_t)image_find(m, c->import[i].name);

		c->import[i].shared |= other && other != c->import[i].theirs;
	}
	return false;
}

static bool consider(void *arg, const struct image *m)
{
	const struct search *s = arg;

	if (image_needs(m, image_name(&s->library)))
		imports_replace(m, s->carrier->import, s->carrier->count);
	return false;
}

void hook_carriers_look(void)
{
	for (unsigned i = 0; i < CARRIERS; i++) {
		struct search s = { .carrier = &carriers[i] };

		objects_each(is_library, &s);
		if (s.library.phdr && objects_each(note_names, s.carrier))
			objects_each(consider, &s);
	}
}
