/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of this process as a whole. Flags rise and stay, but for the one that is a count; a
 * forked child starts from its parent's. */
#ifndef SHIM_PROCESS_STATE_H
#define SHIM_PROCESS_STATE_H

#include <stdatomic.h>
#include "base/process.h"
#include "base/raw.h"
#include "shim/wire/traceparent.h"

struct process_state {
	_Atomic bool listener;           /* listen() was called, or a listening socket inherited */
	_Atomic bool new_session;        /* setsid(): not part of the command that started us */
	_Atomic uint32_t reader_answers; /* exchanges answered by the thread that read them, with
					    another one open: rises to LINK_EVIDENCE */
	_Atomic uint32_t reader_answers_alone; /* and with none: rises to LINK_EVIDENCE_ALONE */
	_Atomic bool other_answered;           /* one was answered by another thread */
	_Atomic bool serves;                   /* a request has been read */
	_Atomic bool readers_ask_for_nobody;   /* a thread that reads requests has asked for
						  something with none of its own open */
	_Atomic bool readers_wander;           /* threads go from one open connection to another */
	/* Connections, and names of such, on which a request may be open that we do not know of:
	 * falls as they are closed. */
	_Atomic uint32_t unseen_inbound;
	_Atomic bool forwards;    /* passes inbound headers on: a known proxy, or seen doing it */
	_Atomic bool carries;     /* we had our ids put into heads: it is not that alone */
	_Atomic bool vm_children; /* clone(CLONE_VM) without CLONE_THREAD was called */
	_Atomic uint32_t forks;   /* children made so far */
	bool has_parent;          /* TRACEPARENT of the environment */
	struct span_context parent;
	struct bytes parent_tracestate, parent_baggage;
};

extern struct process_state process_state;

#define process_flag(name) atomic_load_explicit(&process_state.name, memory_order_relaxed)
/* Written only when it changes: the line is shared by all threads. */
#define process_flag_set(name)                                                                  \
	do {                                                                                    \
		if (!process_flag(name))                                                        \
			atomic_store_explicit(&process_state.name, true, memory_order_relaxed); \
	} while (0)

static inline void process_unseen(bool one_more)
{
	if (one_more)
		atomic_fetch_add_explicit(&process_state.unseen_inbound, 1, memory_order_relaxed);
	else
		atomic_fetch_sub_explicit(&process_state.unseen_inbound, 1, memory_order_relaxed);
}

/* True in a child that shares our memory but is another process: it must touch nothing. */
static inline bool process_is_vm_child(void)
{
	return process_flag(vm_children) && process_page->pid != (uint32_t)raw_getpid();
}

#endif
