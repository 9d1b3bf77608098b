/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/shared.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include "base/clock.h"
#include "base/id.h"
#include "base/own_fd.h"
#include "base/raw.h"
#include "base/text.h"
#include "exporter/alive.h"
#include "exporter/ring_layout.h"

#define PAGE         4096
#define LOOK_EVERY   1000000000ull
#define NAME_TRIES   8
#define PIECE        ((size_t)262144) /* of a file, given memory in one call */
#define PIECE_TRIES  1000
#define PAGES(n)     (((n) + PAGE - 1) & ~(size_t)(PAGE - 1))
#define CONTROL_SIZE PAGES(sizeof(struct shared_control))
#define HEAD_SIZE    PAGES(sizeof(struct shared_file))

bool shared_init(struct shared *s, const struct config *c)
{
	size_t n = bytes_of(c->shared_dir).n;

	memset(s, 0, sizeof(*s));
	if (!n || n >= SHARED_PATH_MAX)
		return false;
	memcpy(s->path, c->shared_dir, n);
	s->directory_n = n;
	return true;
}

static void hash(uint64_t *h, const char *text)
{
	do
		*h = (*h ^ (unsigned char)*text) * 1099511628211ull; /* FNV-1a */
	while (*text++);
}

uint64_t shared_destination(const struct config *c)
{
	uint64_t h = 14695981039346656037ull;

	if (!*c->otlp_endpoint && !*c->otlp_traces_endpoint && !*c->otlp_headers &&
	    !*c->traces_file && !c->traces_exporter_set)
		return 0;
	hash(&h, c->otlp_endpoint);
	hash(&h, c->otlp_traces_endpoint);
	hash(&h, c->otlp_headers); /* whose spans they are, with some receivers */
	hash(&h, c->traces_file);
	return (h ^ c->traces_exporter) | 1;
}

uint64_t shared_metrics_destination(const struct config *c)
{
	uint64_t h = 14695981039346656037ull;

	if (!(c->metrics_exporter & EXPORTER_OTLP) || !*c->otlp_metrics_endpoint)
		return 0;
	hash(&h, c->otlp_metrics_endpoint);
	return h | 1;
}

/* ---- the supervisor ---- */

static bool showed_itself(const struct shared_control *c, uint64_t now, uint64_t within_ns)
{
	return (int64_t)(now - atomic_load_explicit(&c->alive_ns, memory_order_relaxed)) <
	       (int64_t)within_ns;
}

/* UNKNOWN: it has not been seen for long, and cannot be looked for. */
static enum alive supervisor_state(const struct shared_control *c)
{
	uint32_t pid = atomic_load(&c->supervisor.pid);
	uint64_t now = clock_monotonic_ns();
	enum alive alive;

	if (!pid)
		return ALIVE_NO;
	if (showed_itself(c, now, SHARED_STALE_NS))
		return ALIVE_YES;
	alive = alive_check(pid, c->supervisor.pid_space, c->supervisor.start_ticks);
	if (alive == ALIVE_UNKNOWN && showed_itself(c, now, SHARED_LOST_NS))
		return ALIVE_YES;
	return alive;
}

/* ---- mapping ---- */

/* "/<name>" behind the directory's path. */
static const char *path_of(struct shared *s, const char *name, uint64_t number)
{
	struct text t = { .p = s->path, .n = s->directory_n, .size = sizeof(s->path) };
	uint8_t digits[8];

	text_put_char(&t, '/');
	text_put_string(&t, name);
	if (number) {
		memcpy(digits, &number, sizeof(digits));
		text_put_hex(&t, digits, sizeof(digits));
	}
	return text_string(&t);
}

/* Opens by a high number, which the program's close() leaves alone, for a few calls. */
static int open_own(const char *path, int flags, unsigned mode)
{
	int fd = raw_open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, mode);

	return fd < 0 ? fd : own_fd_adopt(OWN_FD_SHARED, fd);
}

