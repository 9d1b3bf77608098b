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

#define FILE_MAX   (512u << 20) /* a queue of a million spans needs less */
#define UNREADY_S  10           /* a file that its process did not finish */
#define IDLE_NS    600000000000ull
#define RETIRED_NS 2000000000ull /* no writer takes that long for a record */

/* ---- opening ---- */

/* Everything that is used later is copied now. */
static int read_head(struct source *s)
{
	const struct shared_file *f = s->file;
	size_t ring_at = f->ring_at, ring_size = f->ring_size, n = f->resource_size;
	static char packed[RESOURCE_PACKED_MAX];

	if (!atomic_load_explicit(&f->ready, memory_order_acquire))
		return -EAGAIN;
	if (f->magic != SHARED_MAGIC || f->version != SHARED_VERSION)
		return -EPROTO;
	if (ring_at < sizeof(*f) || ring_at % 4096 || ring_at > s->size ||
	    ring_size > s->size - ring_at || n > RESOURCE_PACKED_MAX)
		return -EPROTO;
	s->ring = (struct ring *)((char *)s->file + ring_at);
	s->ring_size = ring_size;
	if (!ring_check(s->ring, ring_size))
		return -EPROTO;
	memcpy(packed, f->resource, n);
	if (!resource_unpack(&s->owner->resource, (struct bytes){ packed, n }))
		return -EPROTO;
	s->pid = atomic_load_explicit(&f->owner.pid, memory_order_relaxed);
	s->pid_space = f->owner.pid_space;
	s->start_ticks = f->owner.start_ticks;
	return 0;
}

/* Of supervisors there is one in a directory; the process itself may have gone on alone. */
static int become_consumer(struct source *s, uint32_t token)
{
	uint32_t before = atomic_load(&s->file->consumer);

	if (before == SHARED_OWNER ||
	    !atomic_compare_exchange_strong(&s->file->consumer, &before, token))
		return -EBUSY;
	return 0;
}

static int attach(struct source *s, uint32_t token)
{
	sigjmp_buf here;
	int err;

	if (fault_begin(here))
		return -EFAULT;
	err = read_head(s);
	if (!err)
		err = become_consumer(s, token);
	fault_end();
	return err;
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
	free(s);
}

int source_open(struct source **out, struct directory *d, const char *name)
{
	struct source *s = calloc(1, sizeof(*s));
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
		err = attach(s, d->control->token);
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

static int take(struct source *s, struct queue *q, unsigned max_spans, unsigned call_at)
{
	struct parcel *p;
	int taken = 0;

	/* The head may have changed under us: a larger ring would reach past the mapping. */
	if (!ring_check(s->ring, s->ring_size))
		return -EFAULT;
	ring_set_wake(s->ring, call_at);
	while (queue_has_room(q) && (p = parcel_take(s->owner, s->ring, max_spans)) != NULL) {
		taken += (int)p->batch.count;
		queue_put(q, p);
	}
	if (taken)
		s->active_ns = clock_monotonic_ns();
	return queue_has_room(q) || !ring_waiting(s->ring) ? taken : -EAGAIN;
}

int source_take(struct source *s, struct queue *q, unsigned max_spans, unsigned call_at)
{
	sigjmp_buf here;
	int n;

	if (fault_begin(here))
		return -EFAULT;
	n = take(s, q, max_spans, call_at);
	fault_end();
	return n;
}

/* ---- the end ---- */

static bool retire(struct source *s, uint64_t now)
{
	sigjmp_buf here;

	if (s->retired_ns)
		return now - s->retired_ns > RETIRED_NS;
	if (now - s->active_ns < IDLE_NS || fault_begin(here))
		return false;
	atomic_store(&s->file->retired, 1);
	fault_end();
	s->retired_ns = now;
	return false;
}

bool source_has_ended(struct source *s)
{
	switch (alive_check(s->pid, s->pid_space, s->start_ticks)) {
	case ALIVE_YES:
		return false;
	case ALIVE_NO:
		return true;
	case ALIVE_UNKNOWN:
		break;
	}
	return retire(s, clock_monotonic_ns());
}

void source_close(struct source *s, struct directory *d, bool keep)
{
	sigjmp_buf here;

	if (!fault_begin(here)) {
		counters_add(atomic_load(&counters_place), &s->file->counters);
		fault_end();
	}
	if (!keep)
		unlinkat(d->fd, s->name, 0);
	source_free(s);
}
