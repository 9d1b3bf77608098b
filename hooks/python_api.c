/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/python_api.h"

#include "base/bytes.h"

#define MINOR_FIRST 8
#define MINOR_LAST  14
#define VERSION_MAX 200

struct python_api python;

bool python_version_is_known(const char *version)
{
	struct bytes v = bytes_of(version);
	uint64_t minor;

	if (v.n > VERSION_MAX)
		v.n = VERSION_MAX;
	for (size_t i = 0; i + 14 <= v.n; i++)
		if (memcmp(v.p + i, "free-threading", 14) == 0)
			return false;
	if (!bytes_start_with(v, BYTES("3.")))
		return false;
	v = (struct bytes){ v.p + 2, v.n - 2 };
	return bytes_to_u64(bytes_split(&v, '.'), &minor) == 0 && minor >= MINOR_FIRST &&
	       minor <= MINOR_LAST;
}

bool python_api_find(const struct image *m)
{
	const char *(*version)(void) = (const char *(*)(void))image_find_code(m, "Py_GetVersion");
	bool all = true;

	python.image = *m;

	if (!version || !image_find(m, "PyContextVar_New") || !python_version_is_known(version()) ||
	    image_find(m, "_Py_MergeZeroLocalRefcount"))
		return false;
#define FUNCTION(type, name, parameters)                        \
	python.name = (type(*) parameters)image_find(m, #name); \
	all &= python.name != NULL;
	PYTHON_API(FUNCTION)
#undef FUNCTION
	python.interpreter = (void *(*)(void))image_find(m, "PyInterpreterState_Get");
	if (!python.interpreter)
		python.interpreter = (void *(*)(void))image_find(m, "_PyInterpreterState_Get");
	python.frame_code = (struct python_object * (*)(struct python_object *))
		image_find(m, "PyFrame_GetCode");
	python.none = image_find(m, "_Py_NoneStruct");
	python.type_type = image_find(m, "PyType_Type");
	python.list_type = image_find(m, "PyList_Type");
	python.tuple_type = image_find(m, "PyTuple_Type");
	python.bytes_type = image_find(m, "PyBytes_Type");
	if (!all || !python.interpreter || !python.none || !python.type_type || !python.list_type ||
	    !python.tuple_type || !python.bytes_type)
		return false;
	/* Builds that keep lists of all objects have longer heads. */
	return python_type(python.list_type) == python.type_type;
}

/* Nothing is run and nothing waited for: another thread may be importing the module just now.
 * PyImport_GetModuleDict() ends the process where there are no modules any more. */
struct python_object *python_attribute(const char *module, const char *name)
{
	struct python_object *all = python.PySys_GetObject("modules"), *m, *names, *found = NULL;

	m = all ? python.PyDict_GetItemString(all, module) : NULL;
	names = m ? python.PyModule_GetDict(m) : NULL;
	if (names)
		found = python.PyDict_GetItemString(names, name);
	if (found)
		python.Py_IncRef(found);
	else
		python.PyErr_Clear();
	return found;
}
