/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that all come first: one makes the file, and what the others commit is in it. */
#include <pthread.h>
#include "exporter/exporter.h"
#include "shared_fixture.h"

enum { THREADS = 8, SPANS = 20, PROCESSES = 60 };

static struct shared_world world;
static pthread_barrier_t together;
static _Atomic unsigned refused, early;

static void *commit_main(void *arg)
{
	struct ring_writer w;

	pthread_barrier_wait(&together);
	exporter_start();
	/* What is answered from here on has a place, even if we are killed. */
	if (!exporter_is_shared())
		early++;
	for (uint32_t n = 0; n < SPANS; n++) {
		if (!exporter_begin(&w)) {
			refused++;
			continue;
		}
		write_record(&w.record, (uint8_t)(uintptr_t)arg, n);
		exporter_commit(&w);
	}
	return NULL;
}

/* In a process of its own, as nothing can be opened twice. */
static int commit_all(char **envp)
{
	pthread_t threads[THREADS];

	id_init_child();
	config_read(envp, NULL, NULL);
	if (exporter_init(envp))
		return 1;
	pthread_barrier_init(&together, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, commit_main, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	if (refused || early || !exporter_is_shared())
		return 2;
	return exporter_waiting() == THREADS * SPANS ? 0 : 3;
}

Test(supervised_threads, none_comes_too_early, .timeout = 120)
{
	char *envp[] = { "OTEL_SERVICE_NAME=unit", NULL, NULL };

	world_begin(&world);
	envp[1] = text_copy("TAGALONG_SHARED_DIR=%s", world.directory.path);
	for (unsigned i = 0; i < PROCESSES; i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			_exit(commit_all(envp));
		waitpid(pid, &status, 0);
		cr_assert_eq(status, 0, "%d", WEXITSTATUS(status));
	}
	cr_expect_eq(files_in(&world.directory), PROCESSES);
	world_end(&world);
}
