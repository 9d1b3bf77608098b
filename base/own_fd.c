/* SPDX-License-Identifier: Apache-2.0 */
/* A slot is one word: descriptor + 1 below, how many hold it above. Moving to another number is one
 * exchange of that word, so a reader sees the old number or the new one, both open until then. */
#include "base/own_fd.h"

#include <errno.h>
#include <linux/close_range.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include "base/clock.h"
#include "base/raw.h"
#include "base/thread.h"
#include "base/valgrind.h"

/* High, but below the table size that most processes have anyway: the kernel's table grows with
 * the highest number in use. */
#define HIGH_NUMBERS 1024
#define LOWEST       3 /* never standard input, output or error */
#define WAIT_NS      50000000
#define ONE_HOLDER   (1ull << 32)

static _Atomic uint64_t slots[OWN_FD_SLOTS];
static _Atomic uint32_t in_use; /* slots with a descriptor; usually none */
/* The same for the one thread that has its own table: number + 1, 0 none. Only it looks. */
static int own_table[OWN_FD_SLOTS];

static int fd_of(uint64_t word)
{
	return (int)(uint32_t)word - 1;
}

static uint64_t with_fd(uint64_t word, int fd)
{
	return (word & ~0xffffffffull) | (uint32_t)(fd + 1);
}

/* A second number for fd, as high as the limit allows up to HIGH_NUMBERS. */
static int duplicate_high(int fd)
{
	struct rlimit64 limit = { HIGH_NUMBERS, HIGH_NUMBERS };
	unsigned top, at;
	int high;

	raw_prlimit64(0, RLIMIT_NOFILE, NULL, &limit);
	top = limit.rlim_cur < HIGH_NUMBERS ? (unsigned)limit.rlim_cur : HIGH_NUMBERS;
	for (at = top - top / 32; at > LOWEST; at /= 2) {
		high = raw_fcntl(fd, F_DUPFD_CLOEXEC, at);
		if (high >= 0)
			return high;
	}
	return raw_fcntl(fd, F_DUPFD_CLOEXEC, LOWEST);
}

/* Puts fd (-1: none) into the slot when nobody holds what is in there, or after a while in any
 * case: a holder makes one non-blocking call, unless it is the thread we interrupted. Returns
 * what was there; `expected` (-1: any) makes it do nothing if something else is there. */
static int replace(enum own_fd_slot slot, int expected, int fd)
{
	uint64_t word = atomic_load_explicit(&slots[slot], memory_order_acquire);
	uint64_t deadline = 0;

	for (;;) {
		if (expected >= 0 && fd_of(word) != expected)
			return -1;
		if (word >= ONE_HOLDER && fd_of(word) >= 0) {
			uint64_t now = clock_monotonic_ns();

			if (!deadline)
				deadline = now + WAIT_NS;
			if (now < deadline) {
				raw_sched_yield();
				word = atomic_load_explicit(&slots[slot], memory_order_acquire);
				continue;
			}
		}
		if (atomic_compare_exchange_weak_explicit(&slots[slot], &word, with_fd(word, fd),
							  memory_order_acq_rel,
							  memory_order_acquire))
			break;
	}
	if (fd_of(word) < 0 && fd >= 0)
		atomic_fetch_add_explicit(&in_use, 1, memory_order_release);
	if (fd_of(word) >= 0 && fd < 0)
		atomic_fetch_sub_explicit(&in_use, 1, memory_order_release);
	return fd_of(word);
}

int own_fd_adopt(enum own_fd_slot slot, int fd)
{
	int high, before;

	if (thread_state.private_descriptors) {
		own_fd_close(slot);
		own_table[slot] = fd + 1;
		return fd;
	}
	high = duplicate_high(fd);
	raw_close(fd);
	if (high < 0)
		return high;
	before = replace(slot, -1, high);
	if (before >= 0)
		raw_close(before);
	return high;
}

int own_fd_get(enum own_fd_slot slot)
{
	uint64_t word = atomic_load_explicit(&slots[slot], memory_order_relaxed);

	if (thread_state.private_descriptors)
		return own_table[slot] - 1;
	while (fd_of(word) >= 0)
		if (atomic_compare_exchange_weak_explicit(&slots[slot], &word, word + ONE_HOLDER,
							  memory_order_acquire,
							  memory_order_relaxed))
			return fd_of(word);
	return -1;
}

