/* SPDX-License-Identifier: Apache-2.0 */
/* TLS objects of libraries as connections: what a program reads and writes above encryption. Each
 * has a number, as a socket has its descriptor: so everything that follows a stream by a descriptor
 * follows these as well. The numbers begin where no table of descriptors reaches. */
#ifndef SHIM_TLS_H
#define SHIM_TLS_H

#include "shim/conn.h"

#define TLS_FIRST  0x40000000 /* the number of place 0 */
#define TLS_PLACES 16384      /* objects followed at once; a power of two */
#define TLS_WINDOW 16         /* places an object may have in each part of the table */

/* What an object waits for: SSL_want(). */
enum tls_want { TLS_WANT_NOTHING = 1, TLS_WANT_WRITING = 2, TLS_WANT_READING = 3 };

/* One object. But for the first two all belongs to the thread that is inside the library with it:
 * no two ever are, but of GnuTLS one that reads and one that writes. */
struct tls_place {
	_Atomic(const void *) ssl;
	_Atomic(struct conn *) conn; /* NULL: left alone */
	/* A write that the library has not finished, and whose bytes it wants again: */
	char *kept;       /* an altered beginning, as it was handed over: a block, or NULL */
	uint32_t kept_n;  /* bytes of it */
	uint32_t kept_at; /* of these, taken */
	size_t done;      /* bytes of the program's that are in it, or have left before */
	bool again;       /* the library holds bytes of the program's own */
	/* Of GnuTLS: */
	char *copy;        /* of what the program began to write: a block, or NULL */
	size_t copy_n;     /* bytes of it */
	size_t handed;     /* bytes the library has taken, ours too */
	size_t cork_added; /* of these, bytes of ours that it holds back */
	bool corked;       /* it holds back what it is given */
	bool inside;       /* the library is being called */
	bool established;  /* the handshake was over at some write */
	bool searched;     /* for the socket below */
	bool unseen;       /* counted in process_state.unseen_inbound */
};

/* Where the connection of a number stands; NULL: none has that number. */
_Atomic(struct conn *) *tls_entry(int number);

/* The place of an object, or NULL: it is not to be looked at. A new one gets its connection. */
struct tls_place *tls_place(const struct shim_tls_library *l, const void *ssl);
int tls_number(const struct tls_place *p);
static inline bool tls_followed(struct tls_place *p)
{
	return atomic_load_explicit(&p->conn, memory_order_relaxed) != NULL;
}

/* Around a call of the library. */
static inline bool tls_enter(const struct shim_tls_library *l, struct tls_place *p)
{
	bool before = p->inside;

	if (!l->why)
		p->inside = true;
	return before;
}
static inline void tls_leave(const struct shim_tls_library *l, struct tls_place *p, bool before)
{
	if (!l->why)
		p->inside = before;
}

/* The place an object has already, or NULL. */
struct tls_place *tls_place_known(const void *ssl);

/* What the object says above encryption is looked at no more. */
void tls_leave_alone(const struct tls_place *p);

/* The connection of a number was given up. */
void tls_note_forgotten(int number, bool unseen);

/* Finds the socket below once the handshake tells. */
void tls_learn_below(const struct shim_tls_library *l, struct tls_place *p);

/* TLS is spoken in this process: the libraries are looked for, if they have not been. */
void tls_look(void);

/* A connection begins (1st, 2nd, 4th, 8th, ...): a handshake that is left to the library's first
 * read or write is under way inside of it when its ClientHello is seen, and that would be late. */
void tls_look_early(void);

/* The first bytes of a connection are none of HTTP's. (Acquired.) */
void tls_on_other(const struct conn *c, int fd, struct bytes first);

#endif
