/* SPDX-License-Identifier: Apache-2.0 */
/* Which socket an object's ciphertext passes: the random bytes of its ClientHello (RFC 8446 section
 * 4.1.2) were seen on it. */
#ifndef SHIM_TLS_HELLO_H
#define SHIM_TLS_HELLO_H

#include "base/bytes.h"

#define TLS_RANDOM 32

/* Whether the first bytes of a stream are those of a ClientHello. */
bool tls_hello_is(struct bytes first);

/* Remembers that it passed fd, on the connection of this serial, if its random bytes are there. */
void tls_hello_note(int fd, uint64_t serial, struct bytes first);

/* The descriptor on which it passed, or -1; it is still that socket. *serial: of its connection,
 * which is followed no more. */
int tls_hello_find(const unsigned char random[static TLS_RANDOM], uint64_t *serial);

#endif
