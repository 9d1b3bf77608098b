/* SPDX-License-Identifier: Apache-2.0 */
/* A directory with this process as its supervisor, and as a process that shares spans with it. */
#ifndef UNIT_SHARED_FIXTURE_H
#define UNIT_SHARED_FIXTURE_H

#include "ring_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "base/config.h"
#include "base/id.h"
#include "exporter/alive.h"
#include "exporter/shared.h"
#include "launcher/supervisor/directory.h"

struct shared_world {
	struct directory directory;
	struct config config; /* of the process */
	struct resource resource;
	struct shared shared;
};

/* Good for some more calls. */
static inline char *text_copy(const char *format, const char *argument)
{
	static char room[16][512];
	static unsigned next;
	char *text = room[next++ % 16];

	snprintf(text, sizeof(room[0]), format, argument);
	return text;
}

/* As a process that finds the directory's name in its environment. */
static inline void world_join(struct shared_world *w, const char *path)
{
	char *envp[] = { "OTEL_SERVICE_NAME=unit", text_copy("TAGALONG_SHARED_DIR=%s", path),
			 NULL };

	w->config = config;
	w->config.shared_dir = text_copy("%s", path);
	resource_detect(&w->resource, envp);
	cr_assert(shared_init(&w->shared, &w->config));
}

static inline void world_begin(struct shared_world *w)
{
	char *none[] = { NULL };

	memset(w, 0, sizeof(*w));
	clock_init();
	id_init();
	config_read(none, NULL, NULL);
	cr_assert_eq(directory_create(&w->directory), 0);
	directory_serve(&w->directory);
	world_join(w, w->directory.path);
}

static inline int world_open(struct shared_world *w)
{
	return shared_open(&w->shared, &w->config, &w->resource, 0);
}

static inline void world_end(struct shared_world *w)
{
	directory_leave(&w->directory, true);
}

static inline void count_file(void *arg, const char *name)
{
	(void)name;
	++*(unsigned *)arg;
}

static inline unsigned files_in(struct directory *d)
{
	unsigned n = 0;

	directory_each(d, true, count_file, &n);
	return n;
}

/* A process that is another one, and dead. */
static inline void kill_supervisor(struct shared_world *w)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	atomic_store(&w->directory.control->supervisor.pid, (uint32_t)pid);
	atomic_store(&w->directory.control->alive_ns, 0);
}

#endif
