/* SPDX-License-Identifier: Apache-2.0 */
/* A connection: one stream socket as this process sees it, shared by every descriptor that dup()
 * or fork() made of it. */
#ifndef SHIM_CONN_H
#define SHIM_CONN_H

#include <netinet/in.h>
#include <sys/un.h>
#include "shim/exchange.h"
#include "shim/passing.h"
#include "shim/shim.h"
#include "shim/wire/http1.h"

#define CONNECTIONS_MAX 65536 /* tracked at once */
#define FD_TABLE_MAX    1048576
#define PIPELINE_MAX    256 /* requests waiting for their answer on one connection */

enum conn_role { CONN_NEW, CONN_SERVER, CONN_CLIENT, CONN_OPAQUE };

/* One direction of the stream. */
struct direction {
	bool in_body;           /* else a head is awaited */
	struct http1_body body; /* exact while the lock is held */
	struct passing passing;
	char *carry; /* the part of a head that came in earlier calls: a block, or NULL */
	uint32_t carried, carry_size;
};

/* An outgoing request head between the look at it and its last byte (inject.c). Without an image
 * it goes out as it is. */
struct alteration {
	struct exchange *exchange; /* NULL: in the queue already, its answer came first */
	struct http1_body body;    /* what follows the head */
	size_t head; /* bytes of the program's that are left of it, blank line and all; 0: none */
	char *image; /* the head up to its blank line, then what we add: a block */
	size_t image_size; /* of the block */
	size_t before;     /* bytes of the program's in the image (up to the blank line) */
	size_t added;      /* bytes of ours behind them */
	size_t sent;       /* of before + added + blank line */
};

#define TLS_CIPHER_MAX 55 /* registered names have up to 45 */

struct conn {
	uint64_t pool_link;
	_Atomic uint32_t lock;       /* 1: held, for a parse, never across a call into libc */
	_Atomic uint32_t generation; /* rises when the last descriptor goes */
	_Atomic uint32_t references; /* descriptors that name it */
	_Atomic uint32_t owed;       /* of these, closed by who did not get the lock */
	_Atomic uint8_t broken;      /* enum conn_break: to be given up at the next look */
	_Atomic uint32_t writing;    /* the mark of the write that is between begin and end, or 0 */
	_Atomic uint32_t last_mark;  /* marks are counted up: an overtaken writer knows itself */
	_Atomic bool body_out;       /* the next bytes written go on with a body: no need to look */
	_Atomic uint64_t serial;     /* no other connection of the process has or had it */
	_Atomic uint32_t awaited;    /* the last of them that somebody was waiting for */
	uint32_t reader;             /* thread that has read the last request on it, 0 none */
	_Atomic uint32_t requests;   /* read on it so far: the newest one's sequence (flow.h) */
	uint8_t role;
	_Atomic bool inbound; /* accepted (or received from another process) */
	bool written, read;   /* any bytes yet */
	bool eof;             /* the peer has closed its side */
	size_t counted;       /* bytes the program believes are still unread: FIONREAD said
				 so, and it counts down; 0: it does not count */
	bool forked;          /* came from our parent process */
	bool unseen;          /* counted in process_state.unseen_inbound */
	bool switched;        /* HTTP ended here as it should: an upgrade, a tunnel */
	uint8_t queued;       /* exchanges in the queue */
	uint32_t queue_head, queue_tail; /* index + 1: oldest first */
	const char *error;               /* error.type of the connection, NULL none */
	struct h2 *h2;                   /* HTTP/2 is spoken: h2.h; NULL: not */
	uint32_t upgrade_table; /* of the offer to switch to it: largest dynamic table + 1; 0: none
				 */
	struct direction in, out;
	struct alteration alter;
	uint16_t peer_port;
	bool peer_known;
	bool peer_is_metadata; /* a cloud's metadata service: nothing of ours goes there */
	bool unix_socket;
	bool tls;  /* above encryption: an object of the library's, its number from tls.h */
	int below; /* of that: the socket's descriptor, or -1: not known */
	char tls_version[4];                 /* "1.3", or "": not known, or nobody wants to know */
	char tls_cipher[TLS_CIPHER_MAX + 1]; /* its registered name, or "" */
	char peer[INET6_ADDRSTRLEN + 64];    /* address as text, or a socket's path */
};

enum conn_break { CONN_WHOLE, CONN_REENTERED, CONN_CONTENDED };

int conn_init(void);

