/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that stand in OpenSSL's tables. A process may hold several copies of the library
 * (in the program, in a module): each has functions of its own here, that know what is behind them.
 */
#include "hooks/tls.h"

#include "base/objects.h"
#include "hooks/gnutls.h"
#include "hooks/tls_tables.h"

#define LIBRARIES(X)  X(0) X(1) X(2) X(3)
#define LIBRARIES_MAX 4

static struct shim_tls_library library[LIBRARIES_MAX];
static unsigned libraries; /* in use; changed by one thread at a time: see shim_when_tls() */

#define FUNCTIONS(n)                                                                  \
	static int read_##n(void *ssl, void *buf, size_t len, size_t *got)            \
	{                                                                             \
		return shim_tls_read(&library[n], ssl, buf, len, got);                \
	}                                                                             \
	static int write_##n(void *ssl, const void *buf, size_t len, size_t *written) \
	{                                                                             \
		return shim_tls_write(&library[n], ssl, buf, len, written);           \
	}                                                                             \
	static void free_##n(void *ssl)                                               \
	{                                                                             \
		shim_tls_end(ssl, true);                                              \
		library[n].free(ssl);                                                 \
	}                                                                             \
	static int clear_##n(void *ssl)                                               \
	{                                                                             \
		shim_tls_end(ssl, false);                                             \
		return library[n].clear(ssl);                                         \
	}
LIBRARIES(FUNCTIONS)
#undef FUNCTIONS

static const struct tls_functions functions[LIBRARIES_MAX] = {
#define FUNCTIONS(n) { read_##n, write_##n, free_##n, clear_##n },
	LIBRARIES(FUNCTIONS)
#undef FUNCTIONS
};

struct crypto_search {
	const struct image *ssl;
	struct image found;
};

static bool is_its_crypto(void *arg, const struct image *m)
{
	struct crypto_search *s = arg;

	if (!image_needs(s->ssl, image_name(m)) || !image_find(m, "OpenSSL_version_num"))
		return false;
	s->found = *m;
	return true;
}

static bool consider(void *arg, const struct image *m)
{
	struct crypto_search s = { .ssl = m };
	struct tls_tables tables;

	(void)arg;
	if (libraries == LIBRARIES_MAX)
		return true;
	if (!image_find(m, "TLS_method") || !object_is_relocated(m))
		return false;
	if (image_find(m, "OpenSSL_version_num"))
		s.found = *m;
	else
		objects_each(is_its_crypto, &s);
	/* One that has our functions already is not proven: they are no code of its own. The place
	 * is taken first: a child of who is at it has what there is by then, and may look on. */
	if (s.found.phdr && tls_tables_find(&tables, &library[libraries], m, &s.found) &&
	    shim_tls_start())
		tls_tables_replace(&tables, &functions[libraries++]);
	return false;
}

void hook_tls_look(void)
{
	objects_each(consider, NULL);
	hook_gnutls_look();
}
