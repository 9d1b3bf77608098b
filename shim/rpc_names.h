/* SPDX-License-Identifier: Apache-2.0 */
/* How many methods of services a process names: a bounded number, whatever callers ask for. */
#ifndef SHIM_RPC_NAMES_H
#define SHIM_RPC_NAMES_H

#include "base/bytes.h"

#define RPC_NAMES_MAX 1000

/* Whether spans may be named so: one of the first RPC_NAMES_MAX names. Async-signal-safe. */
bool rpc_names_admit(struct bytes name);

#endif