/* Sets a descriptor's entry or marks (in the table's bounds), and how far the table is in use. */
enum fd_mark {
	FD_SET_INBOUND = 1, /* an epoll set that ever held an inbound connection */
	FD_WAS_INBOUND = 2, /* an inbound connection that was given up */
	FD_IS_UNSEEN = 4    /* one on which requests may come; counted as the connection was */
};
int fd_table_init(void);
bool fd_table_add(int fd, struct conn *c);    /* false: there is one */
void fd_table_mark(int fd, unsigned marks);   /* these too */
void fd_table_remark(int fd, unsigned marks); /* these and no others */
void fd_table_unmark(int fd, unsigned marks); /* not these */

/* The connection behind fd with its lock held and our code entered, or NULL: not tracked, a vfork
 * child, or in use by the very thread (a signal handler). Pair with conn_release(). */
struct conn *conn_acquire(int fd);

/* The same for the second half of a call that knew the connection as c: NULL when its last
 * descriptor is gone by now. (fd may mean another one, if c has more.) */
struct conn *conn_reacquire(struct conn *c, int fd, uint32_t generation);
void conn_release(struct conn *c);

/* By its place in the pool, if the connection there is (or was last) the one of this serial. */
struct conn *conn_acquire_serial(uint32_t index, uint64_t serial);
const struct conn *conn_at(uint32_t index);
uint32_t conn_index(const struct conn *c);

/* The connection behind fd without its lock, to be remembered over a call: conn_reacquire() tells
 * whether it still is. NULL: not tracked. */
struct conn *conn_glance(int fd, uint32_t *generation);
/* The serial of the connection that fd names now, without its lock; 0: none is tracked. */
uint64_t conn_serial_of(int fd);
/* What fd named when it was glanced at was closed, and another connection was given the number. */
bool conn_taken_over(const struct conn *c, int fd, uint32_t generation);

/* One descriptor less (fd, still open; acquired before, released by this); the last one ends the
 * connection. */
void conn_unref(struct conn *c, int fd);

/* The same where the lock was not to be had, the entry of fd taken out already: whoever holds it
 * does the rest. */
void conn_owe(struct conn *c);

/* The same socket, but another stream begins: what was open ends. */
void conn_start_over(struct conn *c);

/* Requests may be open on c, or come, that nobody here will know of. Until it is closed. */
void conn_note_unseen(struct conn *c);

uint32_t conn_in_use(void); /* for tests */

/* Starts tracking. NULL: no room (counted). Not acquired. */
struct conn *conn_track(int fd, bool inbound, bool unix_socket);

/* The same for a TLS object, by its number. NULL: no room (counted). */
struct conn *conn_track_tls(int place, int below, bool inbound);

/* The descriptor to ask the kernel about: none is open under the number of a TLS object. */
static inline int conn_descriptor(const struct conn *c, int fd)
{
	return c->tls && c->below >= 0 ? c->below : fd;
}

/* Gives up: every exchange ends with what is known, fd is looked at no more. Acquired before,
 * still to be released after. `counter` was counted by the caller. */
void conn_give_up(struct conn *c, int fd);

/* Takes a given-up connection out of the table; nothing of it is used afterwards but the lock. */
void conn_forget(struct conn *c, int fd);

/* Ends what is open because the stream is over: `error` for messages that are not whole, NULL when
 * the program itself closed. */
void conn_end_exchanges(struct conn *c, const char *error);

/* The queue of exchanges. */
void conn_push(struct conn *c, struct exchange *e);
struct exchange *conn_oldest(struct conn *c);
void conn_pop(struct conn *c);

/* Peer address and port as text, asked for once (getpeername). */
void conn_learn_peer(struct conn *c, int fd);
void conn_set_peer(struct conn *c, const struct sockaddr *address, socklen_t len);
bool conn_peer_is_any(const struct conn *c); /* 0.0.0.0 or ::, or no address at all */

/* Whether the peer of a server has gone, as far as nobody has read that yet. fd -1: not to be
 * asked. */
void conn_learn_end(struct conn *c, int fd);

/* Frees what a direction or an alteration holds. */
void direction_reset(struct direction *d);
void alteration_drop(struct conn *c);

/* The program ends: what is open on any connection ends with what is known. Waits for nothing; what
 * is in use by another thread, or by the one that was interrupted, is left as it is. */
void conn_end_all(void);

/* In a forked child: connections with an exchange or half a message become opaque, idle ones go on.
 */
void conn_fork_child(void);

#endif
