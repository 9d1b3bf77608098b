/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/python_uvloop.h"

#include "base/bytes.h"
#include "base/objects.h"
#include "base/readable.h"
#include "hooks/imports.h"
#include "hooks/python_grpc.h"
#include "hooks/python_tables.h"
#include "hooks/python_task.h"

#define MODULE "uvloop.loop"

/* Of a UVHandle the handle of libuv's, which begins with a pointer back; of the descriptors of
 * methods (Cython's, which begin as PyCFunction does; and Python's) the method. */
#define HANDLE_AT          24
#define FUNCTION_METHOD    16
#define DESCRIPTOR_METHOD  40
#define WRITES_AT_ONCE_MAX 1024 /* parts given to writelines() */

static bool replaced; /* all of the slots */
static bool enters;   /* contexts by those slots alone */
static struct image loop;
static int (*real_getpeername)(const void *handle, void *name, int *len);
static int (*uv_fileno)(const void *handle, int *fd);

/* ---- the context of a callback ---- */

bool python_uvloop_calls_back(void)
{
	return thread_state.callback;
}

void python_uvloop_carry(const struct shim_flow *now)
{
	struct python_object *token = thread_state.callback_token;

	python_flow_set(now, token ? NULL : &token);
	thread_state.callback_token = token;
}

/* A callback begins, in the context that is current. */
static void carry(const struct python_object *context)
{
	struct python_object *value;
	struct shim_flow now = { .serial = 0 }, *carried;

	if (!python_flow_start(context))
		return;
	python_task_find();
	python_grpc_find();
	carried = python_flow_get(&value);
	if (carried)
		now = *carried;
	if (value)
		python.Py_DecRef(value);
	if (shim_flow_callback(&now))
		python_uvloop_carry(&now);
}

/* One that will run in a context: the interpreter will enter it once more. */
static void carry_in(struct python_object *context)
{
	if (python.PyContext_Enter(context) < 0) {
		python.PyErr_Clear();
		return;
	}
	carry(context);
	python.PyContext_Exit(context);
}

static void take_back(struct python_object *context)
{
	struct python_object *token = thread_state.callback_token, *type, *error, *trace;

	thread_state.callback_token = NULL;
	if (!token)
		return;
	python.PyErr_Fetch(&type, &error, &trace);
	if (python.PyContext_Enter(context) == 0) {
		python_flow_unset(token);
		python.PyContext_Exit(context);
	} else {
		python.PyErr_Clear();
		python.Py_DecRef(token);
	}
	python.PyErr_Restore(type, error, trace);
}

typedef struct python_object *(*fast_fn)(struct python_object *, struct python_object *const *,
					 ssize_t, struct python_object *);

static void *real_run;

/* Context.run(). Whatever was read with no callback running was read by the loop. */
static struct python_object *context_run(struct python_object *self,
					 struct python_object *const *args, ssize_t n,
					 struct python_object *names)
{
	struct thread_state *t = &thread_state;
	struct python_object *result;

	if (!t->calls_back || t->callbacks)
		return ((fast_fn)real_run)(self, args, n, names);
	t->callback = self;
	if (shim_flow_seen())
		carry_in(self);
	t->callbacks = 1;
	result = ((fast_fn)real_run)(self, args, n, names);
	t->callbacks = 0;
	t->callback = NULL;
	take_back(self);
	shim_flow_callback_over();
	return result;
}

static void find_methods(void);

/* The loop's own: work of the program's that has read nothing; as of 0.23 all that it calls. */
static int context_enter(struct python_object *context)
{
	struct thread_state *t = &thread_state;
	bool reads = enters && t->calls_back && !t->callbacks && shim_flow_seen();
	int result = python.PyContext_Enter(context);

	if (!reads || result < 0)
		shim_flow_callback_over();
	if (result < 0 || !replaced)
		return result;
	find_methods();
	t->calls_back = true;
	t->callbacks++;
	if (!t->callback_token)
		t->callback = context;
	if (reads)
		carry(context);
	return result;
}

static int context_exit(struct python_object *context)
{
	struct python_object *token = thread_state.callback_token;
	int result;

	if (thread_state.callback == context) {
		thread_state.callback = thread_state.callback_token = NULL;
		python_flow_unset(token);
	}
	result = python.PyContext_Exit(context);
	shim_flow_callback_over();
	if (result == 0 && thread_state.callbacks) /* may have been entered before we stood here */
		thread_state.callbacks--;
	return result;
}

/* ---- a connection is new ---- */

static int descriptor_of(const void *handle)
{
	int fd;

	return uv_fileno(handle, &fd) == 0 ? fd : -1;
}

