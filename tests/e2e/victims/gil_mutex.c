/* SPDX-License-Identifier: Apache-2.0 */
/* A library for Python that sends with a mutex of its own held, and without the GIL; and wants that
 * mutex with the GIL held. Whoever asks for the GIL inside send() waits for ever. */
#include <pthread.h>
#include <sys/socket.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

long locked_send(int fd, const char *p, unsigned long n)
{
	long sent;

	pthread_mutex_lock(&mutex);
	sent = send(fd, p, n, 0);
	pthread_mutex_unlock(&mutex);
	return sent;
}

long locked_receive(int fd, char *p, unsigned long n)
{
	long got;

	pthread_mutex_lock(&mutex);
	got = recv(fd, p, n, MSG_DONTWAIT);
	pthread_mutex_unlock(&mutex);
	return got;
}

void lock_and_unlock(void)
{
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
}
