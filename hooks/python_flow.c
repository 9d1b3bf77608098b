/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/python_flow.h"

struct python_object *python_variable;

/* The interpreter is gone, and another one may come that does not know the variable. */
static void interpreter_ended(void)
{
	python_variable = NULL;
}

bool python_flow_start(const struct python_object *o)
{
	static bool tried;

	if (!python_has(o) || python.interpreter() != python.PyInterpreterState_Main())
		return false;
	if (python_variable || tried)
		return python_variable;
	tried = true;
	if (python.Py_AtExit(interpreter_ended) < 0)
		return false;
	python_variable = python.PyContextVar_New("tagalong", NULL);
	if (!python_variable)
		python.PyErr_Clear();
	return python_variable;
}

struct shim_flow *python_flow_get(struct python_object **value)
{
	*value = NULL;
	if (python.PyContextVar_Get(python_variable, NULL, value) < 0) {
		python.PyErr_Clear();
		*value = NULL;
	}
	if (!*value)
		return NULL;
	/* Programs can set any variable they find in a context. */
	if (python_type(*value) == python.bytes_type &&
	    python.PyBytes_Size(*value) == (ssize_t)sizeof(struct shim_flow))
		return (struct shim_flow *)(void *)python.PyBytes_AsString(*value);
	python.Py_DecRef(*value);
	*value = NULL;
	return NULL;
}

void python_flow_set(const struct shim_flow *f, struct python_object **token)
{
	struct python_object *value, *set = NULL;

	value = python.PyBytes_FromStringAndSize((const char *)f, sizeof(*f));
	if (value) {
		set = python.PyContextVar_Set(python_variable, value);
		python.Py_DecRef(value);
	}
	if (!set)
		python.PyErr_Clear();
	if (token)
		*token = set;
	else if (set)
		python.Py_DecRef(set);
}

void python_flow_unset(struct python_object *token)
{
	struct python_object *type, *error, *trace;

	if (!token)
		return;
	python.PyErr_Fetch(&type, &error, &trace);
	if (python.PyContextVar_Reset(python_variable, token) < 0)
		python.PyErr_Clear();
	python.Py_DecRef(token);
	python.PyErr_Restore(type, error, trace);
}

bool python_loop_runs(void)
{
	struct python_object *get = python_attribute("_asyncio", "_get_running_loop");
	struct python_object *loop = get ? python.PyObject_CallObject(get, NULL) : NULL;
	bool runs = loop && loop != python.none;

	if (get && !loop)
		python.PyErr_Clear();
	if (get)
		python.Py_DecRef(get);
	if (loop)
		python.Py_DecRef(loop);
	return runs;
}

/* ---- greenlets ---- */

static bool is_true(struct python_object *o)
{
	int yes = o ? python.PyObject_IsTrue(o) : 0;

	if (yes < 0)
		python.PyErr_Clear();
	if (o)
		python.Py_DecRef(o);
	return yes > 0;
}

/* Before version 1.0 they had none of their own. */
bool python_contexts_are_kept(void)
{
	struct python_object *current = python_attribute("greenlet", "getcurrent");

	if (!current)
		return true;
	python.Py_DecRef(current);
	return is_true(python_attribute("greenlet", "GREENLET_USE_CONTEXT_VARS"));
}

static bool is_hub(const struct python_object *greenlet)
{
	const char *name = python_type_name(python_type(greenlet));

	return strcmp(name, "Hub") == 0 || strcmp(name, "gevent.hub.Hub") == 0;
}

enum shim_flow_style python_flow_style(void)
{
	struct python_object *get = python_attribute("greenlet", "getcurrent");
	struct python_object *now = get ? python.PyObject_CallObject(get, NULL) : NULL;
	struct python_object *parent = now ? python.PyObject_GetAttrString(now, "parent") : NULL;
	bool own = parent && parent != python.none && !is_hub(now);

	if (!parent)
		python.PyErr_Clear();
	if (get)
		python.Py_DecRef(get);
	if (now)
		python.Py_DecRef(now);
	if (parent)
		python.Py_DecRef(parent);
	return own ? SHIM_FLOW_OWN : SHIM_FLOW_ANY;
}