static int getpeername_of(const void *handle, void *name, int *len)
{
	int result = real_getpeername(handle, name, len), fd;

	if (result == 0 && replaced && (fd = descriptor_of(handle)) >= 0)
		shim_flow_made(fd);
	return result;
}

/* ---- what is written ---- */

/* -1: not a transport that is open, or not as it is known. */
static int descriptor_of_transport(const struct python_object *transport)
{
	static bool known;
	const void *handle, *back;

	if (!bytes_start_with(bytes_of(python_type_name(python_type(transport))),
			      BYTES(MODULE ".")))
		return -1;
	memcpy(&handle, (const char *)transport + HANDLE_AT, sizeof(handle));
	if (!handle || (!known && !memory_readable(handle, sizeof(back))))
		return -1;
	memcpy(&back, handle, sizeof(back));
	if (back != transport)
		return -1;
	known = true;
	return descriptor_of(handle);
}

/* Bytes of what is written, or -1. */
static ssize_t size_of(struct python_object *data)
{
	struct python_object *bytes;
	ssize_t n;

	if (python_type(data) == python.bytes_type)
		return python.PyBytes_Size(data);
	if (strcmp(python_type_name(python_type(data)), "bytearray") == 0)
		return python.PyObject_Size(data);
	if (strcmp(python_type_name(python_type(data)), "memoryview") != 0)
		return -1;
	bytes = python.PyObject_GetAttrString(data, "nbytes");
	n = bytes ? python.PyLong_AsSsize_t(bytes) : -1;
	if (bytes)
		python.Py_DecRef(bytes);
	if (n < 0)
		python.PyErr_Clear();
	return n;
}

static ssize_t size_of_all(struct python_object *parts)
{
	bool list = python_type(parts) == python.list_type;
	ssize_t n, all = 0;

	if (!list && python_type(parts) != python.tuple_type)
		return -1;
	n = list ? python.PyList_Size(parts) : python.PyTuple_Size(parts);
	if (n > WRITES_AT_ONCE_MAX)
		return -1;
	for (ssize_t i = 0; i < n; i++) {
		ssize_t one = size_of(list ? python.PyList_GetItem(parts, i)
					   : python.PyTuple_GetItem(parts, i));

		if (one < 0)
			return -1;
		all += one;
	}
	return all;
}

static void note(int fd, ssize_t n)
{
	struct python_object *value;
	struct shim_flow now, *carried;

	if (n < 0) {
		shim_flow_queue_lost(fd);
		return;
	}
	carried = python_flow_get(&value);
	if (carried)
		now = *carried;
	if (shim_flow_queue(fd, carried ? &now : NULL, (size_t)n) && python_contexts_are_kept())
		python_flow_set(&now, NULL);
	if (value)
		python.Py_DecRef(value);
}

/* The descriptor of what is about to be written to, or -1. data: NULL when it is not known. */
static int before(struct python_object *self, struct python_object *data,
		  ssize_t (*size)(struct python_object *))
{
	int fd = python_follows(self) ? descriptor_of_transport(self) : -1;

	if (fd >= 0 && shim_tracked(fd))
		note(fd, data ? size(data) : -1);
	return fd;
}

static struct python_object *after(int fd, struct python_object *result)
{
	if (!result && fd >= 0)
		shim_flow_queue_lost(fd);
	return result;
}

typedef struct python_object *(*one_fn)(struct python_object *, struct python_object *);

#define METHODS(X) X(write, size_of) X(writelines, size_of_all)

