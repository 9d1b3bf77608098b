/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's tables of methods (SSL_METHOD): what an SSL object calls to read and write. Standing
 * there reaches every caller, however it found the library, and no symbol is added. */
#ifndef HOOKS_TLS_TABLES_H
#define HOOKS_TLS_TABLES_H

#include "base/image.h"
#include "base/openssl.h"
#include "shim/shim.h"

#define TLS_TABLES_MAX 64 /* in one library; OpenSSL 3 has 25 */

struct tls_tables {
	struct openssl_version at;
	uintptr_t *table[TLS_TABLES_MAX];
	unsigned count;
	uintptr_t from, to; /* all of them lie in here: whole pages */
	int protection;     /* theirs */
};

/* Whether the object is a library (or a program with it inside) whose tables are known: fills both.
 * `crypto` holds what belongs to libcrypto; it may be the same object. */
bool tls_tables_find(struct tls_tables *t, struct shim_tls_library *l, const struct image *ssl,
		     const struct image *crypto);

/* What is put in the library's place. */
struct tls_functions {
	int (*read)(void *ssl, void *buf, size_t len, size_t *got);
	int (*write)(void *ssl, const void *buf, size_t len, size_t *written);
	void (*free)(void *ssl);
	int (*clear)(void *ssl);
};

/* All of them or, when the memory cannot be made writable, none. */
bool tls_tables_replace(const struct tls_tables *t, const struct tls_functions *ours);

#endif