/* In a directory that everybody may write to, anybody could pass for the supervisor. */
static int owner_check(struct shared *s, const struct stat *control)
{
	struct stat directory;
	char end = s->path[s->directory_n];
	int err;

	s->path[s->directory_n] = '\0';
	err = (int)raw_syscall6(SYS_newfstatat, AT_FDCWD, (long)s->path, (long)&directory, 0, 0, 0);
	s->path[s->directory_n] = end;
	if (err)
		return err;
	return control->st_uid == directory.st_uid || control->st_uid == 0 ? 0 : -EPERM;
}

static int control_check(const struct shared_control *control, const struct config *c)
{
	uint64_t wanted = shared_destination(c), metrics = shared_metrics_destination(c);

	if (control->magic != SHARED_MAGIC || control->layout != SHARED_LAYOUT)
		return -EPROTO;
	if ((wanted && wanted != control->destination) ||
	    (metrics && metrics != control->metrics_destination))
		return -EXDEV;
	return 0;
}

static int control_map(struct shared *s, const struct config *c)
{
	int fd = open_own(path_of(s, SHARED_CONTROL, 0), O_RDONLY, 0);
	struct stat st;
	void *p;
	int err;

	if (fd < 0)
		return fd;
	err = raw_fstat(fd, &st);
	if (!err && (st.st_size < (off_t)CONTROL_SIZE || !S_ISREG(st.st_mode)))
		err = -EPROTO;
	if (!err)
		err = owner_check(s, &st);
	p = err ? NULL : raw_mmap(NULL, CONTROL_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	own_fd_close(OWN_FD_SHARED);
	if (err || raw_is_error(p))
		return err ? err : -ENOMEM;
	err = control_check(p, c);
	if (err) {
		raw_munmap(p, CONTROL_SIZE);
		return err;
	}
	s->control = p;
	return 0;
}

/* What a limit on file sizes forbids would come with SIGXFSZ. */
static bool may_have(size_t size)
{
	struct rlimit64 limit = { RLIM64_INFINITY, RLIM64_INFINITY };

	raw_prlimit64(0, RLIMIT_FSIZE, NULL, &limit);
	return size <= limit.rlim_cur;
}

/* In pieces: a signal of the program's takes back the piece it came in, and comes again. */
static int allocate(int fd, size_t size)
{
	unsigned tries = 0;
	long err = 0;

	for (size_t at = 0; at < size && !err; at += PIECE) {
		size_t n = size - at < PIECE ? size - at : PIECE;

		do
			err = raw_syscall6(SYS_fallocate, fd, 0, (long)at, (long)n, 0, 0);
		while (err == -EINTR && tries++ < PIECE_TRIES);
	}
	return (int)err;
}

/* Writers stay in a record for less than the time between two files. */
static void use_file(struct shared *s, struct shared_file *f, size_t size)
{
	if (s->old)
		raw_munmap(s->old, s->old_size);
	s->old = s->file;
	s->old_size = s->size;
	s->file = f;
	s->size = size;
}

/* A new file of this size, all its memory there: afterwards no write to the mapping can find the
 * file system full, which would be SIGBUS in the program. */
static int file_make(struct shared *s, size_t size)
{
	int fd = -EEXIST, err;
	void *p = NULL;

	if (!may_have(size))
		return -EFBIG;
	for (int i = 0; fd == -EEXIST && i < NAME_TRIES; i++)
		fd = open_own(path_of(s, SHARED_PREFIX, id_random() | 1), O_RDWR | O_CREAT | O_EXCL,
			      s->control->file_mode & 0666);
	if (fd < 0)
		return fd;
	err = allocate(fd, size);
	if (!err)
		p = raw_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	own_fd_close(OWN_FD_SHARED);
	if (!err && raw_is_error(p))
		err = -ENOMEM;
	if (err)
		shared_unlink(s);
	else
		use_file(s, p, size);
	return err;
}

static void fill(struct shared *s, const struct config *c, const struct resource *r, size_t ring,
		 size_t metrics)
{
	struct shared_file *f = s->file;
	uint32_t pid = (uint32_t)raw_getpid();

	f->magic = SHARED_MAGIC;
	f->layout = SHARED_LAYOUT;
	f->ring_at = HEAD_SIZE;
	f->ring_size = (uint32_t)ring;
	f->metrics_at = metrics ? (uint32_t)(HEAD_SIZE + PAGES(ring)) : 0;
	f->metrics_size = (uint32_t)metrics;
	f->since_ns = clock_realtime_ns();
	f->owner.pid_space = ring_pid_space();
	f->owner.start_ticks = alive_start_ticks(pid);
	atomic_store_explicit(&f->owner.pid, pid, memory_order_relaxed);
	f->resource_size = (uint32_t)resource_pack(r, f->resource, sizeof(f->resource));
	ring_format(shared_ring(s), c->bsp_max_queue);
	/* The first span calls, until the supervisor has said when it wants to be. */
	ring_set_wake(shared_ring(s), 1);
	atomic_store_explicit(&f->ready, 1, memory_order_release);
}

int shared_open(struct shared *s, const struct config *c, const struct resource *r,
		size_t metrics_size)
{
	size_t ring = ring_size(c->bsp_max_queue);
	int err = s->control ? 0 : control_map(s, c);

	if (!err && supervisor_state(s->control) != ALIVE_YES)
		err = -ESRCH;
	if (err)
		return err;
	err = file_make(s, HEAD_SIZE + PAGES(ring) + PAGES(metrics_size));
	if (err)
		return err;
	fill(s, c, r, ring, metrics_size);
	counters_move(&s->file->counters);
	atomic_store_explicit(&s->look_again_ns, 0, memory_order_relaxed);
	shared_wake(s);
	return 0;
}

struct ring *shared_ring(const struct shared *s)
{
	return (struct ring *)((char *)s->file + HEAD_SIZE);
}

struct ring *shared_old_ring(const struct shared *s)
{
	return s->old ? (struct ring *)((char *)s->old + HEAD_SIZE) : NULL;
}

void *shared_metrics(const struct shared *s)
{
	return s->file->metrics_at ? (char *)s->file + s->file->metrics_at : NULL;
}

/* ---- while it is in use ---- */

bool shared_wake(const struct shared *s)
{
	_Atomic uint32_t *word = (_Atomic uint32_t *)(uintptr_t)&s->control->wake;

	return raw_futex(word, FUTEX_WAKE, 1, NULL) > 0;
}

void shared_leave(struct shared *s)
{
	uint32_t used = SHARED_USED;

	atomic_compare_exchange_strong(&s->file->use, &used, SHARED_LEFT);
}

static bool come_back(struct shared *s)
{
	uint32_t use = SHARED_LEFT;

	return atomic_compare_exchange_strong(&s->file->use, &use, SHARED_USED);
}

/* The consumer is read before its supervisor is looked for: one that starts in between shows itself
 * first and signs then. */
static enum shared_state look(struct shared *s)
{
	uint32_t consumer = atomic_load(&s->file->consumer);

	switch (supervisor_state(s->control)) {
	case ALIVE_YES:
		return SHARED_ATTENDED;
	case ALIVE_UNKNOWN:
		return SHARED_LOST;
	case ALIVE_NO:
		break;
	}
	return atomic_compare_exchange_strong(&s->file->consumer, &consumer, SHARED_OWNER)
		       ? SHARED_ADOPTED
		       : SHARED_ATTENDED;
}

enum shared_state shared_look(struct shared *s)
{
	uint64_t now = clock_monotonic_ns();
	uint64_t due = atomic_load_explicit(&s->look_again_ns, memory_order_relaxed);

	if (atomic_load_explicit(&s->file->use, memory_order_acquire) != SHARED_USED &&
	    !come_back(s))
		return SHARED_RETIRED;
	if (now < due || !atomic_compare_exchange_strong(&s->look_again_ns, &due, now + LOOK_EVERY))
		return SHARED_ATTENDED;
	return look(s);
}

void shared_unlink(struct shared *s)
{
	raw_syscall3(SYS_unlinkat, AT_FDCWD, (long)s->path, 0);
}

void shared_child(struct shared *s, bool may_unmap)
{
	if (s->file && may_unmap)
		raw_munmap(s->file, s->size);
	if (s->old && may_unmap)
		raw_munmap(s->old, s->old_size);
	s->file = s->old = NULL;
	s->size = s->old_size = 0;
	atomic_store_explicit(&s->look_again_ns, 0, memory_order_relaxed);
}
