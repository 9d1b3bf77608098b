/* SPDX-License-Identifier: Apache-2.0 */
/* 1 MiB of thread-locals, of which every page is used: storm_tls THREADS. */
#include "storm.h"

#define SIZE (1 << 20)

static __thread unsigned char large[SIZE];

static void *run(void *arg)
{
	struct pair p = tcp_pair();
	unsigned char mark = (unsigned char)(long)arg;

	for (size_t i = 0; i < SIZE; i += 1024)
		large[i] = mark;
	for (unsigned i = 0; i < 4; i++)
		round_trip(p, "large", i);
	for (size_t i = 0; i < SIZE; i++)
		CHECK(large[i] == (i % 1024 ? 0 : mark));
	close_pair(p);
	return NULL;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 4;
	pthread_t t[16];

	CHECK(n <= 16);
	run((void *)255);
	for (long i = 0; i < n; i++)
		t[i] = thread(run, (void *)(i + 1));
	for (int i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	say("end\n");
	return 0;
}
