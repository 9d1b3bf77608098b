/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of bytes that are about to leave, in the connection as long as it is little:
 * see h2_ahead.h and h2_edit.h. */
#ifndef SHIM_H2_SENT_H
#define SHIM_H2_SENT_H

#include <stdbool.h>
#include <stdint.h>
#include "shim/block.h"

/* A header block that was decoded before it left. */
struct h2_ahead_entry {
	uint32_t stream, length;       /* of the block: what it is known by */
	uint32_t exchange, generation; /* whose context goes into it */
	uint32_t at, end;              /* the representation that is replaced */
	uint32_t list;                 /* size of the header list: RFC 9113 section 6.5.2 */
	uint16_t has;                  /* context fields the block has: bits of h2_fields.c */
	uint8_t action, form;
	bool ends;
};

#define H2_AHEAD_FEW 2 /* an answer and its trailers */
#define H2_AHEAD_MAX (BLOCK_SMALL / sizeof(struct h2_ahead_entry))

struct h2_ahead {
	uint32_t count;
	struct h2_ahead_entry *entry; /* oldest first: few, or a block */
	struct h2_ahead_entry few[H2_AHEAD_FEW];
};

/* Bytes that are replaced. */
struct h2_edit {
	uint32_t program;  /* offset of the replaced bytes from the image's beginning, as written */
	uint32_t image;    /* and in the image */
	uint32_t block;    /* where in the image its block begins */
	uint16_t del, ins; /* their number there and here */
};

#define H2_EDITS_FEW 2 /* the length of a frame, and what is put in */
#define H2_EDITS_MAX (BLOCK_SMALL / sizeof(struct h2_edit))

struct h2_edits {
	uint32_t covered; /* bytes of the program's that the image stands for */
	uint32_t total;   /* bytes of the image */
	uint32_t taken;   /* of `covered`, reported to the program as sent */
	uint32_t count;
	uint32_t block;       /* where in the image the last block begins */
	struct h2_edit *edit; /* few, or a block */
	struct h2_edit few[H2_EDITS_FEW];
};

#endif
