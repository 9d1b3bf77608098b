/* SPDX-License-Identifier: Apache-2.0 */
/* The parts a program writes, and the altered parts that go out in their place. */
#ifndef SHIM_VECTOR_H
#define SHIM_VECTOR_H

#include "shim/conn.h"

#define VECTOR_PARTS_MAX 1024 /* IOV_MAX: a legal vector must not become too long */

/* write() and send() take one buffer; the others a vector. */
bool vector_is_single(const struct shim_write *w);

/* Bytes an image needs behind it for this call's vector. */
size_t vector_room(const struct shim_write *w);

/* Whether the first n of the program's bytes may be read: base/readable.h. */
bool vector_readable(const struct shim_write *w, size_t n);

/* At most n bytes of the first part that is not empty; none if they cannot be read. Up to n of the
 * program's bytes in one piece. */
struct bytes vector_beginning(const struct shim_write *w, size_t n);
/* The last byte, or 0 when there is none. */
char vector_last(const struct shim_write *w);
size_t vector_copy(const struct shim_write *w, char *to, size_t n);

/* n of the program's bytes from its byte `from` on; false: they are not there, or cannot be read.
 */
bool vector_copy_at(const struct shim_write *w, size_t from, char *to, size_t n);

/* What is left of an image: its bytes [sent, end), room as far as `size`; the program's bytes go on
 * behind it from byte `skip` to `until`. */
struct image_rest {
	char *image;
	size_t size, sent, end, skip, until;
};
/* Lets w->iov be that, with as many of the program's bytes as a call of this kind can take. False:
 * it cannot be done (too many parts, no room). */
bool vector_offer_image(struct shim_write *w, const struct image_rest *r);
/* The program's bytes [from, to) alone; room: of vector_room() bytes, for calls that take a vector.
 */
void vector_offer_part(struct shim_write *w, size_t from, size_t to, void *room);
/* The image alone. */
void vector_offer_alone(struct shim_write *w, const struct image_rest *r);

/* Lets w->iov be what is left of the image followed by the program's bytes. False: it cannot be
 * done (too many parts, no room). */
bool vector_offer(struct shim_write *w, const struct alteration *a);

/* All that was offered has left, but not all of the program's: offers the rest, from its byte
 * `taken` on. */
bool vector_offer_rest(struct shim_write *w, size_t taken);

/* n bytes of the first part have left; goes on behind them. Always true. */
bool vector_advance(struct shim_write *w, size_t n);

/* The connection was closed while the call was under way: frees what iov points into. */
void vector_abandon(struct shim_write *w);

#endif
