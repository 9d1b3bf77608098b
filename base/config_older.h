/* SPDX-License-Identifier: Apache-2.0 */
/* Variables that deployments carry from before OTEL_*: what each one means today. */
#ifndef BASE_CONFIG_OLDER_H
#define BASE_CONFIG_OLDER_H

#include <stddef.h>

enum config_older_kind {
	OLDER_ENABLED,
	OLDER_RATIO,
	OLDER_URL,
	OLDER_ATTRIBUTE, /* of the resource, which reads it itself */
};

struct config_older_name {
	const char *name; /* "TRACING_ENABLED" */
	enum config_older_kind kind;
	const char *variable;  /* of base/variables.def, or NULL */
	const char *meaning;   /* as warnings and help texts say it */
	const char *attribute; /* of the resource, or NULL */
};

/* Of two that mean the same the upper one counts. */
#define CONFIG_OLDER_COUNT 9
extern const struct config_older_name config_older_names[CONFIG_OLDER_COUNT];

/* One that the environment has. */
struct config_older {
	const struct config_older_name *row;
	const char *value;   /* for row->variable */
	const char *ratio;   /* for OTEL_TRACES_SAMPLER_ARG, or NULL */
	const char *meaning; /* row->meaning, or more exactly */
};

/* Calls use() for each older name in envp that says something. resource_attributes:
 * OTEL_RESOURCE_ATTRIBUTES or NULL; attributes that it has are left out. Values stay good until the
 * next call. */
void config_older_read(char **envp, const char *resource_attributes,
		       void (*use)(void *arg, const struct config_older *o), void *arg);

#endif
