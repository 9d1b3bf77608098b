/* SPDX-License-Identifier: Apache-2.0 */
/* Connections live in a pool that is never unmapped, so a pointer read from the table always points
 * at a connection, if perhaps at a later one: whoever takes its lock looks at the table again.
 * The lock is held for one parse and never while the program's libc is called, so waiting for it
 * is short; a holder that is gone (a forked child's copy) is not waited for: bounded spinning, then
 * the connection is given up. A signal handler never waits: thread_enter() refuses it. */
#include "shim/conn.h"

#include "base/counters.h"
#include "base/pool.h"
#include "base/process.h"
#include "base/raw.h"
#include "base/thread.h"
#include "shim/block.h"
#include "shim/h2.h"
#include "shim/process_state.h"
#include "shim/tls.h"

#define LOCK_SPINS  200
#define LOCK_YIELDS 20000
#define OWE_TRIES   200

static struct pool pool;

int conn_init(void)
{
	int err = pool_init(&pool, sizeof(struct conn), CONNECTIONS_MAX);

	if (!err)
		err = h2_init();
	return err ? err : fd_table_init();
}

uint32_t conn_in_use(void)
{
	return pool_in_use(&pool);
}

static void note_seen(struct conn *c)
{
	if (c->unseen)
		process_unseen(false);
	c->unseen = false;
}

void conn_note_unseen(struct conn *c)
{
	if (!c->unseen)
		process_unseen(true);
	c->unseen = true;
}

static bool try_lock(struct conn *c)
{
	return !atomic_exchange_explicit(&c->lock, 1, memory_order_acquire);
}

/* A lock that was waited for in vain is likely held by nobody: a thread was ended, or left by a
 * signal handler's jump, inside our code. It is not waited for again. */
static bool lock(struct conn *c)
{
	bool in_vain = atomic_load_explicit(&c->broken, memory_order_relaxed) == CONN_CONTENDED;

	for (unsigned i = 0; i < LOCK_SPINS + (in_vain ? 0 : LOCK_YIELDS); i++) {
		if (try_lock(c))
			return true;
		if (i >= LOCK_SPINS && process_may_call())
			raw_sched_yield();
	}
	return false;
}

static void unlock(struct conn *c)
{
	atomic_store_explicit(&c->lock, 0, memory_order_release);
}

static _Atomic(struct conn *) *entry(int fd)
{
	return (unsigned)fd < fd_table.size ? &fd_table.conn[fd] : tls_entry(fd);
}

static struct conn *at(int fd)
{
	_Atomic(struct conn *) *there = entry(fd);

	return there ? atomic_load_explicit(there, memory_order_acquire) : NULL;
}

static bool lock_entered(struct conn *c)
{
	if (!thread_enter()) {
		atomic_store_explicit(&c->broken, CONN_REENTERED, memory_order_relaxed);
		return false;
	}
	if (!lock(c)) {
		atomic_store_explicit(&c->broken, CONN_CONTENDED, memory_order_relaxed);
		thread_leave();
		return false;
	}
	return true;
}

/* False in a process that borrows our memory; a new child is started first. */
static bool may_look(void)
{
	if (thread_state.vfork_child || process_is_vm_child())
		return false;
	/* Who a thread is has to be asked once; a filter may not allow the question. */
	if (!process_may_call() && !thread_state.tid)
		return false;
	if (process_is_new_child())
		shim_fork_child();
	return true;
}

static void pay_debts(struct conn *c);

static void leave(struct conn *c)
{
	unlock(c);
	if (__builtin_expect(atomic_load_explicit(&c->owed, memory_order_relaxed) != 0, 0))
		pay_debts(c);
	thread_leave();
}

static void give_up_if_broken(struct conn *c, int fd)
{
	uint8_t broken = atomic_load_explicit(&c->broken, memory_order_relaxed);

	if (!broken || c->role == CONN_OPAQUE)
		return;
	if (broken == CONN_REENTERED)
		count(opaque_reentered);
	else
		count(opaque_concurrent);
	conn_give_up(c, fd);
}

static struct conn *taken(struct conn *c, int fd)
{
	passing_withdraw(&c->in.passing, &c->in.body);
	passing_withdraw(&c->out.passing, &c->out.body);
	give_up_if_broken(c, fd);
	return c;
}

struct conn *conn_acquire(int fd)
{
	struct conn *c = may_look() ? at(fd) : NULL;

	if (!c || !lock_entered(c))
		return NULL;
	if (at(fd) == c)
		return taken(c, fd);
	leave(c);
	return NULL;
}

struct conn *conn_glance(int fd, uint32_t *generation)
{
	struct conn *c = at(fd);

	if (!c)
		return NULL;
	*generation = atomic_load_explicit(&c->generation, memory_order_acquire);
	return at(fd) == c ? c : NULL;
}

uint64_t conn_serial_of(int fd)
{
	const struct conn *c = at(fd);

	return c ? atomic_load_explicit(&c->serial, memory_order_relaxed) : 0;
}

