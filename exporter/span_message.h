/* SPDX-License-Identifier: Apache-2.0 */
/* The one mapping of a record to an OTLP span; otlp.c packs it, json.c spells it out. */
#ifndef EXPORTER_SPAN_MESSAGE_H
#define EXPORTER_SPAN_MESSAGE_H

#include "exporter/message.h"
#include "exporter/record.h"

struct span_limits {
	uint64_t attributes, links, value_chars;
};

/* What `config` says. */
struct span_limits span_limits_read(void);

/* Scratch that is enough for any one of the records: 0 or -ENOMEM. */
int span_scratch(struct scratch *s, struct arena *a, const struct record_head *const *records,
		 size_t n);

/* The span of a record, whose memory it points into. NULL: the scratch is too small. */
Otlp__Span *span_message(struct scratch *s, const struct record_head *head,
			 const struct span_limits *limits);

#endif
