/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP messages as protobuf-c's structs, built in scratch memory: one span at a time, then the
 * memory is used again for the next. Everything here returns NULL (or false) when the scratch is
 * too small, and takes NULL where another of them may have returned it. */
#ifndef EXPORTER_MESSAGE_H
#define EXPORTER_MESSAGE_H

#include "exporter/otlp.pb-c.h"
#include "exporter/resource.h"

struct arena;

/* Memory cut off from the front of one block. */
struct scratch {
	char *p;
	size_t used, size;
};

/* size bytes out of the arena: 0 or -ENOMEM. */
int scratch_init(struct scratch *s, struct arena *a, size_t size);
void *scratch_alloc(struct scratch *s, size_t n);

/* What one attribute costs beside its text, at the worst: a captured header, an array that grew by
 * doubling. Alignment included. */
#define MESSAGE_ATTRIBUTE_COST \
	(sizeof(Otlp__KeyValue) + 2 * sizeof(Otlp__AnyValue) + sizeof(Otlp__ArrayValue) + 128)

/* A terminated string of UTF-8, of max_chars characters at most. */
char *message_text(struct scratch *s, struct bytes b, uint64_t max_chars);

Otlp__AnyValue *message_string(struct scratch *s, struct bytes b, uint64_t max_chars);
Otlp__AnyValue *message_int(struct scratch *s, int64_t number);
Otlp__AnyValue *message_bool(struct scratch *s, bool truth);
/* An array of one, and one more at its end. */
Otlp__AnyValue *message_array(struct scratch *s, Otlp__AnyValue *element);
bool message_array_append(struct scratch *s, Otlp__ArrayValue *array, Otlp__AnyValue *value);
Otlp__KeyValue *message_pair(struct scratch *s, char *key, Otlp__AnyValue *value);

int resource_scratch(struct scratch *s, struct arena *a, const struct resource *r);
Otlp__Resource *resource_message(struct scratch *s, const struct resource *r);

/* The instrumentation scope: us. */
extern const Otlp__InstrumentationScope scope_message;

#endif
