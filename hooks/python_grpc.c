/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/python_grpc.h"

#include "base/objects.h"
#include "hooks/python_flow.h"
#include "hooks/python_tables.h"

#define MODULE       "grpc._cython.cygrpc"
#define OPERATION    "SendInitialMetadataOperation"
#define CALLER       "grpc/_channel.py" /* servers send metadata too */
#define METADATA_MAX 200
#define ARGUMENTS    4
#define LINES_MAX    3 /* traceparent, tracestate, baggage */
#define NAME_ROOM    32

/* PyTypeObject, the same since 3.8. */
#define TYPE_FLAGS 168
#define TYPE_NEW   312

/* ---- metadata ---- */

typedef struct python_object *(*item_fn)(struct python_object *, ssize_t);

/* A pair's name, or NULL: it is none that is known here. */
static const char *name_of(struct python_object *pair)
{
	struct python_object *key = pair ? python.PyTuple_GetItem(pair, 0) : NULL;

	return key ? python.PyUnicode_AsUTF8(key) : NULL;
}

static bool has(struct python_object *old, ssize_t n, item_fn item, struct bytes name)
{
	for (ssize_t i = 0; i < n; i++)
		if (bytes_equal_nocase(bytes_of(name_of(item(old, i))), name))
			return true;
	return false;
}

/* Items that are all known here, and tell no context. */
static bool may_add(struct python_object *old, ssize_t n, item_fn item)
{
	for (ssize_t i = 0; i < n; i++)
		if (!name_of(item(old, i)))
			return false;
	return !has(old, n, item, BYTES("traceparent"));
}

static struct python_object *pair_of(const char *name, const char *value)
{
	struct python_object *pair = python.PyTuple_New(2);

	if (!pair)
		return NULL;
	if (python.PyTuple_SetItem(pair, 0, python.PyUnicode_FromString(name)) == 0 &&
	    python.PyTuple_SetItem(pair, 1, python.PyUnicode_FromString(value)) == 0 &&
	    python.PyTuple_GetItem(pair, 0) && python.PyTuple_GetItem(pair, 1))
		return pair;
	python.Py_DecRef(pair);
	return NULL;
}

/* The pairs of these lines ("name: value", each ended by a 0) that there are none of yet. Returns
 * how many, or -1. */
static int pairs_of(struct python_object *pairs[static LINES_MAX], struct bytes lines,
		    struct python_object *old, ssize_t n, item_fn item)
{
	int count = 0;

	while (lines.n && count < LINES_MAX) {
		struct bytes value = bytes_split(&lines, '\0'), name = bytes_split(&value, ':');
		char key[NAME_ROOM];

		if (value.n < 2 || name.n >= sizeof(key) || has(old, n, item, name))
			continue;
		memcpy(key, name.p, name.n);
		key[name.n] = 0;
		pairs[count] = pair_of(key, value.p + 1);
		if (!pairs[count])
			return -1;
		count++;
	}
	return count;
}

/* The same items and more, or NULL: some item is not what is known here, or tells a context. */
static struct python_object *longer(struct python_object *old, ssize_t n, item_fn item,
				    struct bytes lines)
{
	struct python_object *made, *pairs[LINES_MAX] = { NULL };
	int more = may_add(old, n, item) ? pairs_of(pairs, lines, old, n, item) : -1;

	made = more > 0 ? python.PyTuple_New(n + more) : NULL;
	for (ssize_t i = 0; made && i < n; i++) {
		struct python_object *pair = item(old, i);

		python.Py_IncRef(pair);
		python.PyTuple_SetItem(made, i, pair);
	}
	for (int i = 0; i < LINES_MAX && pairs[i]; i++)
		if (made)
			python.PyTuple_SetItem(made, n + i, pairs[i]);
		else
			python.Py_DecRef(pairs[i]);
	return made;
}

