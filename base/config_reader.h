/* SPDX-License-Identifier: Apache-2.0 */
/* Private to base/config*.c: the variables while they are read. */
#ifndef BASE_CONFIG_READER_H
#define BASE_CONFIG_READER_H

#include "base/config.h"
#include "base/text.h"

enum {
#define VARIABLE(field, ...) CONFIG_ROW_##field,
#include "base/variables.def"
#undef VARIABLE
	CONFIG_VARIABLE_COUNT
};

struct config_reader {
	const char
		*values[CONFIG_VARIABLE_COUNT]; /* as they stand in the environment; NULL: unset */
	size_t strings_used;
	void (*warn)(void *arg, const char *message);
	void *arg;
};

/* The row of a field. */
#define ROW(field) ((size_t)CONFIG_ROW_##field)

static inline void *config_field(const struct config_variable *v)
{
	return (char *)&config + v->offset;
}

/* NAME="value" is not <what>; using <instead> */
void config_warn_bad(const struct config_reader *r, const struct config_variable *v,
		     struct bytes value, const char *what, struct bytes instead);

/* Reads one value by its row's rules, or warns and leaves the field as it is. */
void config_read_value(struct config_reader *r, const struct config_variable *v,
		       const char *string);

/* Checks what is kept as text, and fills in what traces and metrics use. */
void config_settle_signals(struct config_reader *r);

#endif
