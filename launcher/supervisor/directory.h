/* SPDX-License-Identifier: Apache-2.0 */
/* The directory that is shared with the processes whose spans we export: exporter/shared_layout.h
 * says what lies in it. */
#ifndef LAUNCHER_SUPERVISOR_DIRECTORY_H
#define LAUNCHER_SUPERVISOR_DIRECTORY_H

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <time.h>
#include "exporter/shared_layout.h"

struct directory {
	char path[SHARED_PATH_MAX];
	int fd;    /* of the directory */
	int lock;  /* of the control file, locked as long as we live */
	bool ours; /* made by us for one tree of processes: goes with us */
	struct shared_control *control;
	struct timespec changed; /* when it had last changed at the last look; 0: look again */
};

/* A new one in shared memory for one tree of processes. As root it can be entered by those who drop
 * their privileges later, and listed by nobody else. 0 or a negative errno. */
int directory_create(struct directory *d);

/* Uses `path`, made if it is not there (mode 1777, for every process that can see it). -EBUSY:
 * another supervisor lives there; -EPERM: somebody else's file is in the place of ours. */
int directory_use(struct directory *d, const char *path);

/* From now on the calling process is its supervisor. */
void directory_serve(struct directory *d);

/* Shows that we live; returns when somebody calls, at the latest after ms. seen: what the wake word
 * was when the rings were last looked at. */
uint32_t directory_calls(const struct directory *d);
void directory_alive(struct directory *d);
void directory_wait(struct directory *d, uint32_t seen, unsigned ms);
void directory_wake(struct directory *d);

/* Calls fn for each process's file if any came or went since the last time (or `all`). Finished or
 * not: directory_look_again() has the next call see all of them again. 0, or -errno where the
 * directory could not be read; the next call tries again. */
void directory_look_again(struct directory *d);
int directory_each(struct directory *d, bool all, void (*fn)(void *arg, const char *name),
		   void *arg);

/* Whether a process still carries the directory's name in its environment, as far as we may know.
 */
bool directory_is_named(const struct directory *d);

/* We end. final: nobody comes after us. One of ours is removed with all that is in it. */
void directory_leave(struct directory *d, bool final);

#endif
