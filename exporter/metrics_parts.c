/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/metrics_parts.h"

#include "base/arena.h"

void *metrics_take(struct metrics_build *b, size_t n)
{
	void *p = arena_alloc(b->arena, n);

	b->failed = b->failed || !p;
	return p;
}

Otlp__Metric *metrics_add(struct metrics_build *b, char *name, char *description, char *unit_text)
{
	Otlp__Metric *m = metrics_take(b, sizeof(*m));

	if (!m)
		return NULL;
	otlp__metric__init(m);
	m->name = name;
	m->description = description;
	m->unit = unit_text;
	b->metrics[b->count++] = m;
	return m;
}

bool pairs_put(struct scratch *s, struct pairs *p, const char *key, Otlp__AnyValue *value)
{
	Otlp__KeyValue *pair = message_pair(s, (char *)(uintptr_t)key, value);

	if (!pair || p->n == PAIRS_MAX)
		return false;
	p->list[p->n++] = pair;
	return true;
}

uint64_t metrics_start(const struct metrics_build *b, bool delta)
{
	uint64_t last = delta ? b->source->past->sent.taken_ns : 0;

	return last ? last : b->source->start_ns;
}