#define FUNCTIONS(name, size)                                                                  \
	static void *real_##name;                                                              \
	static struct python_object *one_##name(struct python_object *self,                    \
						struct python_object *data)                    \
	{                                                                                      \
		int fd = before(self, data, size);                                             \
                                                                                               \
		return after(fd, ((one_fn)real_##name)(self, data));                           \
	}                                                                                      \
	static struct python_object *fast_##name(struct python_object *self,                   \
						 struct python_object *const *args, ssize_t n, \
						 struct python_object *names)                  \
	{                                                                                      \
		int fd = before(self, n == 1 && !names ? args[0] : NULL, size);                \
                                                                                               \
		return after(fd, ((fast_fn)real_##name)(self, args, n, names));                \
	}
METHODS(FUNCTIONS)
#undef FUNCTIONS

/* Behind the name of a module that tells Cython's version. */
static bool is_cythons(struct bytes kind)
{
	while (kind.n) {
		struct bytes part = bytes_split(&kind, '.');

		if (!kind.n)
			return bytes_equal(part, BYTES("cython_function_or_method"));
	}
	return false;
}

/* The method behind the attribute of a type, if it is one of the object's, or NULL. */
static struct python_method *method_of(struct python_object *type, const char *name,
				       const struct image *m)
{
	struct python_object *found = python.PyObject_GetAttrString(type, name);
	struct python_method *method = NULL;
	const char *kind, *at = NULL;
	uintptr_t pointer;

	if (!found) {
		python.PyErr_Clear();
		return NULL;
	}
	kind = python_type_name(python_type(found));
	if (strcmp(kind, "method_descriptor") == 0)
		at = (const char *)found + DESCRIPTOR_METHOD;
	else if (is_cythons(bytes_of(kind)))
		at = (const char *)found + FUNCTION_METHOD;
	if (at) {
		memcpy(&pointer, at, sizeof(pointer));
		method = (struct python_method *)pointer;
	}
	python.Py_DecRef(found);
	if (!method || !image_contains(m, (uintptr_t)method) ||
	    !image_contains(m, (uintptr_t)method->name) || strcmp(method->name, name) != 0 ||
	    !image_is_code(m, (uintptr_t)method->function))
		return NULL;
	return method;
}

static void *function_for(const struct python_method *m, one_fn one, fast_fn fast)
{
	if (m && m->flags == PYTHON_O)
		return (void *)one;
	return m && m->flags == (PYTHON_FASTCALL | PYTHON_KEYWORDS) ? (void *)fast : NULL;
}

/* Both or none. */
static void replace_writes(struct python_object *type)
{
#define FIND(method, size)                                              \
	struct python_method *method = method_of(type, #method, &loop); \
	void *ours_##method = function_for(method, one_##method, fast_##method);
	METHODS(FIND)
#undef FIND
	if (!ours_write || !ours_writelines)
		return;
#define REPLACE(method, size)             \
	real_##method = method->function; \
	__atomic_store_n(&method->function, ours_##method, __ATOMIC_RELEASE);
	METHODS(REPLACE)
#undef REPLACE
}

static void replace_run(struct python_object *type)
{
	struct python_method *run = method_of(type, "run", &python.image);

	if (!run || run->flags != (PYTHON_FASTCALL | PYTHON_KEYWORDS))
		return;
	real_run = run->function;
	__atomic_store_n(&run->function, (void *)context_run, __ATOMIC_RELEASE);
}

static bool version_is(const char *prefix)
{
	struct python_object *version = python_attribute("uvloop._version", "__version__");
	const char *text = version ? python.PyUnicode_AsUTF8(version) : NULL;
	bool is = text && bytes_start_with(bytes_of(text), bytes_of(prefix));

	if (version && !text)
		python.PyErr_Clear();
	if (version)
		python.Py_DecRef(version);
	return is;
}

/* Once both are imported, as they are where the loop runs. */
static void find_methods(void)
{
	static bool done;
	struct python_object *stream, *context;

	if (done)
		return;
	done = true;
	enters = version_is("0.23.");
	stream = python_attribute(MODULE, "UVStream");
	context = python_attribute("_contextvars", "Context");
	if (stream && python_is_type(stream) &&
	    strcmp(python_type_name(stream), MODULE ".UVStream") == 0)
		replace_writes(stream);
	if (context && python_is_type(context))
		replace_run(context);
	if (stream)
		python.Py_DecRef(stream);
	if (context)
		python.Py_DecRef(context);
}

/* ---- finding it ---- */

/* libuv is part of the loop, or a library of its own. */
static bool find_libuv(void *arg, const struct image *m)
{
	(void)arg;
	if (m->base != loop.base && !image_needs(&loop, image_name(m)))
		return false;
	real_getpeername =
		(int (*)(const void *, void *, int *))image_find(m, "uv_tcp_getpeername");
	uv_fileno = (int (*)(const void *, int *))image_find(m, "uv_fileno");
	return real_getpeername && uv_fileno;
}

bool python_uvloop_find(const struct image *m)
{
	struct import imports[] = {
		{ .name = "PyContext_Enter",
		  .theirs = (uintptr_t)python.PyContext_Enter,
		  .ours = (uintptr_t)context_enter },
		{ .name = "PyContext_Exit",
		  .theirs = (uintptr_t)python.PyContext_Exit,
		  .ours = (uintptr_t)context_exit },
		{ .name = "uv_tcp_getpeername", .ours = (uintptr_t)getpeername_of },
	};

	loop = *m;
	objects_each(find_libuv, NULL);
	if (!real_getpeername || !uv_fileno)
		return false;
	imports[2].theirs = (uintptr_t)real_getpeername;
	replaced = imports_replace(m, imports, 3) == 3;
	return replaced;
}