bool conn_taken_over(const struct conn *c, int fd, uint32_t generation)
{
	uint32_t now = 0;
	const struct conn *there = conn_glance(fd, &now);

	return there && (there != c || now != generation);
}

struct conn *conn_reacquire(struct conn *c, int fd, uint32_t generation)
{
	if (!may_look() || !lock_entered(c))
		return NULL;
	if (atomic_load_explicit(&c->generation, memory_order_relaxed) == generation)
		return taken(c, fd);
	leave(c);
	return NULL;
}

struct conn *conn_acquire_serial(uint32_t index, uint64_t serial)
{
	struct conn *c = pool_at(&pool, index);

	if (!may_look() || !lock_entered(c))
		return NULL;
	if (atomic_load_explicit(&c->serial, memory_order_relaxed) == serial)
		return taken(c, -1);
	leave(c);
	return NULL;
}

const struct conn *conn_at(uint32_t index)
{
	return pool_at(&pool, index);
}

uint32_t conn_index(const struct conn *c)
{
	return pool_index(&pool, c);
}

void conn_release(struct conn *c)
{
	uint32_t generation = atomic_load_explicit(&c->generation, memory_order_relaxed);

	/* Somebody counts what is read (FIONREAD): each read is looked at. */
	if (c->in.in_body && c->role != CONN_OPAQUE && !c->counted)
		passing_grant(&c->in.passing, &c->in.body, generation);
	/* Before the rest of an image nothing passes by. */
	if (c->out.in_body && c->role != CONN_OPAQUE && !c->alter.head)
		passing_grant(&c->out.passing, &c->out.body, generation);
	leave(c);
}

static void begin(struct conn *c, bool inbound, bool unix_socket)
{
	static _Atomic uint64_t serials;

	memset(&c->broken, 0, sizeof(*c) - offsetof(struct conn, broken));
	c->inbound = inbound;
	c->unix_socket = unix_socket;
	atomic_store_explicit(&c->serial,
			      atomic_fetch_add_explicit(&serials, 1, memory_order_relaxed) + 1,
			      memory_order_release);
}

static struct conn *take(bool inbound, bool unix_socket)
{
	struct conn *c = pool_get(&pool);

	/* Somebody with a stale pointer may hold the lock for a moment. */
	if (c)
		atomic_store_explicit(&c->broken, 0, memory_order_relaxed);
	if (!c || !lock(c)) {
		if (c)
			pool_put(&pool, c);
		count(untracked_memory);
		return NULL;
	}
	begin(c, inbound, unix_socket);
	atomic_store_explicit(&c->references, 1, memory_order_relaxed);
	unlock(c);
	return c;
}

struct conn *conn_track_tls(int place, int below, bool inbound)
{
	struct conn *c = take(inbound, false);

	if (!c)
		return NULL;
	c->tls = true;
	c->below = below;
	count(connections_tls);
	atomic_store_explicit(entry(place), c, memory_order_release);
	return c;
}

struct conn *conn_track(int fd, bool inbound, bool unix_socket)
{
	struct conn *c;

	if ((unsigned)fd >= fd_table.size) {
		count(untracked_fd_limit);
		goto untracked;
	}
	c = take(inbound, unix_socket);
	if (!c)
		goto untracked;
	count(connections_tracked);
	fd_table_remark(fd, 0);
	/* A program that closes twice may be given the number in two threads at once. */
	while (!fd_table_add(fd, c))
		shim_before_close(fd);
	return c;
untracked:
	if (inbound && (unsigned)fd < fd_table.size)
		fd_table_remark(fd, FD_WAS_INBOUND | FD_IS_UNSEEN);
	else if (inbound)
		process_unseen(true); /* for good: nobody sees it closed */
	return NULL;
}

void direction_reset(struct direction *d)
{
	block_put(d->carry);
	d->carry = NULL;
	d->carried = 0;
}

void alteration_drop(struct conn *c)
{
	struct alteration *a = &c->alter;

	/* A write in another thread may be copying from it: that thread frees it. */
	if (!atomic_load_explicit(&c->writing, memory_order_relaxed))
		block_put(a->image);
	if (a->exchange)
		exchange_close(a->exchange);
	memset(a, 0, sizeof(*a));
}

/* Its last descriptor is gone. Who is given it next waits for the lock. */
static void give_back(struct conn *c)
{
	note_seen(c);
	atomic_fetch_add_explicit(&c->generation, 1, memory_order_relaxed);
	pool_put(&pool, c);
}

void conn_forget(struct conn *c, int fd)
{
	_Atomic(struct conn *) *there = fd < 0 ? NULL : entry(fd);
	struct conn *expected = c;

	alteration_drop(c);
	h2_close(c);
	atomic_store_explicit(&c->body_out, false, memory_order_relaxed);
	/* Other descriptors of this stream find out for themselves. */
	if (!there || !atomic_compare_exchange_strong(there, &expected, NULL))
		return;
	if (c->tls)
		tls_note_forgotten(fd, c->unseen);
	else if (c->inbound)
		fd_table_mark(fd, FD_WAS_INBOUND | (c->unseen ? FD_IS_UNSEEN : 0));
	if (atomic_fetch_sub_explicit(&c->references, 1, memory_order_relaxed) == 1)
		give_back(c);
}

