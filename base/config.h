/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: read once at start, constant afterwards. */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_TYPE_BOOL   bool
#define CONFIG_TYPE_UINT   uint32_t
#define CONFIG_TYPE_MS     uint32_t
#define CONFIG_TYPE_RATIO  double
#define CONFIG_TYPE_STRING const char * /* "" when unset, never NULL */
#define CONFIG_TYPE_ENUM   uint32_t
#define CONFIG_TYPE_SET    uint32_t

enum config_type {
	CONFIG_BOOL,
	CONFIG_UINT,
	CONFIG_MS,
	CONFIG_RATIO,
	CONFIG_STRING,
	CONFIG_ENUM,
	CONFIG_SET
};

struct config {
#define VARIABLE(field, name, type, fallback, min, max, choices, sentence) CONFIG_TYPE_##type field;
#include "base/variables.def"
#undef VARIABLE
	uint8_t propagator_order[8]; /* enum propagator_name in the order given, 0-terminated */
	bool sampler_arg_set;
	bool traces_exporter_set; /* OTEL_TRACES_EXPORTER was given */
	bool otlp_protocol_set;   /* for traces, by either variable */
	/* Of the OTLP variables, what metrics use: those that are no strings. */
	uint32_t metrics_otlp_protocol, metrics_otlp_timeout;
	bool metrics_otlp_protocol_set;
};

/* Indexes of the choices in variables.def. */
enum { LOG_LEVEL_NONE, LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum propagator_name {
	PROPAGATOR_NONE,
	PROPAGATOR_TRACECONTEXT,
	PROPAGATOR_BAGGAGE,
	PROPAGATOR_B3,
	PROPAGATOR_B3MULTI,
	PROPAGATOR_JAEGER
};
enum {
	SAMPLER_ALWAYS_ON,
	SAMPLER_ALWAYS_OFF,
	SAMPLER_RATIO,
	SAMPLER_PARENT_ALWAYS_ON,
	SAMPLER_PARENT_ALWAYS_OFF,
	SAMPLER_PARENT_RATIO
};
enum { EXPORTER_NONE = 1 << 0, EXPORTER_OTLP = 1 << 1, EXPORTER_CONSOLE = 1 << 2 };
enum {
	SEMCONV_HTTP = 1 << 0,
	SEMCONV_HTTP_DUP = 1 << 1,
	SEMCONV_RPC = 1 << 2,
	SEMCONV_RPC_DUP = 1 << 3
};
enum { TEMPORALITY_CUMULATIVE, TEMPORALITY_DELTA, TEMPORALITY_LOWMEMORY };
enum { OTLP_HTTP_PROTOBUF, OTLP_HTTP_JSON, OTLP_GRPC };
enum { ROUTE_AUTO, ROUTE_OFF };
enum { INBOUND_AUTO, INBOUND_ON, INBOUND_OFF };
enum { TLS_AUTO, TLS_OFF };
enum { PYTHON_AUTO, PYTHON_OFF };
enum { NODE_AUTO, NODE_OFF };
enum { CARRIERS_AUTO, CARRIERS_OFF };
enum { LINK_EXACT, LINK_BEST };

extern struct config config;

/* Reads the variables out of envp into `config`; the values are copied, so the program may wipe
 * its environment. Values that are not understood keep the default; each gives one warning that
 * names variable, value and what is used instead, through `warn` (NULL: log_warn; log_init() is
 * then called here, as soon as TAGALONG_LOG is known). A per-signal
 * OTLP variable that is set wins over the general one: after this call the general fields
 * (otlp_protocol, otlp_headers, otlp_timeout, ...) hold what traces use, and metrics_otlp_protocol,
 * metrics_otlp_timeout and the strings otlp_metrics_... what metrics use, but the endpoints stay
 * apart (their paths are built differently). Older names (config_older.h) stand in for variables
 * that are unset, each with one warning.
 * Takes no memory but one static block of 64 KiB at most; what does not fit is warned about.
 * Call once per process, before any thread. */
void config_read(char **envp, void (*warn)(void *arg, const char *message), void *arg);

/* The table itself, for help texts and documentation. */
struct config_variable {
	const char *name;
	enum config_type type;
	const char *fallback, *choices, *sentence;
	uint32_t min, max;
	size_t offset; /* in struct config */
};
extern const struct config_variable config_variables[];
extern const size_t config_variable_count;

#endif
