/* SPDX-License-Identifier: Apache-2.0 */
/* One segment of a spill: a file that is written at its end and read from its start.
 *
 * Records lie one behind the other, each at a multiple of eight: a head, a body, and nothing more:
 * no head of the file, so that no byte of it matters to more than one record. What belongs to the
 * whole file stands in its name, SEQUENCE-NONCE.spill1, in hexadecimal: SEQUENCE orders the files
 * of a directory (clocks step), NONCE is random and stands in each head too, so that nothing in a
 * body (a client's header, say) can pass for a head. A layout that cannot be read by this one has
 * another number at the end of the name.
 *
 * A delivered record is marked so in its own head, by four bytes written in place.
 *
 * The lock (flock) on an open segment says that its owner lives; the kernel lets go of it with the
 * owner. A segment is unlinked only by who holds its lock. */
#ifndef LAUNCHER_SPILL_FILE_H
#define LAUNCHER_SPILL_FILE_H

#include <stdbool.h>
#include "exporter/payload.h"

#define SPILL_BODY_MAX 16777216u

struct spill_name {
	uint64_t sequence, nonce;
};

/* As it lies in the file, in the byte order of x86-64 and AArch64. */
struct spill_head {
	uint32_t mark;         /* waiting or delivered; `check` leaves it out */
	uint32_t check;        /* CRC-32 of what follows in the head */
	uint64_t nonce;        /* of the file's name */
	uint64_t items_before; /* in the records before: what a damaged stretch held is known by it
				*/
	uint32_t length;       /* of the body */
	uint32_t items;
	uint32_t body_check; /* CRC-32 */
	uint8_t signal, encoding;
	uint16_t zero;
};

struct spill_file {
	struct spill_file *next; /* the owner's list, oldest first */
	struct spill_name name;
	int fd;
	bool sealed;            /* nothing more may be written behind `end` */
	uint64_t at, end;       /* where reading goes on; behind the last record */
	uint64_t items;         /* ever put into it */
	uint64_t waiting_items; /* of them not delivered yet, as far as is known */
	uint64_t waiting;       /* records */
};

/* One that waits. */
struct spill_record {
	uint64_t at;
	struct spill_head head;
};

/* True when `text` is the name of a segment that this code can read. */
bool spill_name_parse(const char *text, struct spill_name *name);

/* Bytes of a segment that a body of n bytes takes. */
uint64_t spill_record_size(size_t n);

/* An empty segment, locked, 0600. 0 or a negative errno; -EPERM: the file system gives new files
 * to somebody else. */
int spill_file_create(struct spill_file **file, int directory, uint64_t sequence);

/* Takes over what a dead owner left, and finds what still waits in it. -EBUSY: its owner lives.
 * -EPERM: not a plain file of ours with one name; nothing is followed. Damage is skipped up to the
 * next sound head; *lost is then what it held, at the most. Damage at the end is cut off. */
int spill_file_adopt(struct spill_file **file, int directory, const struct spill_name *name,
		     uint64_t *lost);

/* One record at the end: 0 or a negative errno, and then nothing of it stays (or the file is
 * sealed). */
int spill_file_append(struct spill_file *file, const struct payload *p);

/* The oldest record that waits, the same one until spill_file_done(). False: none is left. */
bool spill_file_next(struct spill_file *file, struct spill_record *r);

/* Its body, head.length bytes: 0, -EBADMSG when it is not what was written, or another errno. */
int spill_file_body(const struct spill_file *file, const struct spill_record *r, char *body);

/* Will not be given out again, by no later owner either unless the mark cannot be written. */
void spill_file_done(struct spill_file *file, const struct spill_record *r);

/* Lets go of it; what still waits is for the next owner. */
void spill_file_close(struct spill_file *file);

/* The same, and the file is gone. */
void spill_file_remove(struct spill_file *file, int directory);

/* True when it has been unlinked by somebody else. */
bool spill_file_is_gone(const struct spill_file *file);

#endif