void own_fd_put(enum own_fd_slot slot)
{
	uint64_t word = atomic_load_explicit(&slots[slot], memory_order_relaxed);

	if (thread_state.private_descriptors)
		return;
	/* A fork in between has already forgotten the holders. */
	while (word >= ONE_HOLDER)
		if (atomic_compare_exchange_weak_explicit(&slots[slot], &word, word - ONE_HOLDER,
							  memory_order_release,
							  memory_order_relaxed))
			return;
}

void own_fd_close(enum own_fd_slot slot)
{
	int fd;

	if (thread_state.private_descriptors) {
		fd = own_table[slot] - 1;
		own_table[slot] = 0;
	} else {
		fd = replace(slot, -1, -1);
	}
	if (fd >= 0)
		raw_close(fd);
}

void own_fd_disown(enum own_fd_slot slot)
{
	if (thread_state.private_descriptors)
		own_table[slot] = 0;
	else
		replace(slot, -1, -1);
}

bool own_fd_contains(int fd)
{
	return fd >= 0 && own_fd_next((unsigned)fd, (unsigned)fd) == fd;
}

void own_fd_evade(int fd)
{
	for (int i = 0; i < OWN_FD_SLOTS; i++) {
		int high;

		if (fd < 0 || fd_of(atomic_load_explicit(&slots[i], memory_order_acquire)) != fd)
			continue;
		high = duplicate_high(fd);
		if (replace((enum own_fd_slot)i, fd, high < 0 ? -1 : high) == fd)
			raw_close(fd);
		else if (high >= 0)
			raw_close(high);
	}
}

int own_fd_next(unsigned first, unsigned last)
{
	int lowest = -1;

	if (!atomic_load_explicit(&in_use, memory_order_acquire))
		return -1;
	for (int i = 0; i < OWN_FD_SLOTS; i++) {
		int fd = fd_of(atomic_load_explicit(&slots[i], memory_order_acquire));

		if (fd >= 0 && (unsigned)fd >= first && (unsigned)fd <= last &&
		    (lowest < 0 || fd < lowest))
			lowest = fd;
	}
	return lowest;
}

/* Neither call is missing or forbidden; asked while there is a way back. */
static bool may_fetch_descriptors(void)
{
	return !on_valgrind() && raw_prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0 &&
	       raw_pidfd_open(-1, 0) == -EINVAL && raw_pidfd_getfd(-1, 0, 0) == -EBADF;
}

static void close_sockets(void)
{
	for (int i = 0; i < OWN_FD_TRACES; i++)
		own_fd_close((enum own_fd_slot)i);
}

int own_fd_private(void)
{
	int number[OWN_FD_SLOTS], fetched[OWN_FD_SLOTS], err, self = -1;

	if (!may_fetch_descriptors())
		return -EPERM;
	/* What a flush on the program's threads has left open is closed where it was opened. */
	close_sockets();
	for (int i = 0; i < OWN_FD_SLOTS; i++)
		number[i] = own_fd_get((enum own_fd_slot)i); /* stays there while it is held */
	/* Nothing is copied, not for a moment: a socket that the program closes meanwhile would
	 * live on, and with it the registration in the program's epoll set. */
	err = raw_close_range(0, ~0u, CLOSE_RANGE_UNSHARE);
	if (!err)
		self = raw_pidfd_open(raw_getpid(), 0);
	for (int i = 0; i < OWN_FD_SLOTS; i++) {
		fetched[i] = self >= 0 && number[i] >= 0 ? raw_pidfd_getfd(self, number[i], 0) : -1;
		if (number[i] >= 0)
			own_fd_put((enum own_fd_slot)i);
	}
	if (err)
		return err;
	if (self >= 0)
		raw_close(self);
	for (int i = 0; i < OWN_FD_SLOTS; i++)
		own_table[i] = fetched[i] >= 0 ? fetched[i] + 1 : 0;
	thread_state.private_descriptors = true;
	return 0;
}

void own_fd_child(void)
{
	memset(own_table, 0, sizeof(own_table));
	for (int i = 0; i < OWN_FD_SLOTS; i++) {
		uint64_t word = atomic_load_explicit(&slots[i], memory_order_relaxed);

		atomic_store_explicit(&slots[i], (uint32_t)word, memory_order_relaxed);
	}
	close_sockets();
}
