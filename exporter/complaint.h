/* SPDX-License-Identifier: Apache-2.0 */
/* Messages about exports that do not work: the same one at most once a minute, however many batches
 * fail. One thread at a time. */
#ifndef EXPORTER_COMPLAINT_H
#define EXPORTER_COMPLAINT_H

#include <stdbool.h>
#include <stdint.h>

#define COMPLAINT_KINDS    8
#define COMPLAINT_EVERY_NS 60000000000ull

struct complaints {
	struct {
		uint64_t hash; /* of the text */
		uint64_t said_ns;
		uint32_t unsaid; /* times it was held back since */
	} kinds[COMPLAINT_KINDS];
};

/* True when the text may be logged now; *unsaid is how often it was held back before. */
bool complaint_due(struct complaints *c, const char *text, uint64_t now_ns, uint32_t *unsaid);

/* Formats, and logs a warning when that is due. */
void complain(struct complaints *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
