/* SPDX-License-Identifier: Apache-2.0 */
/* Reading segments, which may hold anything: written by a version with a mistake, torn by a power
 * failure, damaged by a disk. */
#include <errno.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "launcher/spill_file.h"
#include "launcher/spill_record.h"

#define BLOCK 16384
#define PAGE  4096
#define SEARCH_MAX \
	(64u << 20) /* of damage that is searched for a sound head; then the rest is lost */

_Static_assert(sizeof(struct spill_head) == 40, "no padding, and a multiple of eight");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "heads are written as they lie");

uint32_t spill_check(const void *p, size_t n)
{
	return (uint32_t)crc32_z(0, p, n);
}

uint32_t spill_head_check(const struct spill_head *head)
{
	const size_t from = offsetof(struct spill_head, nonce);

	return spill_check((const char *)head + from, sizeof(*head) - from);
}

uint64_t spill_record_size(size_t n)
{
	return sizeof(struct spill_head) + (((uint64_t)n + 7) & ~(uint64_t)7);
}

static bool is_sound(const struct spill_file *file, const struct spill_head *head)
{
	return head->nonce == file->name.nonce && head->check == spill_head_check(head) &&
	       head->length <= SPILL_BODY_MAX && head->signal <= OTLP_METRICS &&
	       head->encoding <= OTLP_JSON && head->zero == 0;
}

/* How much of n bytes could be read; a bad sector gives none. */
static size_t read_at(const struct spill_file *file, uint64_t at, void *to, size_t n)
{
	size_t got = 0;

	while (got < n) {
		ssize_t more = pread(file->fd, (char *)to + got, n - got, (off_t)(at + got));

		if (more < 0 && errno == EINTR)
			continue;
		if (more <= 0)
			break;
		got += (size_t)more;
	}
	return got;
}

/* Where in these bytes a sound head begins; n when there is none. */
static size_t search_block(const struct spill_file *file, const char *p, size_t n,
			   struct spill_head *head)
{
	for (size_t i = 0; i + sizeof(*head) <= n; i += 8) {
		if (memcmp(p + i + offsetof(struct spill_head, nonce), &file->name.nonce, 8) != 0)
			continue;
		memcpy(head, p + i, sizeof(*head));
		if (is_sound(file, head))
			return i;
	}
	return n;
}

/* The first sound head at `from`, which is where it should be, or behind it. */
static bool find_head(const struct spill_file *file, uint64_t from, uint64_t size,
		      struct spill_record *r)
{
	char block[BLOCK];
	uint64_t at = from;

	if (read_at(file, at, &r->head, sizeof(r->head)) == sizeof(r->head) &&
	    is_sound(file, &r->head)) {
		r->at = at;
		return true;
	}
	while (at < size && at - from < SEARCH_MAX) {
		size_t n = read_at(file, at, block, sizeof(block));
		size_t found = search_block(file, block, n, &r->head);

		if (found < n) {
			r->at = at + found;
			return true;
		}
		/* A head may begin in the last bytes; what cannot be read ends with its page. */
		if (n == sizeof(block))
			at += n - sizeof(r->head);
		else
			at = ((at + n) / PAGE + 1) * PAGE;
	}
	return false;
}

/* What lay between the end of one record and the head of the next, by their counts. Neither may be
 * believed beyond what the bytes could have held. */
static uint64_t missing(uint64_t counted, uint64_t before, uint64_t bytes)
{
	uint64_t n = before > counted ? before - counted : 0;

	return n < bytes ? n : bytes;
}

uint64_t spill_file_take_stock(struct spill_file *file)
{
	struct spill_record r;
	uint64_t lost = 0, size;
	struct stat st;
	bool torn = false;

	if (fstat(file->fd, &st) < 0)
		return 0;
	size = (uint64_t)st.st_size;
	while (file->end < size && find_head(file, file->end, size, &r)) {
		lost += missing(file->items, r.head.items_before, r.at - file->end);
		if (r.at + sizeof(r.head) + r.head.length > size) {
			lost += r.head.items;
			torn = true;
			break;
		}
		file->end = r.at + spill_record_size(r.head.length);
		file->items = r.head.items_before + r.head.items;
		if (r.head.mark == SPILL_WAITING) {
			file->waiting_items += r.head.items;
			file->waiting++;
		} else if (r.head.mark != SPILL_DELIVERED) {
			lost += r.head.items;
		}
	}
	if (file->end < size) {
		lost += !torn; /* one at the least */
		spill_file_cut(file);
	}
	return lost;
}

bool spill_file_next(struct spill_file *file, struct spill_record *r)
{
	while (file->at < file->end && find_head(file, file->at, file->end, r)) {
		file->at = r->at;
		if (r->at >= file->end)
			break;
		/* Never more than was counted, whatever has become of the file meanwhile. */
		if (r->head.mark == SPILL_WAITING && file->waiting &&
		    r->head.items <= file->waiting_items)
			return true;
		file->at += spill_record_size(r->head.length);
	}
	file->at = file->end;
	return false;
}

int spill_file_body(const struct spill_file *file, const struct spill_record *r, char *body)
{
	uint64_t at = r->at + sizeof(r->head);

	if (read_at(file, at, body, r->head.length) != r->head.length)
		return -EIO;
	return spill_check(body, r->head.length) == r->head.body_check ? 0 : -EBADMSG;
}
