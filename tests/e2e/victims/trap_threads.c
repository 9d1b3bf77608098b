/* SPDX-License-Identifier: Apache-2.0 */
/* Threads with little room: a stack of 16 KiB, and 1 MiB of thread-locals of the program's own. */
#include "trap.h"
#include <limits.h>

#ifdef TLS_MIB
static __thread char large[TLS_MIB << 20];
#endif

static void *work(void *arg)
{
	int a, b;

#ifdef TLS_MIB
	for (size_t i = 0; i < sizeof(large); i += 4096)
		large[i] = (char)i;
#endif
	(void)arg;
	connect_pair(&a, &b);
	for (int i = 0; i < 3; i++) {
		const char *text = request_text("thread");
		static __thread char p[512];

		CHECK(write(a, text, strlen(text)) > 0);
		/* Both ends are looked at: a server's exchange and a client's. */
		CHECK(read(b, p, sizeof(p)) > 0);
		CHECK(write(b, RESPONSE, strlen(RESPONSE)) > 0);
		read_response(a);
	}
	close(a);
	close(b);
	return NULL;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 10;
	size_t stack = argc > 2 ? (size_t)atoi(argv[2]) : 16384;
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	/* glibc wants the thread-locals inside the stack. */
#ifdef TLS_MIB
	stack += (size_t)TLS_MIB << 20;
#endif
	CHECK(pthread_attr_setstacksize(&attr, stack) == 0);
	for (int i = 0; i < rounds; i++) {
		pthread_t t[4];

		for (int k = 0; k < 4; k++)
			CHECK(pthread_create(&t[k], &attr, work, NULL) == 0);
		for (int k = 0; k < 4; k++)
			pthread_join(t[k], NULL);
	}
	printf("end\n");
	return 0;
}