void conn_give_up(struct conn *c, int fd)
{
	if (c->role == CONN_OPAQUE)
		return;
	if (c->inbound && !c->switched && (c->queued || c->role == CONN_SERVER))
		conn_note_unseen(c);
	conn_end_exchanges(c, NULL);
	if (!c->alter.head)
		h2_close(c);
	direction_reset(&c->in);
	direction_reset(&c->out);
	c->role = CONN_OPAQUE;
	/* What the kernel takes of an altered head must be completed first: see inject.c. */
	if (!c->alter.head)
		conn_forget(c, fd);
}

static const char *end_reason(const struct conn *c)
{
	if (c->error)
		return c->error;
	return c->eof ? "connection_closed" : "aborted";
}

static void end(struct conn *c)
{
	conn_end_exchanges(c, end_reason(c));
	direction_reset(&c->in);
	direction_reset(&c->out);
	alteration_drop(c);
	h2_close(c);
}

void conn_start_over(struct conn *c)
{
	end(c);
	note_seen(c);
	atomic_fetch_add_explicit(&c->generation, 1, memory_order_relaxed);
	begin(c, false, c->unix_socket);
}

/* One descriptor less: fd, or -1 when it is closed already. True: it was the last. */
static bool unref(struct conn *c, int fd)
{
	if (atomic_fetch_sub_explicit(&c->references, 1, memory_order_relaxed) != 1)
		return false;
	conn_learn_end(c, fd);
	end(c);
	give_back(c);
	return true;
}

void conn_unref(struct conn *c, int fd)
{
	if (unref(c, fd))
		leave(c);
	else
		conn_release(c);
}

static void pay_debts(struct conn *c)
{
	while (atomic_load_explicit(&c->owed, memory_order_relaxed) && try_lock(c)) {
		uint32_t n = atomic_exchange_explicit(&c->owed, 0, memory_order_relaxed);

		passing_withdraw(&c->in.passing, &c->in.body);
		passing_withdraw(&c->out.passing, &c->out.body);
		for (; n; n--) {
			process_unseen(false);
			unref(c, -1);
		}
		unlock(c);
	}
}

void conn_owe(struct conn *c)
{
	process_unseen(true);
	atomic_fetch_add(&c->owed, 1);
	if (!may_look() || !thread_enter())
		return;
	/* Who lets go just now may have looked for debts too early. */
	for (unsigned i = 0; i < OWE_TRIES && atomic_load(&c->owed); i++)
		pay_debts(c);
	thread_leave();
}

void conn_end_all(void)
{
	uint32_t used = atomic_load_explicit(&pool.used_max, memory_order_relaxed);

	for (uint32_t i = 0; i < used; i++) {
		struct conn *c = pool_at(&pool, i);

		if (!atomic_load_explicit(&c->references, memory_order_relaxed) || !thread_enter())
			continue;
		if (!try_lock(c)) {
			thread_leave();
			continue;
		}
		passing_withdraw(&c->in.passing, &c->in.body);
		passing_withdraw(&c->out.passing, &c->out.body);
		conn_end_exchanges(c, end_reason(c));
		conn_release(c);
	}
}

/* What a thread that is not here was changing is left where it is: it may have been given back. */
static void fork_child_one(struct conn *c)
{
	bool held = atomic_load_explicit(&c->lock, memory_order_relaxed);
	bool writing = atomic_load_explicit(&c->writing, memory_order_relaxed);
	bool busy = held || c->queue_head || c->alter.head || c->in.carried || c->out.carried ||
		    c->in.in_body || c->out.in_body || c->h2;

	atomic_store_explicit(&c->lock, 0, memory_order_relaxed);
	atomic_store_explicit(&c->writing, 0, memory_order_relaxed);
	c->queue_head = c->queue_tail = 0;
	c->queued = 0;
	c->alter.exchange = NULL;
	c->forked = true;
	if (!busy || !atomic_load_explicit(&c->references, memory_order_relaxed))
		return;
	/* The parent has the exchange: it, or nobody, writes its span. */
	c->role = CONN_OPAQUE;
	if (held || writing) {
		c->in.carry = c->out.carry = c->alter.image = NULL;
		c->h2 = NULL;
	}
	if (!c->alter.head)
		h2_close(c); /* its tables are kept by the parent */
	direction_reset(&c->in);
	direction_reset(&c->out);
	/* Half a header of ours has left: the child may be who sends the rest. */
	if (!c->alter.image || !c->alter.sent)
		alteration_drop(c);
}

void conn_fork_child(void)
{
	uint32_t used = atomic_load_explicit(&pool.used_max, memory_order_relaxed);

	for (uint32_t i = 0; i < used; i++)
		fork_child_one(pool_at(&pool, i));
}
