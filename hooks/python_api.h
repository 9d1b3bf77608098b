/* SPDX-License-Identifier: Apache-2.0 */
/* What of Python's C API is called, from the interpreter that is loaded (CPython 3.8 to 3.14, with
 * a GIL). All of it but the version wants the GIL: it is called from inside the interpreter's own
 * calls of methods that we stand in front of, which hold it, and never from a hook of libc's. */
#ifndef HOOKS_PYTHON_API_H
#define HOOKS_PYTHON_API_H

#include <stdint.h>
#include <sys/types.h>
#include "base/image.h"

struct python_object; /* PyObject: never looked into, but for python_type() */

#define PYTHON_TYPES_DEEP 8 /* types of types that are looked at */

#define PYTHON_API(X)                                                                             \
	X(struct python_object *, PyContextVar_New, (const char *, struct python_object *))       \
	X(int, PyContextVar_Get,                                                                  \
	  (struct python_object *, struct python_object *, struct python_object **))              \
	X(struct python_object *, PyContextVar_Set,                                               \
	  (struct python_object *, struct python_object *))                                       \
	X(int, PyContextVar_Reset, (struct python_object *, struct python_object *))              \
	X(struct python_object *, PyBytes_FromStringAndSize, (const char *, ssize_t))             \
	X(char *, PyBytes_AsString, (struct python_object *))                                     \
	X(ssize_t, PyBytes_Size, (struct python_object *))                                        \
	X(struct python_object *, PyUnicode_FromString, (const char *))                           \
	X(const char *, PyUnicode_AsUTF8, (struct python_object *))                               \
	X(struct python_object *, PyTuple_New, (ssize_t))                                         \
	X(ssize_t, PyTuple_Size, (struct python_object *))                                        \
	X(struct python_object *, PyTuple_GetItem, (struct python_object *, ssize_t))             \
	X(int, PyTuple_SetItem, (struct python_object *, ssize_t, struct python_object *))        \
	X(ssize_t, PyList_Size, (struct python_object *))                                         \
	X(struct python_object *, PyList_GetItem, (struct python_object *, ssize_t))              \
	X(struct python_object *, PyObject_GetAttrString, (struct python_object *, const char *)) \
	X(struct python_object *, PyObject_CallObject,                                            \
	  (struct python_object *, struct python_object *))                                       \
	X(struct python_object *, PySys_GetObject, (const char *))                                \
	X(struct python_object *, PyModule_GetDict, (struct python_object *))                     \
	X(struct python_object *, PyDict_GetItemString, (struct python_object *, const char *))   \
	X(struct python_object *, PyEval_GetFrame, (void))                                        \
	X(int, PyObject_IsTrue, (struct python_object *))                                         \
	X(ssize_t, PyObject_Size, (struct python_object *))                                       \
	X(ssize_t, PyLong_AsSsize_t, (struct python_object *))                                    \
	X(int, PyContext_Enter, (struct python_object *))                                         \
	X(int, PyContext_Exit, (struct python_object *))                                          \
	X(unsigned long, PyType_GetFlags, (struct python_object *))                               \
	X(void, PyErr_Clear, (void))                                                              \
	X(void, PyErr_Fetch,                                                                      \
	  (struct python_object **, struct python_object **, struct python_object **))            \
	X(void, PyErr_Restore,                                                                    \
	  (struct python_object *, struct python_object *, struct python_object *))               \
	X(void, Py_IncRef, (struct python_object *))                                              \
	X(void, Py_DecRef, (struct python_object *))                                              \
	X(int, Py_AtExit, (void (*)(void)))                                                       \
	X(void *, PyInterpreterState_Main, (void))

struct python_api {
#define FUNCTION(type, name, parameters) type(*name) parameters;
	PYTHON_API(FUNCTION)
#undef FUNCTION
	void *(*interpreter)(void); /* PyInterpreterState_Get, which was private once */
	/* PyFrame_GetCode, since 3.9: a new reference. NULL: the attribute is no secret there. */
	struct python_object *(*frame_code)(struct python_object *);
	struct python_object *none, *type_type, *list_type, *tuple_type, *bytes_type;
	struct image image; /* the object it is in */
};

extern struct python_api python;

/* By what Py_GetVersion() says: "3.11.2 (main, ...) [GCC ...]"; without a GIL, which is refused,
 * "3.13.0 experimental free-threading build (...". */
bool python_version_is_known(const char *version);

/* The functions of the interpreter in this object. False: there is none, or one that is not known.
 */
bool python_api_find(const struct image *m);

static inline struct python_object *python_type(const struct python_object *o)
{
	struct python_object *type;

	/* A reference count, of one word where there is a GIL, then the type: the stable ABI. */
	__builtin_memcpy(&type, (const char *)o + sizeof(void *), sizeof(type));
	return type;
}

/* Whether the object is of the interpreter that is called here: another one may be loaded beside
 * it, or since, and use the same modules. What types are of is of itself. */
static inline bool python_has(const struct python_object *o)
{
	const struct python_object *type = python_type(o);

	for (unsigned i = 0; i < PYTHON_TYPES_DEEP && type != python_type(type); i++)
		type = python_type(type);
	return type == python.type_type;
}

/* Whether it is a type, of the plain kind: only of one may the rest be looked at. What stands under
 * a name in a module is the program's affair. */
static inline bool python_is_type(const struct python_object *o)
{
	return python_type(o) == python.type_type;
}

/* A type's name: behind the head of an object with a size. */
static inline const char *python_type_name(const struct python_object *type)
{
	const char *name;

	__builtin_memcpy(&name, (const char *)type + 3 * sizeof(void *), sizeof(name));
	return name;
}

/* The attribute of a module that has been imported, or NULL: no error is left. */
struct python_object *python_attribute(const char *module, const char *name);

#endif
