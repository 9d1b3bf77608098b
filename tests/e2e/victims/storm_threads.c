/* SPDX-License-Identifier: Apache-2.0 */
/* Threads begun and ended by the thousand, each with a request: storm_threads THREADS [detached].
 */
#include "storm.h"

#define TOGETHER 8

static _Atomic int left;

static void *run(void *arg)
{
	struct pair p = unix_pair();

	round_trip(p, "brief", (unsigned)(long)arg);
	close_pair(p);
	left--;
	return NULL;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1000;
	bool detached = argc > 2;
	pthread_t t[TOGETHER];

	left = n;
	for (long i = 0; i < n; i++) {
		if (!detached && i >= TOGETHER)
			CHECK(pthread_join(t[i % TOGETHER], NULL) == 0);
		while (detached && left - (n - i) >= TOGETHER)
			sched_yield();
		t[i % TOGETHER] = thread(run, (void *)i);
		if (detached)
			CHECK(pthread_detach(t[i % TOGETHER]) == 0);
	}
	for (long i = n < TOGETHER ? 0 : n - TOGETHER; !detached && i < n; i++)
		CHECK(pthread_join(t[i % TOGETHER], NULL) == 0);
	while (left)
		sched_yield();
	say("end\n");
	return 0;
}
