/* SPDX-License-Identifier: Apache-2.0 */
/* Which objects are followed. The library itself sees to it that no two threads are inside it with
 * one object; others may look for theirs, or be given the place of a freed one, at any time. */
#include "shim/tls.h"

#include <sys/mman.h>
#include "base/config.h"
#include "base/counters.h"
#include "base/hash.h"
#include "base/raw.h"
#include "base/thread.h"
#include "shim/block.h"
#include "shim/flow.h"
#include "shim/looks.h"
#include "shim/process_state.h"
#include "shim/tls_hello.h"

#define LOOKS_MAX   16       /* walks over the loaded objects: a library may be loaded late */
#define EARLY_MAX   64       /* connections of a process at which libraries are looked for */
#define PARTS       3        /* of the table, the first of which is filled first */
#define FRESH       4096     /* objects remembered between their making and their first use */
#define ENABLE_KTLS (1 << 3) /* SSL_OP_ENABLE_KTLS: the kernel may encrypt, out of sight */

static struct tls_place *_Atomic places;
static _Atomic unsigned looks;
static _Atomic unsigned early;

void shim_when_tls(void (*fn)(void))
{
	looks_set(LOOK_TLS, fn);
}

bool shim_tls_start(void)
{
	char *map;

	if (atomic_load_explicit(&places, memory_order_relaxed))
		return true;
	if (!fd_table.size || fd_table.size > TLS_FIRST)
		return false;
	map = (char *)raw_mmap(NULL, TLS_PLACES * sizeof(struct tls_place), PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if ((unsigned long)map > -4096ul)
		return false;
	atomic_store_explicit(&places, (struct tls_place *)(void *)map, memory_order_release);
	return true;
}

static void look_now(void)
{
	if (config.tls != TLS_OFF)
		looks_begin(LOOK_TLS);
}

void tls_look(void)
{
	if (atomic_load_explicit(&looks, memory_order_relaxed) >= LOOKS_MAX)
		return;
	atomic_fetch_add_explicit(&looks, 1, memory_order_relaxed);
	look_now();
}

void tls_look_early(void)
{
	unsigned n;

	if (atomic_load_explicit(&early, memory_order_relaxed) >= EARLY_MAX)
		return;
	n = atomic_fetch_add_explicit(&early, 1, memory_order_relaxed) + 1;
	if ((n & (n - 1)) == 0)
		look_now();
}

void tls_on_other(const struct conn *c, int fd, struct bytes first)
{
	if (c->tls || !tls_hello_is(first))
		return;
	tls_look();
	if (atomic_load_explicit(&places, memory_order_relaxed))
		tls_hello_note(fd, atomic_load_explicit(&c->serial, memory_order_relaxed), first);
}

/* ---- places ---- */

_Atomic(struct conn *) *tls_entry(int number)
{
	struct tls_place *p = atomic_load_explicit(&places, memory_order_acquire);
	unsigned i = (unsigned)number - TLS_FIRST;

	return p && i < TLS_PLACES ? &p[i].conn : NULL;
}

int tls_number(const struct tls_place *p)
{
	return TLS_FIRST + (int)(p - atomic_load_explicit(&places, memory_order_relaxed));
}

/* Where an object may be, the likeliest first. Objects come and go at ever other addresses, and
 * what was touched once stays resident: the beginning of the table is filled before more is used.
 */
static struct tls_place *nth(const void *ssl, unsigned i)
{
	static const struct {
		uint32_t from, n;
	} parts[PARTS] = { { 0, 512 }, { 512, 3584 }, { 4096, TLS_PLACES - 4096 } };
	uint32_t h = (uint32_t)hash_mix(0, (uintptr_t)ssl);
	uint32_t n = parts[i / TLS_WINDOW].n, at = (uint32_t)((uint64_t)h * n >> 32);

	at += i % TLS_WINDOW;
	at = parts[i / TLS_WINDOW].from + (at < n ? at : at - n);
	return &atomic_load_explicit(&places, memory_order_acquire)[at];
}

static struct tls_place *find(const void *ssl)
{
	for (unsigned i = 0; i < PARTS * TLS_WINDOW; i++)
		if (atomic_load_explicit(&nth(ssl, i)->ssl, memory_order_acquire) == ssl)
			return nth(ssl, i);
	return NULL;
}

/* ---- objects that have been cleared since the library was found, and not used since ----
 * Of any other nobody can say whether the library holds bytes of it: SSL_want() tells only as long
 * as nothing was read since. */

static _Atomic(const void *) fresh[FRESH];

static _Atomic(const void *) *fresh_place(const void *ssl)
{
	return &fresh[hash_mix(0, (uintptr_t)ssl) % FRESH];
}

static bool take_fresh(const void *ssl)
{
	return atomic_compare_exchange_strong(fresh_place(ssl), &(const void *){ ssl }, NULL);
}

static struct tls_place *add(const void *ssl)
{
	for (unsigned i = 0; i < PARTS * TLS_WINDOW; i++) {
		struct tls_place *p = nth(ssl, i);
		const void *none = NULL;

		if (!atomic_compare_exchange_strong(&p->ssl, &none, ssl))
			continue;
		p->kept = p->copy = NULL;
		p->kept_n = p->kept_at = 0;
		p->done = p->copy_n = p->handed = p->cork_added = 0;
		p->again = p->inside = p->established = p->searched = p->unseen = false;
		p->corked = false;
		return p;
	}
	count(untracked_memory);
	return NULL;
}

/* The socket is opaque, as it was before, but what passes in it is seen here. */
static void take_over(struct conn *c, int below)
{
	if ((unsigned)below < fd_table.size)
		fd_table_unmark(below, FD_IS_UNSEEN);
	c->below = below;
	c->peer_known = false;
	conn_learn_peer(c, below);
}

static void copy_text(char *to, size_t room, const char *text)
{
	size_t n = strlen(text);

	if (n >= room)
		n = 0;
	memcpy(to, text, n);
	to[n] = '\0';
}

/* "TLSv1.3" and a name such as TLS_AES_128_GCM_SHA256; "(NONE)" has none. */
static void learn_what_is_spoken(const struct shim_tls_library *l, const void *ssl, struct conn *c)
{
	const char *version = l->get_version ? l->get_version(ssl) : NULL;
	const void *cipher = l->get_cipher ? l->get_cipher(ssl) : NULL;
	const char *name = cipher && l->get_cipher_name ? l->get_cipher_name(cipher) : NULL;

	if (version && strncmp(version, "TLSv", 4) == 0)
		copy_text(c->tls_version, sizeof(c->tls_version), version + 4);
	if (name && name[0] != '(')
		copy_text(c->tls_cipher, sizeof(c->tls_cipher), name);
}

void tls_learn_below(const struct shim_tls_library *l, struct tls_place *p)
{
	const void *ssl = atomic_load_explicit(&p->ssl, memory_order_relaxed);
	unsigned char random[TLS_RANDOM];
	uint64_t serial = 0;
	struct conn *c;
	int below;

	if (l->in_init(ssl))
		return;
	p->searched = true;
	/* To ask OpenSSL for that of nothing is an error, which the program would find. */
	below = l->why || l->get_rbio(ssl) ? l->get_fd(ssl) : -1;
	if (below < 0 && l->get_client_random(ssl, random, TLS_RANDOM) == TLS_RANDOM)
		below = tls_hello_find(random, &serial);
	c = below < 0 && !config.tls_attributes ? NULL : conn_acquire(tls_number(p));
	if (!c)
		return;
	if (below >= 0)
		take_over(c, below);
	if (below >= 0 && serial)
		flow_take_over(c, serial);
	if (config.tls_attributes)
		learn_what_is_spoken(l, ssl, c);
	conn_release(c);
}

/* A first client makes its object, and begins, before the library is looked for. */
static bool saw_handshake(const struct shim_tls_library *l, const void *ssl)
{
	unsigned char random[TLS_RANDOM];
	uint64_t serial;

	return l->get_client_random(ssl, random, TLS_RANDOM) == TLS_RANDOM &&
	       tls_hello_find(random, &serial) >= 0;
}

static void mark_unseen(struct tls_place *p)
{
	if (!p->unseen)
		process_unseen(true);
	p->unseen = true;
}

static void open_at(const struct shim_tls_library *l, struct tls_place *p, const void *ssl,
		    bool is_fresh)
{
	bool server = l->is_server(ssl);
	struct conn *c;

	if (l->get_options(ssl) & ENABLE_KTLS) {
		count(opaque_switched);
		p->searched = true;
		return;
	}
	c = conn_track_tls(tls_number(p), -1, server);
	if (!c) {
		p->searched = true;
		if (server)
			mark_unseen(p);
		return;
	}
	c->peer_known = true; /* nobody else has it yet */
	/* It may have been in the middle of a write when the library was found. */
	p->again = !is_fresh && !l->in_init(ssl) && !saw_handshake(l, ssl);
	tls_learn_below(l, p);
}

struct tls_place *tls_place(const struct shim_tls_library *l, const void *ssl)
{
	struct tls_place *p;

	if (!fd_table.size || thread_state.vfork_child || process_is_vm_child())
		return NULL;
	if (process_is_new_child())
		shim_fork_child();
	p = find(ssl);
	/* It has had a handshake, and waits for one: what it does now is of another connection. */
	if (p && p->searched && !p->inside && l->in_before(ssl)) {
		shim_tls_end(ssl, true);
		p = NULL;
	}
	if (!p) {
		bool is_fresh = take_fresh(ssl);

		p = add(ssl);
		if (p)
			open_at(l, p, ssl, is_fresh);
	} else if (!p->searched) {
		tls_learn_below(l, p);
	}
	return p;
}

struct tls_place *tls_place_known(const void *ssl)
{
	if (!ssl || !atomic_load_explicit(&places, memory_order_relaxed) ||
	    thread_state.vfork_child || process_is_vm_child())
		return NULL;
	return find(ssl);
}

void tls_leave_alone(const struct tls_place *p)
{
	int number = tls_number(p);
	struct conn *c = conn_acquire(number);

	if (!c)
		return;
	count(opaque_switched);
	conn_give_up(c, number);
	conn_release(c);
}

void tls_note_forgotten(int number, bool unseen)
{
	if (unseen)
		mark_unseen(
			&atomic_load_explicit(&places, memory_order_relaxed)[number - TLS_FIRST]);
}

static void close_conn(struct tls_place *p)
{
	struct conn *c = conn_acquire(tls_number(p));
	struct conn *seen = c ? c : atomic_load_explicit(&p->conn, memory_order_acquire);

	if (!seen)
		return;
	if (!atomic_compare_exchange_strong(&p->conn, &seen, NULL)) {
		if (c)
			conn_release(c);
	} else if (c) {
		conn_unref(c, -1);
	} else {
		conn_owe(seen);
	}
}

void shim_tls_end(const void *ssl, bool freed)
{
	struct tls_place *p;

	if (!atomic_load_explicit(&places, memory_order_relaxed) || thread_state.vfork_child ||
	    process_is_vm_child())
		return;
	/* What has been made is cleared: SSL_new() does it, of GnuTLS we say so. */
	if (!freed)
		atomic_store_explicit(fresh_place(ssl), ssl, memory_order_relaxed);
	p = find(ssl);
	/* A handshake begins with a clearing, inside of a read or write that is yet to come back.
	 */
	if (!p || (p->inside && !freed))
		return;
	close_conn(p);
	block_put(p->kept);
	block_put(p->copy);
	p->kept = p->copy = NULL;
	if (p->unseen)
		process_unseen(false);
	atomic_store_explicit(&p->ssl, NULL, memory_order_release);
}
