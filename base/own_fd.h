/* SPDX-License-Identifier: Apache-2.0 */
/* The few descriptors that are ours inside somebody else's process: high numbers, CLOEXEC, and
 * safe from the program's close(), close_range() and dup2(). */
#ifndef BASE_OWN_FD_H
#define BASE_OWN_FD_H

#include <stdbool.h>

/* Sockets first. */
enum own_fd_slot {
	OWN_FD_EXPORT,
	OWN_FD_METRICS,
	OWN_FD_RESOLVE,
	OWN_FD_TRACES,
	OWN_FD_LOG,
	OWN_FD_SHARED,
	OWN_FD_SLOTS
};

/* Takes over fd: moves it to a high number (F_DUPFD_CLOEXEC; the old one is closed), remembers it;
 * what the slot held before is closed. The new number, or a negative errno (fd is then closed). */
int own_fd_adopt(enum own_fd_slot slot, int fd);

/* The descriptor for a short non-blocking call, or -1. While it is held a dup2() of the program
 * onto that number waits (bounded). Pair with own_fd_put(). */
int own_fd_get(enum own_fd_slot slot);
void own_fd_put(enum own_fd_slot slot);

/* Not while the calling thread itself holds it: that would wait for the bound. */
void own_fd_close(enum own_fd_slot slot);

/* Forgets the descriptor: its number has become somebody else's. */
void own_fd_disown(enum own_fd_slot slot);

/* True when fd is one of ours: the program's close() of it answers EBADF. One load in the usual
 * case that we hold none. */
bool own_fd_contains(int fd);

/* The program is about to take this number by dup2/dup3: ours moves out of the way. */
void own_fd_evade(int fd);

/* The lowest of our descriptors in [first, last], or -1: close_range() goes around them. */
int own_fd_next(unsigned first, unsigned last);

/* Gives the calling thread, which must be ours, a descriptor table of its own: empty but for our
 * files, so that it never takes a number the program expects next, holds nothing of the program's
 * open, and cannot be disturbed. From then on the functions above work on that table when this
 * thread calls them. Not for a thread that writes to the program's standard error. -EINVAL or
 * -ENOSYS before Linux 5.9, -EPERM where a seccomp filter is in place (an unusual system call could
 * be the program's end): the thread goes on with the shared table. */
int own_fd_private(void);

/* In a forked child, once: the threads that held any are gone; the sockets are the parent's and
 * closed here, files stay. */
void own_fd_child(void);

#endif
