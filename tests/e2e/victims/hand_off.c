/* SPDX-License-Identifier: Apache-2.0 */
/* Readers and answerers are different threads: one thread a connection reads a request and puts it
 * on a queue; eight others call out and answer. hand_off PORT UPSTREAM. */
#include "relay.h"

#define QUEUE 1024

static struct job {
	int fd, id;
} queue[QUEUE];
static unsigned head, tail;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t some = PTHREAD_COND_INITIALIZER;
static int upstream;

static void put(int fd, int id)
{
	pthread_mutex_lock(&lock);
	queue[tail++ % QUEUE] = (struct job){ fd, id };
	pthread_cond_signal(&some);
	pthread_mutex_unlock(&lock);
}

static void *answerer(void *arg)
{
	for (;;) {
		struct job j;

		pthread_mutex_lock(&lock);
		while (head == tail)
			pthread_cond_wait(&some, &lock);
		j = queue[head++ % QUEUE];
		pthread_mutex_unlock(&lock);
		answer(j.fd, ask_upstream(upstream, j.id));
	}
	return arg;
}

static void *reader(void *arg)
{
	int fd = (int)(long)arg;
	char buf[4096];

	while (read_head(fd, buf, sizeof(buf)))
		put(fd, id_of(buf));
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t;
	int listener;

	if (argc < 3)
		return 2;
	upstream = atoi(argv[2]);
	listener = listen_on(atoi(argv[1]));
	for (int i = 0; i < 8; i++)
		pthread_create(&t, NULL, answerer, NULL);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0 && !pthread_create(&t, NULL, reader, (void *)(long)fd))
			pthread_detach(t);
	}
}