/* What is to be sent in place of it: a new reference, or NULL: as it is. */
static struct python_object *with_context(struct python_object *metadata)
{
	struct python_object *value, *made = NULL;
	char text[SHIM_CALLER_LINES];
	struct bytes lines = { text, 0 };
	const struct shim_flow *f;
	ssize_t n;

	if (!python_follows(metadata))
		return NULL;
	f = python_flow_get(&value);
	if (f)
		lines.n = shim_flow_lines(f, text, sizeof(text));
	if (value)
		python.Py_DecRef(value);
	if (!lines.n)
		return NULL;
	if (metadata == python.none)
		made = longer(NULL, 0, NULL, lines);
	else if (python_type(metadata) == python.tuple_type &&
		 (n = python.PyTuple_Size(metadata)) <= METADATA_MAX)
		made = longer(metadata, n, python.PyTuple_GetItem, lines);
	else if (python_type(metadata) == python.list_type &&
		 (n = python.PyList_Size(metadata)) <= METADATA_MAX)
		made = longer(metadata, n, python.PyList_GetItem, lines);
	if (!made)
		python.PyErr_Clear();
	return made;
}

/* A copy of the tuple with another item at `at`, whose reference it takes. */
static struct python_object *replaced(struct python_object *args, ssize_t at,
				      struct python_object *other)
{
	ssize_t n = python.PyTuple_Size(args);
	struct python_object *made = python.PyTuple_New(n);

	if (!made) {
		python.PyErr_Clear();
		python.Py_DecRef(other);
		return NULL;
	}
	for (ssize_t i = 0; i < n; i++) {
		struct python_object *item = i == at ? other : python.PyTuple_GetItem(args, i);

		if (i != at)
			python.Py_IncRef(item);
		python.PyTuple_SetItem(made, i, item);
	}
	return made;
}

/* The arguments to call with, with the metadata that stands at `at` made longer: a new reference,
 * or NULL: as they are. */
static struct python_object *longer_arguments(struct python_object *args, ssize_t at)
{
	struct python_object *metadata;

	if (!args || python_type(args) != python.tuple_type || python.PyTuple_Size(args) <= at)
		return NULL;
	metadata = with_context(python.PyTuple_GetItem(args, at));
	return metadata ? replaced(args, at, metadata) : NULL;
}

/* ---- calls of threads: the operation that sends the metadata ---- */

typedef struct python_object *(*new_fn)(struct python_object *, struct python_object *,
					struct python_object *);

static new_fn real_new;

static bool called_by_client(void)
{
	struct python_object *frame = python.PyEval_GetFrame(), *code = NULL, *file = NULL;
	struct bytes name = { NULL, 0 }, caller = BYTES(CALLER);
	bool found;

	if (frame) /* without the event that programs may watch for (PEP 578) */
		code = python.frame_code ? python.frame_code(frame)
					 : python.PyObject_GetAttrString(frame, "f_code");
	if (code)
		file = python.PyObject_GetAttrString(code, "co_filename");
	if (file)
		name = bytes_of(python.PyUnicode_AsUTF8(file));
	found = name.n >= caller.n && memcmp(name.p + name.n - caller.n, caller.p, caller.n) == 0;
	if (!name.p)
		python.PyErr_Clear();
	if (code)
		python.Py_DecRef(code);
	if (file)
		python.Py_DecRef(file);
	return found;
}

static struct python_object *operation_new(struct python_object *type, struct python_object *args,
					   struct python_object *keywords)
{
	struct python_object *more = NULL, *made;

	if (python_follows(type) && called_by_client())
		more = longer_arguments(args, 0);
	made = real_new(type, more ? more : args, keywords);
	if (more)
		python.Py_DecRef(more);
	return made;
}

/* ---- calls of asyncio ---- */

/* The method, and where its metadata stands. */
#define METHODS(X)                  \
	X(unary_unary, 1)           \
	X(initiate_unary_stream, 1) \
	X(stream_unary, 0)          \
	X(initiate_stream_stream, 0)

typedef struct python_object *(*keywords_fn)(struct python_object *, struct python_object *,
					     struct python_object *);
