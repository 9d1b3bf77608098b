/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/python_task.h"

#include "hooks/python_flow.h"
#include "hooks/python_tables.h"

/* PyTypeObject has been the same up to here since 3.8; and a descriptor of a slot (`__init__`)
 * tells what the slot must hold. */
#define TYPE_INIT          296
#define DESCRIPTOR_WRAPPED 48

typedef int (*init_fn)(struct python_object *, struct python_object *, struct python_object *);

static init_fn real_init;

static int task_init(struct python_object *self, struct python_object *args,
		     struct python_object *keywords)
{
	struct python_object *value = NULL, *token = NULL;
	struct shim_flow *parent, child;
	int result;

	parent = python_follows(self) ? python_flow_get(&value) : NULL;
	if (python_follows(self) &&
	    (shim_flow_of_made(&child) || (parent && shim_flow_child(parent, &child))))
		python_flow_set(&child, &token);
	result = real_init(self, args, keywords);
	if (token)
		python_flow_unset(token);
	if (value)
		python.Py_DecRef(value);
	return result;
}

/* ---- Future.set_result ---- */

typedef struct python_object *(*result_fn)(struct python_object *, struct python_object *);
typedef struct python_object *(*method_fn)(struct python_object *, struct python_object *,
					   struct python_object *const *, ssize_t,
					   struct python_object *);

static void *real_set_result;

static void woken(const struct python_object *self, const struct python_object *result)
{
	struct python_object *value;
	const struct shim_flow *now;

	if (!result || !python_follows(self))
		return;
	now = python_flow_get(&value);
	if (now)
		shim_flow_awaited(now);
	if (value)
		python.Py_DecRef(value);
}

static struct python_object *set_result(struct python_object *self, struct python_object *to)
{
	bool reading = shim_flow_reading();
	struct python_object *result = ((result_fn)real_set_result)(self, to);

	if (reading)
		woken(self, result);
	return result;
}

/* As of 3.12. */
static struct python_object *set_result_of(struct python_object *self, struct python_object *type,
					   struct python_object *const *args, ssize_t n,
					   struct python_object *names)
{
	bool reading = shim_flow_reading();
	struct python_object *result = ((method_fn)real_set_result)(self, type, args, n, names);

	if (reading)
		woken(self, result);
	return result;
}

bool python_future_find(const struct image *m)
{
	static const char *const names[] = { "set_result", "set_exception", "add_done_callback",
					     NULL };
	struct python_method *table = python_table_find(m, names, "get_coro"), *row;
	void *function = NULL;

	row = table ? python_table_method(table, "set_result") : NULL;
	if (row && row->flags == PYTHON_O)
		function = (void *)set_result;
	else if (row && row->flags == (PYTHON_METHOD | PYTHON_FASTCALL | PYTHON_KEYWORDS))
		function = (void *)set_result_of;
	if (!function)
		return false;
	real_set_result = row->function;
	__atomic_store_n(&row->function, function, __ATOMIC_RELEASE);
	return true;
}

/* ---- Task.__init__ ---- */

static bool init_is_at(struct python_object *type, const init_fn *slot)
{
	struct python_object *descriptor = python.PyObject_GetAttrString(type, "__init__");
	init_fn wrapped = NULL;
	bool proven;

	if (!descriptor) {
		python.PyErr_Clear();
		return false;
	}
	/* A slot wrapper's name, so that it is as long as one. */
	if (strcmp(python_type_name(python_type(descriptor)), "wrapper_descriptor") == 0)
		__builtin_memcpy(&wrapped, (const char *)descriptor + DESCRIPTOR_WRAPPED,
				 sizeof(wrapped));
	proven = wrapped && wrapped == *slot;
	python.Py_DecRef(descriptor);
	return proven;
}

void python_task_find(void)
{
	struct python_object *type;
	init_fn *slot;

	if (real_init)
		return;
	type = python_attribute("_asyncio", "Task");
	if (!type)
		return;
	slot = (init_fn *)(void *)((char *)type + TYPE_INIT);
	if (python_is_type(type) && strcmp(python_type_name(type), "_asyncio.Task") == 0 &&
	    init_is_at(type, slot)) {
		real_init = *slot;
		__atomic_store_n(slot, task_init, __ATOMIC_RELEASE);
	}
	python.Py_DecRef(type);
}
