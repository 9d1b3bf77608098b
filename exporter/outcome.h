/* SPDX-License-Identifier: Apache-2.0 */
/* What became of one batch. */
#ifndef EXPORTER_OUTCOME_H
#define EXPORTER_OUTCOME_H

#include <stdint.h>

enum loss {
	LOSS_NONE,
	LOSS_RESPONSE,      /* an answer that must not be retried */
	LOSS_RETRIES,       /* no answer, or "later", until the budget was used up */
	LOSS_UNDELIVERABLE, /* there is no way to send */
	LOSS_FILE,
	LOSS_MEMORY
};

struct outcome {
	enum loss loss;       /* of all spans */
	uint32_t rejected;    /* LOSS_NONE: the receiver's partial success */
	uint64_t hold_off_ns; /* the receiver asked to be left alone until then (monotonic), 0 no */
};

/* Counts n spans under what became of them. */
void outcome_count(const struct outcome *o, uint32_t n);

#endif