typedef struct python_object *(*fast_fn)(struct python_object *, struct python_object *const *,
					 ssize_t, struct python_object *);

static struct python_object *call_fast(fast_fn real, struct python_object *self,
				       struct python_object *const *args, ssize_t n, ssize_t at,
				       struct python_object *names)
{
	struct python_object *copy[ARGUMENTS], *metadata = NULL, *result;

	/* Positional ones alone. */
	if (!names && n > at && n <= ARGUMENTS)
		metadata = with_context(args[at]);
	if (!metadata)
		return real(self, args, n, names);
	for (ssize_t i = 0; i < n; i++)
		copy[i] = i == at ? metadata : args[i];
	result = real(self, copy, n, names);
	python.Py_DecRef(metadata);
	return result;
}

#define FUNCTIONS(name, at)                                                                    \
	static void *real_##name;                                                              \
	static struct python_object *keywords_##name(struct python_object *self,               \
						     struct python_object *args,               \
						     struct python_object *keywords)           \
	{                                                                                      \
		struct python_object *more = longer_arguments(args, at);                       \
		struct python_object *result =                                                 \
			((keywords_fn)real_##name)(self, more ? more : args, keywords);        \
                                                                                               \
		if (more)                                                                      \
			python.Py_DecRef(more);                                                \
		return result;                                                                 \
	}                                                                                      \
	static struct python_object *fast_##name(struct python_object *self,                   \
						 struct python_object *const *args, ssize_t n, \
						 struct python_object *names)                  \
	{                                                                                      \
		return call_fast((fast_fn)real_##name, self, args, n, at, names);              \
	}
METHODS(FUNCTIONS)
#undef FUNCTIONS

static const struct {
	const char *name;
	void **real;
	keywords_fn keywords;
	fast_fn fast;
} methods[] = {
#define ROW(name, at) { #name, &real_##name, keywords_##name, fast_##name },
	METHODS(ROW)
#undef ROW
};

static void replace_methods(struct python_method *table)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		struct python_method *m = python_table_method(table, methods[i].name);
		void *ours = NULL;

		if (m->flags == (PYTHON_VARARGS | PYTHON_KEYWORDS))
			ours = (void *)methods[i].keywords;
		else if (m->flags == (PYTHON_FASTCALL | PYTHON_KEYWORDS))
			ours = (void *)methods[i].fast;
		if (!ours)
			continue;
		*methods[i].real = m->function;
		__atomic_store_n(&m->function, ours, __ATOMIC_RELEASE);
	}
}

/* ---- finding them ---- */

static unsigned long word(const struct python_object *type, size_t at)
{
	unsigned long w;

	__builtin_memcpy(&w, (const char *)type + at, sizeof(w));
	return w;
}

static bool replace_in(void *arg, const struct image *m)
{
	static const char *const names[] = { "unary_unary", "initiate_unary_stream", "stream_unary",
					     "initiate_stream_stream", NULL };
	struct python_object *type = arg;
	struct python_method *table;

	if (!image_contains(m, (uintptr_t)type))
		return false;
	if (strcmp(python_type_name(type), MODULE "." OPERATION) != 0 ||
	    word(type, TYPE_FLAGS) != python.PyType_GetFlags(type) ||
	    !image_is_code(m, word(type, TYPE_NEW)))
		return true;
	real_new = (new_fn)word(type, TYPE_NEW);
	__atomic_store_n((new_fn *)(void *)((char *)type + TYPE_NEW), operation_new,
			 __ATOMIC_RELEASE);
	table = python_table_find(m, names, NULL);
	if (table)
		replace_methods(table);
	return true;
}

void python_grpc_find(void)
{
	static bool done;
	struct python_object *type = done ? NULL : python_attribute(MODULE, OPERATION);

	if (!type)
		return;
	done = true;
	if (python_is_type(type))
		objects_each(replace_in, type);
	python.Py_DecRef(type);
}
