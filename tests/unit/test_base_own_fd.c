/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <sys/socket.h>
#include <sched.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/own_fd.h"
#include "base/thread.h"
#include "base/raw.h"

#ifdef TAGALONG_SANITIZED
#define ROUNDS 300
#else
#define ROUNDS 3000
#endif

static int new_fd(void)
{
	int fd = raw_memfd_create("own-fd-test", 0);

	cr_assert_geq(fd, 0);
	return fd;
}

static bool is_open(int fd)
{
	return raw_fcntl(fd, F_GETFD, 0) >= 0;
}

Test(own_fd, moves_a_descriptor_to_a_high_number)
{
	int fd = new_fd(), high = own_fd_adopt(OWN_FD_EXPORT, fd);

	cr_assert_gt(high, 900);
	cr_assert(!is_open(fd));
	cr_assert_eq(raw_fcntl(high, F_GETFD, 0), FD_CLOEXEC);
	cr_assert(own_fd_contains(high));
	cr_assert(!own_fd_contains(fd));
	cr_assert(!own_fd_contains(-1));
	cr_assert_eq(own_fd_get(OWN_FD_EXPORT), high);
	own_fd_put(OWN_FD_EXPORT);
	own_fd_close(OWN_FD_EXPORT);
	cr_assert(!is_open(high));
	cr_assert(!own_fd_contains(high));
	cr_assert_eq(own_fd_get(OWN_FD_EXPORT), -1);
}

Test(own_fd, finds_a_number_under_any_limit)
{
	for (rlim_t n = 1024; n >= 32; n /= 2) {
		struct rlimit limit = { n, 1024 };
		int high;

		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		high = own_fd_adopt(OWN_FD_TRACES, new_fd());
		cr_assert_geq(high, 3, "limit %d: %d", (int)n, high);
		cr_assert_lt(high, (int)n);
		own_fd_close(OWN_FD_TRACES);
	}
}

