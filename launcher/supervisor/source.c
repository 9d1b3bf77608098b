/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/supervisor/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "exporter/alive.h"
#include "exporter/ring_layout.h"
#include "launcher/supervisor/fault.h"

#define FILE_MAX  (512u << 20) /* a queue of a million spans needs less */
#define UNREADY_S 10           /* a file that its process did not finish */
#define IDLE_NS   600000000000ull
#define LEFT_NS   1500000000ull /* an exec that fails does so sooner */
#define CLOSED_NS 2000000000ull /* no writer takes that long for a record */
#define ROUND     16384         /* spans of one process before the others' turn */

/* ---- opening ---- */

/* Of our own size, or none. */
static void find_metrics(struct source *s)
{
	size_t at = s->file->metrics_at, size = s->file->metrics_size;

	if (at && at % 4096 == 0 && size == request_metrics_size() && at <= s->size &&
	    size <= s->size - at)
		s->metrics = (const void *)((const char *)s->file + at);
}

/* Everything that is used later is copied now. */
static int read_head(struct source *s)
{
	const struct shared_file *f = s->file;
	size_t ring_at = f->ring_at, ring_size = f->ring_size, n = f->resource_size;
	static char packed[RESOURCE_PACKED_MAX];

	if (!atomic_load_explicit(&f->ready, memory_order_acquire))
		return -EAGAIN;
	if (f->magic != SHARED_MAGIC || f->layout != SHARED_LAYOUT)
		return -EPROTO;
	if (ring_at < sizeof(*f) || ring_at % 4096 || ring_at > s->size ||
	    ring_size > s->size - ring_at || n > RESOURCE_PACKED_MAX)
		return -EPROTO;
	s->ring = (struct ring *)((char *)s->file + ring_at);
	s->ring_size = ring_size;
	if (!ring_check(s->ring, ring_size))
		return -EPROTO;
	find_metrics(s);
	memcpy(packed, f->resource, n);
	if (!resource_unpack(&s->owner->resource, (struct bytes){ packed, n }))
		return -EPROTO;
	s->pid = atomic_load_explicit(&f->owner.pid, memory_order_relaxed);
	s->pid_space = f->owner.pid_space;
	s->start_ticks = f->owner.start_ticks;
	s->since_ns = f->since_ns;
	return 0;
}

/* Of supervisors there is one in a directory; the process itself may have gone on alone. */
static int become_consumer(struct source *s, uint32_t token)
{
	uint32_t before = atomic_load(&s->file->consumer), lost;

	if (before == SHARED_OWNER ||
	    !atomic_compare_exchange_strong(&s->file->consumer, &before, token))
		return -EBUSY;
	/* Whoever came before was killed, or has told that all is settled. */
	lost = shared_in_hand(s->file, s->ring);
	count_add(spans_dropped_supervisor, lost);
	s->settled_before = atomic_load(&s->file->settled) + lost;
	atomic_store(&s->file->settled, s->settled_before);
	s->settled_told = s->settled_before;
	return 0;
}

struct attachment {
	struct source *source;
	uint32_t token;
};

static int attach(void *arg)
{
	const struct attachment *a = arg;
	int err = read_head(a->source);

	return err ? err : become_consumer(a->source, a->token);
}

static int map(struct source *s, const struct directory *d)
{
	int fd = openat(d->fd, s->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), err = 0;
	struct stat st;
	void *p;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_size > FILE_MAX)
		err = -EPROTO;
	else if (st.st_size < (off_t)sizeof(struct shared_file))
		err = -EAGAIN;
	if (err == -EAGAIN && time(NULL) - st.st_mtime > UNREADY_S)
		err = -EPROTO;
	if (!err) {
		s->size = (size_t)st.st_size;
		p = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p == MAP_FAILED)
			err = -errno;
		else
			s->file = p;
	}
	close(fd);
	return err;
}

static void source_free(struct source *s)
{
	if (s->file)
		munmap(s->file, s->size);
	owner_put(s->owner);
	free(s->past);
	free(s);
}

int source_open(struct source **out, struct directory *d, const char *name)
{
	struct source *s = calloc(1, sizeof(*s));
	struct attachment a = { s, d->control->token };
	int err = -ENOMEM;

	if (!s)
		return -ENOMEM;
	s->owner = calloc(1, sizeof(*s->owner));
	if (!s->owner)
		goto fail;
	atomic_store(&s->owner->references, 1);
	snprintf(s->name, sizeof(s->name), "%s", name);
	err = map(s, d);
	if (!err)
		err = fault_guard(attach, &a);
	if (err)
		goto fail;
	s->active_ns = clock_monotonic_ns();
	*out = s;
	return 0;
fail:
	source_free(s);
	return err;
}

/* ---- draining ---- */

struct collection {
	const struct source *source;
	struct arena *arena;
	struct batch batch;
	unsigned max_spans;
};

