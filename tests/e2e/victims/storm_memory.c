/* SPDX-License-Identifier: Apache-2.0 */
/* What an allocator is asked for while requests are made: storm_memory THREADS [leave]. Threads
 * take and give back memory, hand blocks to each other and make requests; `leave`: the process ends
 * in the middle of it. */
#include "storm.h"
#include <malloc.h>

#define SLOTS 64

static void *_Atomic slot[SLOTS];
static bool leaves;

static void *run(void *arg)
{
	unsigned seed = (unsigned)(long)arg;
	struct pair p = unix_pair();

	for (unsigned i = 0; leaves || i < 400; i++) {
		size_t n = 1 + (size_t)rand_r(&seed) % (i % 50 ? 2000 : 300000);
		char *m = i % 3 ? malloc(n) : calloc(1, n);

		CHECK(m);
		m[0] = m[n - 1] = 1;
		free(atomic_exchange(&slot[(unsigned)rand_r(&seed) % SLOTS], m));
		if (i % 16 == 0)
			round_trip(p, "allocated", i);
	}
	close_pair(p);
	return NULL;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 4;
	pthread_t t[16];

	CHECK(n <= 16);
	leaves = argc > 2;
	say("begin\n");
	for (long i = 0; i < n; i++)
		t[i] = thread(run, (void *)(i + 1));
	if (leaves) {
		round_trip(tcp_pair(), "last", 0);
		return 7;
	}
	for (int i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	say("end\n");
	return 0;
}