Test(own_fd, closes_what_it_cannot_keep)
{
	struct rlimit limit, before;
	int fd = new_fd();

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = (struct rlimit){ 0, before.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_lt(own_fd_adopt(OWN_FD_TRACES, fd), 0);
	cr_assert(!is_open(fd));
	cr_assert_eq(own_fd_get(OWN_FD_TRACES), -1);
	cr_assert_eq(own_fd_adopt(OWN_FD_TRACES, 12345), -EBADF);
	setrlimit(RLIMIT_NOFILE, &before);
}

Test(own_fd, closes_what_the_slot_held_before)
{
	int one = own_fd_adopt(OWN_FD_LOG, new_fd()), two = own_fd_adopt(OWN_FD_LOG, new_fd());

	cr_assert_neq(one, two);
	cr_assert(!is_open(one));
	cr_assert(own_fd_contains(two));
	cr_assert(!own_fd_contains(one));
	own_fd_close(OWN_FD_LOG);
	cr_assert_eq(own_fd_next(0, ~0u), -1);
}

Test(own_fd, makes_way_for_dup2)
{
	int high = own_fd_adopt(OWN_FD_TRACES, new_fd()), moved;
	struct stat before, after;

	cr_assert_eq(fstat(high, &before), 0);
	own_fd_evade(high - 1);
	cr_assert(own_fd_contains(high));
	own_fd_evade(high);
	cr_assert(!is_open(high));
	moved = own_fd_get(OWN_FD_TRACES);
	cr_assert_geq(moved, 0);
	cr_assert_neq(moved, high);
	cr_assert_eq(fstat(moved, &after), 0);
	cr_assert_eq(before.st_ino, after.st_ino);
	cr_assert_eq(raw_fcntl(moved, F_GETFD, 0), FD_CLOEXEC);
	own_fd_put(OWN_FD_TRACES);
	own_fd_evade(-1);
}

Test(own_fd, lists_ours_for_close_range)
{
	int a = own_fd_adopt(OWN_FD_EXPORT, new_fd()), b = own_fd_adopt(OWN_FD_LOG, new_fd());
	int low = a < b ? a : b, high = a < b ? b : a;

	cr_assert_eq(own_fd_next(0, ~0u), low);
	cr_assert_eq(own_fd_next((unsigned)low + 1, ~0u), high);
	cr_assert_eq(own_fd_next((unsigned)low, (unsigned)low), low);
	cr_assert_eq(own_fd_next((unsigned)high + 1, ~0u), -1);
	cr_assert_eq(own_fd_next(0, (unsigned)low - 1), -1);
}

Test(own_fd, waits_for_a_holder_but_not_for_ever)
{
	int high = own_fd_adopt(OWN_FD_EXPORT, new_fd());
	uint64_t start;

	cr_assert_eq(own_fd_get(OWN_FD_EXPORT), high);
	start = clock_monotonic_ns();
	own_fd_evade(high);
	cr_assert_geq(clock_monotonic_ns() - start, 40000000u);
	cr_assert(!own_fd_contains(high));
	own_fd_put(OWN_FD_EXPORT);
	own_fd_put(OWN_FD_EXPORT); /* one too many does no harm */
	high = own_fd_get(OWN_FD_EXPORT);
	cr_assert_geq(high, 0);
	own_fd_put(OWN_FD_EXPORT);
	own_fd_close(OWN_FD_EXPORT);
}

static _Atomic bool done;
static _Atomic int misses;

/* Writes through the slot must always reach the file that was adopted. */
static void *write_through(void *arg)
{
	ino_t ino = *(ino_t *)arg;

	while (!atomic_load(&done)) {
		int fd = own_fd_get(OWN_FD_EXPORT);
		struct stat st;

		if (fd < 0 || raw_fstat(fd, &st) != 0 || st.st_ino != ino)
			atomic_fetch_add(&misses, 1);
		own_fd_put(OWN_FD_EXPORT);
		sched_yield();
	}
	return NULL;
}

Test(own_fd, is_never_mistaken_while_the_program_takes_its_number)
{
	int other = new_fd(), high = own_fd_adopt(OWN_FD_EXPORT, new_fd());
	pthread_t threads[2];
	struct stat st;
	ino_t ino;

	cr_assert_eq(fstat(high, &st), 0);
	ino = st.st_ino;
	for (int i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, write_through, &ino), 0);
	for (int i = 0; i < ROUNDS; i++) {
		high = own_fd_next(0, ~0u);
		cr_assert_geq(high, 3);
		own_fd_evade(high);
		cr_assert_eq(raw_dup2(other, high), high);
		cr_assert(!own_fd_contains(high));
		raw_close(high);
	}
	atomic_store(&done, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(misses, 0);
}

Test(own_fd, keeps_files_and_drops_sockets_in_a_child)
{
	int socket = own_fd_adopt(OWN_FD_EXPORT, new_fd());
	int file = own_fd_adopt(OWN_FD_TRACES, new_fd()), status;
	pid_t pid;

	cr_assert_eq(own_fd_get(OWN_FD_EXPORT), socket); /* another thread at the fork */
	pid = fork();
	if (pid == 0) {
		own_fd_child();
		if (is_open(socket) || own_fd_contains(socket))
			_exit(1);
		if (own_fd_get(OWN_FD_TRACES) != file || !is_open(file))
			_exit(2);
		own_fd_put(OWN_FD_EXPORT);
		_exit(own_fd_adopt(OWN_FD_EXPORT, new_fd()) >= 0 ? 0 : 3);
	}
	waitpid(pid, &status, 0);
	cr_assert_eq(status, 0);
	cr_assert(is_open(socket));
	own_fd_put(OWN_FD_EXPORT);
}

Test(own_fd, disowns_a_number_that_became_somebody_elses)
{
	int high = own_fd_adopt(OWN_FD_EXPORT, new_fd());

	own_fd_disown(OWN_FD_EXPORT);
	cr_assert(is_open(high));
	cr_assert_eq(own_fd_next(0, ~0u), -1);
	own_fd_disown(OWN_FD_EXPORT);
	cr_assert_eq(own_fd_next(0, ~0u), -1);
}

/* ---- a table of our own ---- */

struct private_run {
	int status;        /* of own_fd_private() */
	int socket;        /* number a new socket gets, adopted */
	bool sees_program; /* a descriptor of the program's is open there */
	bool same_file;    /* both of our files are what they were */
	int pipe_end;
	_Atomic bool ready, leave;
};

static bool is_device(enum own_fd_slot slot, const char *path)
{
	struct stat ours, wanted;
	int fd = own_fd_get(slot);
	bool same = fd >= 0 && fstat(fd, &ours) == 0 && stat(path, &wanted) == 0 &&
		    ours.st_rdev == wanted.st_rdev;

	if (fd >= 0)
		own_fd_put(slot);
	return same;
}

static void *run_private(void *arg)
{
	struct private_run *r = arg;
	int fd;

	thread_enter();
	r->status = own_fd_private();
	fd = (int)raw_socket(AF_INET, SOCK_STREAM, 0);
	r->socket = own_fd_adopt(OWN_FD_EXPORT, fd);
	r->sees_program = raw_fcntl(r->pipe_end, F_GETFD, 0) >= 0 && r->pipe_end != r->socket;
	r->same_file = is_device(OWN_FD_TRACES, "/dev/null") && is_device(OWN_FD_LOG, "/dev/zero");
	atomic_store(&r->ready, true);
	while (!atomic_load(&r->leave))
		sched_yield();
	own_fd_close(OWN_FD_EXPORT);
	return NULL;
}

Test(own_fd, private_table_takes_no_number_and_keeps_nothing_open, .timeout = 20)
{
	struct private_run r = { .status = -1 };
	int ends[2], opened, closed;
	pthread_t thread;
	char byte;

	/* Neighbours. */
	own_fd_adopt(OWN_FD_TRACES, open("/dev/null", O_WRONLY));
	own_fd_adopt(OWN_FD_LOG, open("/dev/zero", O_WRONLY));
	cr_assert_eq(pipe(ends), 0);
	r.pipe_end = ends[1];
	cr_assert_eq(pthread_create(&thread, NULL, run_private, &r), 0);
	while (!atomic_load(&r.ready))
		sched_yield();
	if (r.status == -EPERM || r.status == -ENOSYS || r.status == -EINVAL) {
		/* Allowed by the contract: an old kernel, a filtered process. */
		atomic_store(&r.leave, true);
		pthread_join(thread, NULL);
		return;
	}
	cr_assert_eq(r.status, 0);
	cr_assert_eq(r.socket, 0, "the first number that is free there");
	cr_assert(r.same_file);
	cr_assert_not(r.sees_program);
	cr_assert_not(own_fd_contains(0), "the program may close its own standard input");
	/* The number the program expects next is the one it gets. */
	opened = open("/dev/null", O_RDONLY);
	close(opened);
	closed = open("/dev/null", O_RDONLY);
	cr_assert_eq(opened, closed);
	/* The last writer goes: the reader sees the end although our thread lives on. */
	close(ends[1]);
	cr_assert_eq(read(ends[0], &byte, 1), 0);
	atomic_store(&r.leave, true);
	pthread_join(thread, NULL);
	close(closed);
	close(ends[0]);
}
