/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of Python's sockets (and of what it encrypts by OpenSSL) that move bytes: around each
 * it is looked at what the connection and the context have to do with each other. The interpreter
 * holds the GIL when it calls a method, and whenever one of these functions runs; nothing here ever
 * asks for it. What is put in the interpreter's place is data: addresses in tables of methods. */
#include "hooks/python.h"

#include "base/objects.h"
#include "hooks/python_flow.h"
#include "hooks/python_grpc.h"
#include "hooks/python_tables.h"
#include "hooks/python_task.h"
#include "hooks/python_uvloop.h"

#define METHODS(X)             \
	X(accept, _accept)     \
	X(read, recv)          \
	X(read, recv_into)     \
	X(read, recvfrom)      \
	X(read, recvfrom_into) \
	X(read, recvmsg) X(read, recvmsg_into) X(write, send) X(write, sendall) X(write, sendmsg)
#define TLS_METHODS(X) X(decrypt, read) X(write, write)

typedef struct python_object *(*plain_fn)(struct python_object *, struct python_object *);
typedef struct python_object *(*keywords_fn)(struct python_object *, struct python_object *,
					     struct python_object *);
typedef struct python_object *(*fast_fn)(struct python_object *, struct python_object *const *,
					 ssize_t);
typedef struct python_object *(*fast_keywords_fn)(struct python_object *,
						  struct python_object *const *, ssize_t,
						  struct python_object *);

enum move { MOVE_read, MOVE_decrypt, MOVE_write, MOVE_accept };

/* One call of a method. */
struct call {
	bool followed;
	struct thread_flow saved;
};

static void begin(struct call *c, enum move move, const struct python_object *self)
{
	struct python_object *value = NULL;

	c->followed = python_follows(self);
	if (!c->followed && move != MOVE_accept)
		return;
	shim_flow_begin(&c->saved,
			c->followed && move == MOVE_write ? python_flow_get(&value) : NULL);
	if (value)
		python.Py_DecRef(value);
}

static enum shim_flow_style style_of(enum move move)
{
	return move == MOVE_read || move == MOVE_decrypt ? python_flow_style() : SHIM_FLOW_ANY;
}

static void take_up(const struct call *c, enum move move)
{
	struct python_object *value;
	struct shim_flow now = { .serial = 0 }, *carried;

	/* What has been imported by now. */
	if (move == MOVE_accept)
		python_task_find();
	else if (move != MOVE_write)
		python_grpc_find();
	carried = python_flow_get(&value);
	if (carried)
		now = *carried;
	if (move == MOVE_decrypt && python_uvloop_calls_back() && !shim_flow_is_own(&now) &&
	    shim_flow_callback(&now))
		python_uvloop_carry(&now);
	else if (shim_flow_end(&c->saved, &now, style_of(move)) && python_contexts_are_kept())
		python_flow_set(&now, NULL);
	if (value)
		python.Py_DecRef(value);
}

static void end(struct call *c, enum move move, const struct python_object *self,
		const struct python_object *result)
{
	struct shim_flow none = { .serial = 0 };

	if (!c->followed && move != MOVE_accept)
		return;
	if (result && shim_flow_seen() && (c->followed || python_flow_start(self)) &&
	    (move != MOVE_accept || python_loop_runs()))
		take_up(c, move);
	else
		shim_flow_end(&c->saved, &none, SHIM_FLOW_ANY);
}

