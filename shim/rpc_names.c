/* SPDX-License-Identifier: Apache-2.0 */
/* A table of hashes that are never taken out, by their uppermost bits, which depend on all of a
 * name. A cell goes from 0 to its value once, by compare and swap, and nothing waits, so a signal
 * handler may find it in any state. */
#include "shim/rpc_names.h"

#include <stdatomic.h>
#include "base/hash.h"

#define SLOT_BITS 12
#define SLOTS     (1u << SLOT_BITS) /* 32 KiB, resident as far as used */
#define PROBES    64

static _Atomic uint64_t slots[SLOTS];
static _Atomic uint32_t used;

static bool take_one(void)
{
	if (atomic_load_explicit(&used, memory_order_relaxed) >= RPC_NAMES_MAX)
		return false;
	if (atomic_fetch_add_explicit(&used, 1, memory_order_relaxed) < RPC_NAMES_MAX)
		return true;
	atomic_fetch_sub_explicit(&used, 1, memory_order_relaxed);
	return false;
}

/* A free slot was found. */
static bool enter(_Atomic uint64_t *slot, uint64_t *is, uint64_t hash)
{
	if (!take_one())
		return false;
	if (atomic_compare_exchange_strong_explicit(slot, is, hash, memory_order_relaxed,
						    memory_order_relaxed))
		return true;
	atomic_fetch_sub_explicit(&used, 1, memory_order_relaxed);
	return false;
}

bool rpc_names_admit(struct bytes name)
{
	uint64_t hash = hash_bytes(name.n, name) | 1; /* never 0 */

	for (uint32_t i = 0; i < PROBES; i++) {
		_Atomic uint64_t *slot = &slots[((hash >> (64 - SLOT_BITS)) + i) % SLOTS];
		uint64_t is = atomic_load_explicit(slot, memory_order_relaxed);

		if (is == hash)
			return true;
		if (is)
			continue;
		if (enter(slot, &is, hash))
			return true;
		if (is == hash)
			return true;
		if (!is) /* it is still free: there is no room for one more name */
			return false;
	}
	return false;
}
