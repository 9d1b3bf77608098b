/* SPDX-License-Identifier: Apache-2.0 */
/* What writing and reading a segment have in common. */
#ifndef LAUNCHER_SPILL_RECORD_H
#define LAUNCHER_SPILL_RECORD_H

#include "launcher/spill_file.h"

/* Far from each other and from anything a disk makes of nothing: a mark that is neither is damage.
 */
#define SPILL_WAITING   0x74696157u /* "Wait" */
#define SPILL_DELIVERED 0x6b636190u

uint32_t spill_check(const void *p, size_t n);
uint32_t spill_head_check(const struct spill_head *head);

/* Walks through a segment just opened and fills in what waits and where its end is. Returns how
 * many items damage took, at the most. */
uint64_t spill_file_take_stock(struct spill_file *file);

/* Nothing behind `end`; the file is sealed if that cannot be had. */
void spill_file_cut(struct spill_file *file);

#endif
