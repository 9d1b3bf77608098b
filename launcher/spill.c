/* SPDX-License-Identifier: Apache-2.0 */
/* The queue: which segment is written, which is read, and the bound. */
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/clock.h"
#include "launcher/spill.h"
#include "launcher/spill_directory.h"
#include "launcher/spill_file.h"

/* Each segment is a descriptor: it is the exporter that needs them. */
#define FILES_MAX     128
#define FILES_MIN     4
#define FILE_SIZE_MIN 4096
#define LOOK_AGAIN_NS 1000000000ull /* between two looks for what others left */
#define BUFFER_KEPT   (1u << 20)

struct spill {
	char *path;
	int directory;
	uint64_t max_bytes;
	uint64_t file_size; /* a segment that would grow beyond it is followed by another */
	unsigned files_max;

	struct spill_file *first, *last; /* oldest first */
	struct spill_file *writing;      /* the last one, or NULL: a new one is needed */
	unsigned count;
	uint64_t sequence; /* the highest one seen */
	uint64_t looked_at_ns;

	bool is_given;
	struct spill_file *given_from; /* NULL: dropped since */
	struct spill_record given;
	char *buffer; /* its body */
	size_t buffer_size;

	uint64_t waiting, bytes, dropped;
};

/* ---- segments ---- */

static void append_file(struct spill *s, struct spill_file *f)
{
	if (s->last)
		s->last->next = f;
	else
		s->first = f;
	s->last = f;
	s->count++;
	s->bytes += f->end;
	s->waiting += f->waiting_items;
}

/* Gives up the oldest segment and whatever still waits in it. A record that is out for delivery is
 * lost only if nobody pops it. */
static void drop_first(struct spill *s)
{
	struct spill_file *f = s->first;
	uint64_t lost = f->waiting_items;

	if (s->is_given && s->given_from == f) {
		lost -= s->given.head.items;
		s->given_from = NULL;
	}
	s->dropped += lost;
	s->waiting -= lost;
	s->bytes -= f->end;
	s->count--;
	s->first = f->next;
	if (s->last == f)
		s->last = NULL;
	if (s->writing == f)
		s->writing = NULL;
	spill_file_remove(f, s->directory);
}

static void make_room(struct spill *s, uint64_t need)
{
	while (s->first && s->bytes + need > s->max_bytes)
		drop_first(s);
}

static void adopt_one(struct spill *s, const struct spill_name *name, int *err)
{
	struct spill_file *f;
	uint64_t lost;

	*err = spill_file_adopt(&f, s->directory, name, &lost);
	if (*err)
		return;
	s->dropped += lost;
	if (f->waiting)
		append_file(s, f);
	else
		spill_file_remove(f, s->directory);
}

/* Takes over what dead owners left; only while there is nothing of our own, so that what is oldest
 * stands first. Half of the descriptors are left for new segments: the rest is for another time. */
static void adopt(struct spill *s)
{
	struct spill_names names;
	int err = 0;

	s->looked_at_ns = clock_monotonic_ns();
	spill_directory_list(s->directory, &names);
	if (names.count && names.all[names.count - 1].sequence > s->sequence)
		s->sequence = names.all[names.count - 1].sequence;
	for (size_t i = 0; i < names.count && s->count < s->files_max / 2; i++) {
		adopt_one(s, &names.all[i], &err);
		if (err == -EMFILE || err == -ENFILE || err == -ENOMEM)
			break;
	}
	free(names.all);
	/* Or many short lives would leave many short files. */
	if (s->last && !s->last->sealed)
		s->writing = s->last;
	make_room(s, 0);
}

/* ---- writing ---- */

static int begin_file(struct spill *s)
{
	struct spill_file *f;
	int err;

	err = spill_file_create(&f, s->directory, s->sequence + (s->sequence < UINT64_MAX));
	if (err)
		return err;
	s->sequence = f->name.sequence;
	append_file(s, f);
	s->writing = f;
	return 0;
}

/* Its path may lead elsewhere by now, or nowhere. */
static int find_directory(struct spill *s)
{
	int fd;

	if (spill_directory_is_at(s->directory, s->path))
		return 0;
	fd = spill_directory_open(s->path);
	if (fd < 0)
		return fd;
	close(s->directory);
	s->directory = fd;
	s->writing = NULL;
	return 0;
}

/* The segment that takes `need` bytes more. A size is a wish: rather a longer segment than none. */
static int find_file(struct spill *s, uint64_t need)
{
	struct spill_file *f = s->writing;
	int err;

	if (f && (f->sealed || spill_file_is_gone(f)))
		f = s->writing = NULL;
	if (f && (f->end + need <= s->file_size || s->count >= s->files_max))
		return 0;
	while (!f && s->count >= s->files_max)
		drop_first(s);
	err = begin_file(s);
	return f && (err == -EMFILE || err == -ENFILE) ? 0 : err;
}

