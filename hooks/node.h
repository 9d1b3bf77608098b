/* SPDX-License-Identifier: Apache-2.0 */
/* Node (18.18 or later): a script goes into the process by NODE_OPTIONS, which carries the context
 * of each request to those it causes (AsyncLocalStorage). */
#ifndef HOOKS_NODE_H
#define HOOKS_NODE_H

#include <stdbool.h>

/* From the constructor, with the environment that it found: before main() reads NODE_OPTIONS. */
void hook_node_start(char **envp);

extern bool node_has_script;

/* Whether a script of ours may ask in this process. */
static inline bool node_asks(void)
{
	return node_has_script;
}

#endif
