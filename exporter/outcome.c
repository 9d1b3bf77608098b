/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/outcome.h"

#include "base/counters.h"

void outcome_count(const struct outcome *o, uint32_t n)
{
	uint32_t rejected = o->rejected < n ? o->rejected : n;

	switch (o->loss) {
	case LOSS_NONE:
		count_add(spans_exported, n - rejected);
		count_add(spans_dropped_rejected, rejected);
		return;
	case LOSS_RESPONSE:
		count_add(spans_dropped_response, n);
		break;
	case LOSS_RETRIES:
		count_add(spans_dropped_retries, n);
		break;
	case LOSS_UNDELIVERABLE:
		count_add(spans_dropped_undeliverable, n);
		break;
	case LOSS_FILE:
		count_add(spans_dropped_file, n);
		break;
	case LOSS_MEMORY:
		count_add(spans_dropped_memory, n);
		break;
	}
	count(export_failures);
}
