/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/looks.h"

#include <stdatomic.h>
#include <stdbool.h>
#include "base/process.h"

static void (*look[LOOKS])(void);
static _Atomic unsigned wanted; /* a bit each */
static _Atomic bool looking;

void looks_set(enum look what, void (*fn)(void))
{
	look[what] = fn;
}

static void look_for(unsigned what)
{
	for (unsigned i = 0; i < LOOKS; i++)
		if (what & 1u << i)
			look[i]();
}

void looks_begin(enum look what)
{
	if (!look[what] || !process_may_call())
		return;
	atomic_fetch_or(&wanted, 1u << what);
	while (atomic_load(&wanted) && !atomic_exchange(&looking, true)) {
		look_for(atomic_exchange(&wanted, 0));
		atomic_store(&looking, false);
	}
}

void looks_fork_child(void)
{
	atomic_store(&wanted, 0);
	atomic_store(&looking, false);
}
