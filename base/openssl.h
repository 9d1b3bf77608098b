/* SPDX-License-Identifier: Apache-2.0 */
/* The versions of OpenSSL whose tables of methods are known, and where in them the functions stand
 * that are replaced: the library (hooks/tls_tables.c) and `tagalong doctor` go by the same list. */
#ifndef BASE_OPENSSL_H
#define BASE_OPENSSL_H

#include <stddef.h>
#include <stdint.h>

#define OPENSSL_KNOWN "OpenSSL 1.1.1 and 3.0 to 3.5"
#define OPENSSL_ANY   UINT32_MAX

struct openssl_version {
	uint32_t major, minor_first, minor_last;
	uint32_t fix; /* the third number, or OPENSSL_ANY: since 3.0 that changes no table */
	/* Indexes of words in a table:
	 *	1.1.1, 3.0, 3.1: version, flags, mask, new, clear, free, accept, connect, read, ...
	 *	3.2 to 3.5:      version, flags, mask, new, free, reset, init, clear, deinit, ... */
	uint8_t clear, free, read;
};

/* NULL: not one of these. */
static inline const struct openssl_version *openssl_find(uint32_t major, uint32_t minor,
							 uint32_t fix)
{
	static const struct openssl_version known[] = {
		{ 1, 1, 1, 1, .clear = 3, .free = 4, .read = 7 },
		{ 3, 0, 1, OPENSSL_ANY, .clear = 3, .free = 4, .read = 7 },
		{ 3, 2, 5, OPENSSL_ANY, .clear = 6, .free = 3, .read = 10 },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i].major == major && minor >= known[i].minor_first &&
		    minor <= known[i].minor_last &&
		    (known[i].fix == OPENSSL_ANY || known[i].fix == fix))
			return &known[i];
	return NULL;
}

#endif
