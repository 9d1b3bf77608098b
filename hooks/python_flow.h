/* SPDX-License-Identifier: Apache-2.0 */
/* The context variable that carries a flow (shim.h). Of these all but python_follows() want the
 * GIL, and are called with no error set; none leaves one. */
#ifndef HOOKS_PYTHON_FLOW_H
#define HOOKS_PYTHON_FLOW_H

#include "hooks/python_api.h"
#include "shim/shim.h"

extern struct python_object *python_variable; /* NULL before the process has accepted */

/* Whether there may be a flow: in the main interpreter of a process that has accepted, if the
 * object that a call is about is of that one. */
static inline bool python_follows(const struct python_object *o)
{
	return python_variable && python_has(o) &&
	       python.interpreter() == python.PyInterpreterState_Main();
}

/* Makes the variable: the process accepts on this object. */
bool python_flow_start(const struct python_object *o);

/* What the context carries: the value's own bytes, with a reference to the value in *value; or
 * NULL, and *value is NULL. */
struct shim_flow *python_flow_get(struct python_object **value);

/* Sets it. *token, if asked for, takes it back: python_flow_unset(). */
void python_flow_set(const struct shim_flow *f, struct python_object **token);
void python_flow_unset(struct python_object *token);

/* Whether contexts are the interpreter's own, or greenlets', that do not mix. */
bool python_contexts_are_kept(void);
/* Whether asyncio runs on this thread. */
bool python_loop_runs(void);
/* Of the context of the piece of work that runs now. */
enum shim_flow_style python_flow_style(void);

#endif
