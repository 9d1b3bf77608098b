/* SPDX-License-Identifier: Apache-2.0 */
/* All that belongs to one thread, in one place. Zero is its valid start, nothing in it owns
 * memory, so threads may end as they like. At most 512 bytes: it comes out of the static TLS
 * reserve that every library loaded later shares. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <stdbool.h>
#include <stdint.h>

/* What a runtime of flows (shim/flow.h) and the calls it makes tell each other. */
struct thread_flow {
	/* Set before a call: whose work it does. */
	uint8_t trace_id[16], span_id[8], flags;
	bool known;
	bool remote; /* the span is another process's */
	uint32_t exchange, generation;
	/* Left by a call: the connection it worked on, and the request it read or answered. */
	struct {
		uint64_t serial;
		uint32_t conn, sequence;
		uint32_t exchange, generation;
		uint8_t trace_id[16], span_id[8], flags;
		bool remote, accepted, answered, thread_ok;
		uint8_t opened; /* requests read */
	} seen;
};

struct thread_state {
	int depth;         /* inside our own code; a signal handler may find it > 0 */
	int vfork_child;   /* set by hooks/vfork_*.S in a vfork child, which borrows our memory */
	uint32_t tid;      /* cached by thread_id(); 0 is not known yet */
	uint32_t tid_pid;  /* the process it was cached in: a fork makes it stale by itself */
	uint32_t exchange; /* pool index + 1 of the exchange this thread serves, 0 none */
	uint32_t exchange_gen; /* its generation: a closed exchange is never taken for a new one */
	int wait_fd;           /* the last wait was a poll of this fd alone: fd + 1, else 0 */
	uint64_t wait_serial;  /* of the connection it named then: numbers are given anew */
	uint64_t read_serial;  /* of the connection of which it has read the last request */
	uint32_t read_conn;    /* and its place in the pool + 1, 0 none */
	bool private_descriptors; /* has a descriptor table of its own: own_fd_private() */
	bool waits_on_inbound; /* ever waited on a set with an inbound connection: an event loop */
	bool asks_for_nobody;  /* wrote a request with none of its own open: shim/link.h */
	struct guard *guard;   /* where to go on when archive code gives up: base/guard.h */
	int tls_read;          /* number of the TLS object this thread read from last, 0 none */
	uint8_t ring_shard;    /* where this thread last found a free shard, + 1 */
	struct thread_flow flow;
	uint64_t flow_reading; /* the connection that the callback which runs now has read from */
	uint64_t flow_made;    /* the connection that the callback is told of as new, 0 none; and */
	uint32_t flow_made_at; /* its place */
	/* An event loop that calls back (hooks/python_uvloop.c): whether one has run on this
	 * thread, how many callbacks are inside of each other now, the context of the outermost,
	 * and what takes back what was set there for it. */
	bool calls_back;
	uint32_t callbacks;
	void *callback, *callback_token;
};

/* initial-exec: the first touch of a global-dynamic variable may call malloc, which may be what
 * we are inside of. */
extern _Thread_local struct thread_state thread_state
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Stands around our own code only, never around a call into the program's libc. False: we are
 * already inside (a signal handler); the caller makes the connection opaque and does nothing. */
static inline bool thread_enter(void)
{
	struct thread_state *t = &thread_state;

	if (t->depth)
		return false;
	t->depth = 1;
	__asm__ volatile("" ::: "memory");
	return true;
}

static inline void thread_leave(void)
{
	__asm__ volatile("" ::: "memory");
	thread_state.depth = 0;
}

uint32_t thread_id(void); /* gettid, cached; right in forked children too */

#endif