static int keep(struct spill *s, const struct payload *p)
{
	const uint64_t need = spill_record_size(p->body.n);
	struct spill_file *f;
	int err;

	if (p->body.n > SPILL_BODY_MAX || need > s->max_bytes)
		return -EFBIG;
	err = find_directory(s);
	if (err)
		return err;
	make_room(s, need);
	err = find_file(s, need);
	if (err)
		return err;
	f = s->writing;
	err = spill_file_append(f, p);
	if (!err) {
		s->bytes += need;
		s->waiting += p->items;
	} else if (!f->waiting && s->first == f) {
		drop_first(s); /* an empty file helps nobody */
	}
	return err;
}

int spill_put(struct spill *s, const struct payload *p)
{
	int err = keep(s, p);

	if (err)
		s->dropped += p->items;
	return err;
}

/* ---- reading ---- */

static bool have_buffer(struct spill *s, size_t n)
{
	char *p;

	if (n <= s->buffer_size)
		return true;
	p = realloc(s->buffer, n);
	if (!p)
		return false;
	s->buffer = p;
	s->buffer_size = n;
	return true;
}

static void free_buffer(struct spill *s)
{
	free(s->buffer);
	s->buffer = NULL;
	s->buffer_size = 0;
}

static void forget_record(struct spill *s, struct spill_file *f, const struct spill_record *r)
{
	s->waiting -= r->head.items;
	spill_file_done(f, r);
	if (!f->waiting && s->first == f)
		drop_first(s);
}

/* Reads the next record that is sound. False: nothing waits, or there is no memory. */
static bool read_next(struct spill *s)
{
	struct spill_file *f;
	struct spill_record r;

	while ((f = s->first)) {
		if (!spill_file_next(f, &r)) {
			drop_first(s);
			continue;
		}
		if (!have_buffer(s, r.head.length))
			return false;
		if (spill_file_body(f, &r, s->buffer) == 0) {
			s->is_given = true;
			s->given_from = f;
			s->given = r;
			return true;
		}
		s->dropped += r.head.items;
		forget_record(s, f, &r);
	}
	return false;
}

bool spill_oldest(struct spill *s, struct payload *p)
{
	if (s->is_given && !s->given_from) { /* dropped, and not delivered either */
		s->waiting -= s->given.head.items;
		s->dropped += s->given.head.items;
		s->is_given = false;
	}
	if (!s->first && clock_monotonic_ns() - s->looked_at_ns >= LOOK_AGAIN_NS)
		adopt(s);
	if (!s->is_given && !read_next(s))
		return false;
	*p = (struct payload){
		.signal = s->given.head.signal,
		.encoding = s->given.head.encoding,
		.items = s->given.head.items,
		.body = { s->buffer, s->given.head.length },
	};
	return true;
}

void spill_pop(struct spill *s)
{
	if (!s->is_given)
		return;
	s->is_given = false;
	if (s->given_from)
		forget_record(s, s->given_from, &s->given);
	else
		s->waiting -= s->given.head.items;
	if (s->buffer_size > BUFFER_KEPT || !s->first)
		free_buffer(s);
}

/* ---- life ---- */

static void set_limits(struct spill *s, uint64_t max_bytes)
{
	struct rlimit files = { .rlim_cur = RLIM_INFINITY };
	rlim_t quarter;

	getrlimit(RLIMIT_NOFILE, &files);
	quarter = files.rlim_cur / 4;
	s->files_max = quarter > FILES_MAX   ? FILES_MAX
		       : quarter < FILES_MIN ? FILES_MIN
					     : (unsigned)quarter;
	s->max_bytes = max_bytes;
	s->file_size = max_bytes / (s->files_max / 2);
	if (s->file_size < FILE_SIZE_MIN)
		s->file_size = FILE_SIZE_MIN;
}

int spill_open(struct spill **out, const char *directory, uint64_t max_bytes)
{
	struct spill *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->path = strdup(directory);
	if (!s->path)
		goto free_spill;
	s->directory = spill_directory_open(directory);
	if (s->directory < 0) {
		err = s->directory;
		goto free_path;
	}
	set_limits(s, max_bytes);
	adopt(s);
	*out = s;
	return 0;
free_path:
	free(s->path);
free_spill:
	free(s);
	return err;
}

uint64_t spill_waiting_items(const struct spill *s)
{
	return s->waiting;
}

bool spill_is_waiting(const struct spill *s)
{
	const struct spill_file *f = s->first;

	while (f && !f->waiting)
		f = f->next;
	return f || s->is_given;
}

uint64_t spill_bytes(const struct spill *s)
{
	return s->bytes;
}

uint64_t spill_dropped_items(const struct spill *s)
{
	return s->dropped;
}

void spill_close(struct spill *s)
{
	struct spill_file *next;

	if (!s)
		return;
	for (struct spill_file *f = s->first; f; f = next) {
		next = f->next;
		spill_file_close(f);
	}
	close(s->directory);
	free_buffer(s);
	free(s->path);
	free(s);
}
