/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/supervisor/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/config.h"
#include "base/id.h"
#include "base/raw.h"
#include "exporter/alive.h"
#include "exporter/ring_layout.h"
#include "exporter/shared.h"
#include "launcher/supervisor/sweep.h"

#define CONTROL_SIZE 4096
#define SETTLED_NS   100000000ull
#define LOOKS_MAX    5 /* at all processes, while they change */

_Static_assert(sizeof(struct shared_control) <= CONTROL_SIZE, "the control file is one page");

/* ---- making it ---- */

static int control_map(struct directory *d)
{
	void *p;

	if (ftruncate(d->lock, CONTROL_SIZE) < 0)
		return -errno;
	p = mmap(NULL, CONTROL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, d->lock, 0);
	if (p == MAP_FAILED)
		return -errno;
	d->control = p;
	return 0;
}

static int control_open(struct directory *d, unsigned mode)
{
	struct stat st;

	d->lock = openat(d->fd, SHARED_CONTROL,
			 O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode);
	if (d->lock < 0)
		return -errno;
	if (flock(d->lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (fstat(d->lock, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || st.st_nlink != 1)
		return -EPERM;
	/* Not for the umask to decide. */
	if (fchmod(d->lock, mode) < 0)
		return -errno;
	return control_map(d);
}

static int directory_open(struct directory *d, unsigned control_mode)
{
	struct stat st;
	int err;

	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0)
		return -errno;
	err = control_open(d, control_mode);
	if (err)
		return err;
	if (fstat(d->fd, &st) < 0)
		return -errno;
	/* Where the group is inherited it is what members of a pod have in common. */
	d->control->file_mode = st.st_mode & S_ISGID ? 0660 : 0600;
	return 0;
}

int directory_create(struct directory *d)
{
	static const char *const places[] = { "/dev/shm", "/run", "/tmp" };
	bool root = geteuid() == 0;
	int err = -ENOENT;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		*d = (struct directory){ .fd = -1, .lock = -1, .ours = true };
		sweep(places[i]);
		snprintf(d->path, sizeof(d->path), "%s/" SWEEP_NAME "XXXXXX", places[i]);
		if (!mkdtemp(d->path)) {
			err = -errno;
			continue;
		}
		/* Who has dropped root makes its file here, and sees no other's. */
		err = root && chmod(d->path, 01733) < 0 ? -errno : 0;
		if (!err)
			err = directory_open(d, root ? 0644 : 0600);
		if (!err)
			return 0;
		directory_leave(d, true);
	}
	return err;
}

/* For everybody's files. A group that is inherited stays: it is what the members of a pod have in
 * common. */
static int open_to_all(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 || chmod(path, 01777 | (st.st_mode & S_ISGID)) < 0)
		return -errno;
	return 0;
}

int directory_use(struct directory *d, const char *path)
{
	int err = 0;

	*d = (struct directory){ .fd = -1, .lock = -1 };
	if (path[0] != '/' || strlen(path) >= sizeof(d->path))
		return -EINVAL;
	snprintf(d->path, sizeof(d->path), "%s", path);
	if (mkdir(path, 0700) == 0)
		err = open_to_all(path);
	else if (errno != EEXIST)
		err = -errno;
	return err ? err : directory_open(d, 0644);
}

void directory_serve(struct directory *d)
{
	struct shared_control *c = d->control;
	uint32_t pid = (uint32_t)getpid();

	c->layout = SHARED_LAYOUT;
	c->destination = shared_destination(&config);
	c->metrics_destination = shared_metrics_destination(&config);
	c->supervisor.pid_space = ring_pid_space();
	c->supervisor.start_ticks = alive_start_ticks(pid);
	do
		c->token = (uint32_t)id_random();
	while (c->token == 0 || c->token == SHARED_OWNER);
	directory_alive(d);
	c->magic = SHARED_MAGIC;
	atomic_store(&c->supervisor.pid, pid);
}

static void remove_file(void *arg, const char *name)
{
	const struct directory *d = arg;

	unlinkat(d->fd, name, 0);
}

/* Also what no supervisor got to see: of a process that ended just now, or in the middle of making
 * its file, or that goes on by itself and cannot see the directory any more. */
static void remove_ours(struct directory *d)
{
	directory_each(d, true, remove_file, d);
	unlinkat(d->fd, SHARED_CONTROL, 0);
	rmdir(d->path);
}