/* Each method has a function for every way of being called. */
#define FUNCTIONS(move, name)                                                                  \
	static void *real_##name;                                                              \
	static struct python_object *plain_##name(struct python_object *self,                  \
						  struct python_object *args)                  \
	{                                                                                      \
		struct python_object *result;                                                  \
		struct call c;                                                                 \
                                                                                               \
		begin(&c, MOVE_##move, self);                                                  \
		result = ((plain_fn)real_##name)(self, args);                                  \
		end(&c, MOVE_##move, self, result);                                            \
		return result;                                                                 \
	}                                                                                      \
	static struct python_object *keywords_##name(struct python_object *self,               \
						     struct python_object *args,               \
						     struct python_object *keywords)           \
	{                                                                                      \
		struct python_object *result;                                                  \
		struct call c;                                                                 \
                                                                                               \
		begin(&c, MOVE_##move, self);                                                  \
		result = ((keywords_fn)real_##name)(self, args, keywords);                     \
		end(&c, MOVE_##move, self, result);                                            \
		return result;                                                                 \
	}                                                                                      \
	static struct python_object *fast_##name(struct python_object *self,                   \
						 struct python_object *const *args, ssize_t n) \
	{                                                                                      \
		struct python_object *result;                                                  \
		struct call c;                                                                 \
                                                                                               \
		begin(&c, MOVE_##move, self);                                                  \
		result = ((fast_fn)real_##name)(self, args, n);                                \
		end(&c, MOVE_##move, self, result);                                            \
		return result;                                                                 \
	}                                                                                      \
	static struct python_object *fast_keywords_##name(struct python_object *self,          \
							  struct python_object *const *args,   \
							  ssize_t n,                           \
							  struct python_object *keywords)      \
	{                                                                                      \
		struct python_object *result;                                                  \
		struct call c;                                                                 \
                                                                                               \
		begin(&c, MOVE_##move, self);                                                  \
		result = ((fast_keywords_fn)real_##name)(self, args, n, keywords);             \
		end(&c, MOVE_##move, self, result);                                            \
		return result;                                                                 \
	}
METHODS(FUNCTIONS)
TLS_METHODS(FUNCTIONS)
#undef FUNCTIONS

struct replacement {
	const char *name;
	void **real;
	plain_fn plain;
	keywords_fn keywords;
	fast_fn fast;
	fast_keywords_fn fast_keywords;
};

#define ROW(move, name) \
	{ #name, &real_##name, plain_##name, keywords_##name, fast_##name, fast_keywords_##name },
static const struct replacement socket_methods[] = { METHODS(ROW) };
static const struct replacement tls_methods[] = { TLS_METHODS(ROW) };
#undef ROW

/* The function of that way of being called, or NULL: one that is not known. */
static void *function_for(const struct replacement *r, int flags)
{
	switch (flags) {
	case PYTHON_NOARGS:
	case PYTHON_O:
	case PYTHON_VARARGS:
		return (void *)r->plain;
	case PYTHON_VARARGS | PYTHON_KEYWORDS:
		return (void *)r->keywords;
	case PYTHON_FASTCALL:
		return (void *)r->fast;
	case PYTHON_FASTCALL | PYTHON_KEYWORDS:
		return (void *)r->fast_keywords;
	default:
		return NULL;
	}
}

/* All of them or none. */
static bool replace(struct python_method *table, const struct replacement *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct python_method *m = python_table_method(table, r[i].name);

		if (!m || !function_for(&r[i], m->flags))
			return false;
	}
	for (size_t i = 0; i < n; i++) {
		struct python_method *m = python_table_method(table, r[i].name);

		*r[i].real = m->function;
		__atomic_store_n(&m->function, function_for(&r[i], m->flags), __ATOMIC_RELEASE);
	}
	return true;
}

/* ---- finding them ---- */

enum found { FOUND_NOT, FOUND_REPLACED, FOUND_UNKNOWN };

static enum found interpreter, sockets, tls, futures, uvloop;

static enum found in_module(const struct image *m, const char *const *names,
			    const struct replacement *r, size_t n)
{
	struct python_method *table = python_table_find(m, names, NULL);

	return table && replace(table, r, n) ? FOUND_REPLACED : FOUND_UNKNOWN;
}

static bool find_interpreter(void *arg, const struct image *m)
{
	(void)arg;
	if (!image_find(m, "PyContextVar_New"))
		return false;
	if (object_is_relocated(m))
		interpreter = python_api_find(m) ? FOUND_REPLACED : FOUND_UNKNOWN;
	return true;
}

/* A module that is being loaded just now is found by the next look. */
static bool is_module(const struct image *m, const char *init)
{
	return image_find(m, init) && object_is_relocated(m);
}

static bool find_modules(void *arg, const struct image *m)
{
	static const char *const socket_names[] = { "_accept", "recv_into", "sendall", "detach",
						    NULL };
	static const char *const tls_names[] = { "do_handshake", "write",    "read",
						 "pending",      "shutdown", NULL };

	(void)arg;
	if (sockets == FOUND_NOT && is_module(m, "PyInit__socket"))
		sockets = in_module(m, socket_names, socket_methods,
				    sizeof(socket_methods) / sizeof(*socket_methods));
	if (tls == FOUND_NOT && is_module(m, "PyInit__ssl"))
		tls = in_module(m, tls_names, tls_methods,
				sizeof(tls_methods) / sizeof(*tls_methods));
	if (futures == FOUND_NOT && is_module(m, "PyInit__asyncio"))
		futures = python_future_find(m) ? FOUND_REPLACED : FOUND_UNKNOWN;
	if (uvloop == FOUND_NOT && is_module(m, "PyInit_loop"))
		uvloop = python_uvloop_find(m) ? FOUND_REPLACED : FOUND_NOT;
	return false;
}

bool hook_python_look(void)
{
	if (interpreter == FOUND_NOT)
		objects_each(find_interpreter, NULL);
	if (interpreter != FOUND_REPLACED)
		return interpreter == FOUND_NOT;
	if (sockets != FOUND_UNKNOWN)
		objects_each(find_modules, NULL);
	return sockets == FOUND_NOT ||
	       (sockets == FOUND_REPLACED &&
		(tls == FOUND_NOT || futures == FOUND_NOT || uvloop == FOUND_NOT));
}
