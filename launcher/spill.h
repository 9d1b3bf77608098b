/* SPDX-License-Identifier: Apache-2.0 */
/* Batches that cannot be delivered, kept in files until they can (TAGALONG_SPILL_DIR).
 *
 * First in, first out, across restarts: what an owner leaves behind, however it ended, is adopted
 * by the next one that opens the directory or finds nothing of its own left in it. Any number may
 * use one directory at a time; none touches what belongs to another that lives, nor what is not a
 * plain file of its own user. One owner is used by one thread, and not by a child of fork().
 *
 * What is given: a body comes out as it went in, or not at all. What was popped does not come again
 * unless its mark could not be written; what was delivered and not popped when the owner was killed
 * comes once more, which is one batch at the most. Damage costs the records it touches.
 *
 * Nothing is synced: what write(2) has taken outlives every end of the process, and only a crash of
 * the kernel or a loss of power within its write-back time (some 30 s) does more harm: records lost
 * from the end, or delivered once more. An fsync() a batch would make the disk's worst moments the
 * exporter's.
 *
 * A payload that is put is, later, either waiting, popped, or dropped (in items):
 * put + adopted + found damaged = waiting + popped + dropped. */
#ifndef LAUNCHER_SPILL_H
#define LAUNCHER_SPILL_H

#include <stdbool.h>
#include "exporter/payload.h"

struct spill;

/* Makes the directory (0700) if it is missing, its parent not, and adopts what dead owners left in
 * it. max_bytes is the bound of this owner's files, heads included, adopted ones too. 0 or a
 * negative errno, and *s is NULL: -EACCES or -EROFS when nothing can be written there. */
int spill_open(struct spill **s, const char *directory, uint64_t max_bytes);

/* Keeps a copy at the end; the oldest go when the bound is reached. Cannot it be kept (disk full,
 * body over 16 MiB), a negative errno is returned and its items are counted as dropped; the next
 * call tries again. A directory that has disappeared is made again; what lay in it stays readable
 * to this owner, and to no later one. */
int spill_put(struct spill *s, const struct payload *p);

/* A view of the oldest, good until spill_pop(), spill_close() or the next call of this; the same
 * one until it is popped. False: there is none (or no memory to read it into, now). */
bool spill_oldest(struct spill *s, struct payload *p);

/* What spill_oldest() gave was delivered, or refused for good. Nothing if it gave nothing since. */
void spill_pop(struct spill *s);

uint64_t spill_waiting_items(const struct spill *s);
bool spill_is_waiting(const struct spill *s); /* something, of no items maybe */
uint64_t spill_bytes(const struct spill *s);  /* of files */

/* Lost to the bound, to damage (at the most, where heads are gone too), and to failed writes. */
uint64_t spill_dropped_items(const struct spill *s);

/* What waits is left to the next owner. NULL is fine. */
void spill_close(struct spill *s);

#endif