void directory_leave(struct directory *d, bool final)
{
	if (d->control && final)
		atomic_store(&d->control->supervisor.pid, 0);
	if (d->ours && final)
		remove_ours(d);
	if (d->control)
		munmap(d->control, CONTROL_SIZE);
	if (d->lock >= 0)
		close(d->lock);
	if (d->fd >= 0)
		close(d->fd);
	*d = (struct directory){ .fd = -1, .lock = -1 };
}

/* ---- while it is served ---- */

uint32_t directory_calls(const struct directory *d)
{
	return atomic_load_explicit(&d->control->wake, memory_order_acquire);
}

void directory_alive(struct directory *d)
{
	atomic_store_explicit(&d->control->alive_ns, clock_monotonic_ns(), memory_order_relaxed);
}

void directory_wait(struct directory *d, uint32_t seen, unsigned ms)
{
	const struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	raw_futex(&d->control->wake, FUTEX_WAIT, seen, &t);
}

void directory_wake(struct directory *d)
{
	atomic_fetch_add(&d->control->wake, 1);
	raw_futex(&d->control->wake, FUTEX_WAKE, INT_MAX, NULL);
}

void directory_look_again(struct directory *d)
{
	d->changed = (struct timespec){ 0 };
}

/* What changes within the same tick of the file system's clock does not show. */
static bool is_settled(const struct timespec *changed)
{
	uint64_t at = (uint64_t)changed->tv_sec * 1000000000 + (uint64_t)changed->tv_nsec;

	return (int64_t)(clock_realtime_ns() - at) > (int64_t)SETTLED_NS;
}

int directory_each(struct directory *d, bool all, void (*fn)(void *arg, const char *name),
		   void *arg)
{
	const struct dirent *entry;
	struct stat st;
	int fd, err;
	DIR *dir;

	if (fstat(d->fd, &st) < 0)
		return -errno;
	if (!all && st.st_mtim.tv_sec == d->changed.tv_sec &&
	    st.st_mtim.tv_nsec == d->changed.tv_nsec)
		return 0;
	fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	d->changed = is_settled(&st.st_mtim) ? st.st_mtim : (struct timespec){ 0 };
	while ((entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, SHARED_PREFIX, sizeof(SHARED_PREFIX) - 1) == 0)
			fn(arg, entry->d_name);
	closedir(dir);
	return 0;
}

/* ---- who else may come ---- */

/* One look at all processes. */
struct look {
	char wanted[SHARED_PATH_MAX + 32];
	size_t n;
	uint64_t empty; /* sum of those without an environment: the kernel's own, and ended ones */
	bool gone;      /* one that was listed was no more when its turn came */
};

static bool names_it(struct look *l, const char *pid)
{
	static char room[131072];
	char path[64];
	ssize_t got = -1;
	int fd, err = 0;

	snprintf(path, sizeof(path), "/proc/%.20s/environ", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		got = read(fd, room, sizeof(room));
	if (got < 0)
		err = errno;
	if (fd >= 0)
		close(fd);
	if (err == ENOENT || err == ESRCH)
		l->gone = true;
	else if (got == 0)
		l->empty += strtoull(pid, NULL, 10);
	return got > 0 && memmem(room, (size_t)got, l->wanted, l->n) != NULL;
}

static bool anybody_names_it(struct look *l)
{
	const struct dirent *entry;
	DIR *proc = opendir("/proc");
	bool found = false;

	l->empty = 0;
	l->gone = false;
	while (proc && !found && (entry = readdir(proc)) != NULL)
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
		    atoi(entry->d_name) != getpid())
			found = names_it(l, entry->d_name);
	if (proc)
		closedir(proc);
	return found;
}

/* The list is older than the looks at those on it: who has ended in between, as daemons do on their
 * way, may have left a child that is not on it. */
bool directory_is_named(const struct directory *d)
{
	struct look l;
	uint64_t empty = 0;

	l.n = (size_t)snprintf(l.wanted, sizeof(l.wanted), "TAGALONG_SHARED_DIR=%s", d->path) + 1;
	for (unsigned i = 0; i < LOOKS_MAX; i++) {
		if (anybody_names_it(&l))
			return true;
		if (!l.gone && l.empty == empty)
			break;
		empty = l.empty;
	}
	return false;
}