/* What is copied is ours to answer for; the program may go on. The number of spans. */
static int collect(void *arg)
{
	struct collection *c = arg;
	struct ring *r = c->source->ring;

	/* The head may have changed under us: a larger ring would reach past the mapping. */
	if (!ring_check(r, c->source->ring_size))
		return -EFAULT;
	ring_set_wake(r, c->max_spans);
	batch_collect(&c->batch, c->arena, r, c->max_spans, PARCEL_BYTES);
	ring_done(r, (uint32_t)c->batch.count);
	return (int)c->batch.count;
}

static int tell_settled(void *arg)
{
	struct source *s = arg;

	atomic_store(&s->file->settled, s->settled_told);
	return 0;
}

/* If we are killed, somebody has to count what we have in hand. */
static void settle(struct source *s)
{
	uint32_t now = s->settled_before + atomic_load(&s->owner->settled);

	if (now == s->settled_told)
		return;
	s->settled_told = now;
	fault_guard(tell_settled, s);
}

static void drop_batch(struct source *s, const struct batch *b)
{
	count_add(spans_dropped_memory, b->count);
	atomic_fetch_add(&s->owner->settled, (uint32_t)b->count);
}

static int tell_held_back(void *arg)
{
	struct source *s = arg;

	atomic_store(&s->file->held_back, s->held_back);
	return 0;
}

/* What its process drops from now on it counts as spans_dropped_share. */
static bool holds_back(struct source *s, struct queue *q)
{
	bool yes = queue_holds_back(q, s->owner);

	if (yes != s->held_back) {
		s->held_back = yes;
		fault_guard(tell_held_back, s);
	}
	return yes;
}

static int take_one(struct source *s, struct queue *q, struct arena *a, unsigned max_spans)
{
	struct collection c = { .source = s, .arena = a, .max_spans = max_spans };
	int n = fault_guard(collect, &c);
	struct parcel *p;

	if (n > 0) {
		p = parcel_new(s->owner, &c.batch);
		if (p)
			queue_put(q, p);
		else
			drop_batch(s, &c.batch);
		s->active_ns = clock_monotonic_ns();
	}
	arena_reset(a);
	return n;
}

int source_take(struct source *s, struct queue *q, struct arena *a, unsigned max_spans)
{
	int taken = 0, n;

	settle(s);
	do {
		if (holds_back(s, q) || !queue_has_room(q) || taken >= ROUND)
			return -EAGAIN;
		n = take_one(s, q, a, max_spans);
		taken += n > 0 ? n : 0;
	} while (n > 0);
	return n < 0 ? n : taken;
}

/* ---- the end ---- */

struct end {
	struct source *source;
	uint64_t now;
	bool process_lives, keep;
};

static void close_file(struct source *s, uint32_t from, uint64_t now)
{
	if (atomic_compare_exchange_strong(&s->file->use, &from, SHARED_CLOSED))
		s->closed_ns = now;
}

static int close_what_is_left(void *arg)
{
	const struct end *e = arg;
	struct source *s = e->source;

	if (atomic_load(&s->file->use) != SHARED_LEFT)
		s->left_ns = 0;
	else if (!s->left_ns)
		s->left_ns = e->now;
	else if (e->now - s->left_ns > LEFT_NS)
		close_file(s, SHARED_LEFT, e->now);
	if (!e->process_lives && e->now - s->active_ns > IDLE_NS)
		close_file(s, SHARED_USED, e->now);
	return 0;
}

bool source_has_ended(struct source *s)
{
	enum alive alive = alive_check(s->pid, s->pid_space, s->start_ticks);
	struct end e = { .source = s,
			 .now = clock_monotonic_ns(),
			 .process_lives = alive == ALIVE_YES };

	if (alive == ALIVE_NO)
		return true;
	if (s->closed_ns) /* and the process has had the time to see it */
		return e.now - s->closed_ns > CLOSED_NS;
	fault_guard(close_what_is_left, &e);
	return false;
}

/* A supervisor that another one follows leaves the file, and what it has reported of it. */
static int report(void *arg)
{
	const struct end *e = arg;
	const struct source *s = e->source;
	struct counters now = { 0 }, news = { 0 };

	counters_add(&now, &s->file->counters);
	counters_add(&news, &now);
	counters_take(&news, &s->file->reported);
	counters_add(atomic_load(&counters_place), &news);
	if (e->keep)
		memcpy(&s->file->reported, &now, sizeof(now));
	else if (ring_check(s->ring, s->ring_size))
		count_add(spans_dropped_exit, ring_waiting(s->ring));
	return 0;
}

void source_close(struct source *s, struct directory *d, bool keep)
{
	struct end e = { .source = s, .keep = keep };

	settle(s);
	fault_guard(report, &e);
	if (!keep)
		unlinkat(d->fd, s->name, 0);
	source_free(s);
}
