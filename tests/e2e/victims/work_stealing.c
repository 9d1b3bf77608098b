/* SPDX-License-Identifier: Apache-2.0 */
/* A pool as runtimes with tasks have it: eight threads, each with its own queue, taking from the
 * others when theirs is empty. A request is two tasks (read it, then call out and answer), and one
 * more thread polls idle connections. work_stealing PORT UPSTREAM. */
#include "relay.h"
#include <sys/epoll.h>

#define WORKERS 8
#define QUEUE   4096

struct task {
	int fd, id; /* id < 0: read the request first */
};

static struct worker {
	pthread_mutex_t lock;
	struct task task[QUEUE];
	unsigned head, tail;
} worker[WORKERS];
static pthread_mutex_t idle = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t some = PTHREAD_COND_INITIALIZER;
static unsigned tasks;
static int upstream, epfd, listener;

static void push(unsigned w, struct task t)
{
	pthread_mutex_lock(&worker[w].lock);
	worker[w].task[worker[w].tail++ % QUEUE] = t;
	pthread_mutex_unlock(&worker[w].lock);
	pthread_mutex_lock(&idle);
	tasks++;
	pthread_cond_signal(&some);
	pthread_mutex_unlock(&idle);
}

static bool pop(unsigned w, struct task *t)
{
	bool got = false;

	pthread_mutex_lock(&worker[w].lock);
	if (worker[w].head != worker[w].tail) {
		*t = worker[w].task[worker[w].head++ % QUEUE];
		got = true;
	}
	pthread_mutex_unlock(&worker[w].lock);
	return got;
}

static void run(unsigned w, struct task t)
{
	static unsigned turn;
	struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT, .data.fd = t.fd };
	char buf[4096];

	if (t.id < 0) {
		if (!read_head(t.fd, buf, sizeof(buf))) {
			close(t.fd);
			return;
		}
		/* The rest goes to some queue, often another thread's. */
		push(__atomic_add_fetch(&turn, 1, __ATOMIC_RELAXED) % 3 ? w : turn % WORKERS,
		     (struct task){ t.fd, id_of(buf) });
		return;
	}
	answer(t.fd, ask_upstream(upstream, t.id));
	epoll_ctl(epfd, EPOLL_CTL_MOD, t.fd, &e);
}

static void *work(void *arg)
{
	unsigned me = (unsigned)(long)arg;
	struct task t;

	for (;;) {
		bool got = false;

		pthread_mutex_lock(&idle);
		while (!tasks)
			pthread_cond_wait(&some, &idle);
		tasks--;
		pthread_mutex_unlock(&idle);
		for (unsigned i = 0; !got; i++)
			got = pop((me + i) % WORKERS, &t);
		run(me, t);
	}
	return NULL;
}

static void *accepter(void *arg)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT, .data.fd = fd };

		if (fd >= 0)
			epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e);
	}
	return arg;
}

int main(int argc, char **argv)
{
	struct epoll_event e[64];
	unsigned turn = 0;
	pthread_t t;

	if (argc < 3)
		return 2;
	upstream = atoi(argv[2]);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	for (long i = 0; i < WORKERS; i++) {
		pthread_mutex_init(&worker[i].lock, NULL);
		pthread_create(&t, NULL, work, (void *)i);
	}
	listener = listen_on(atoi(argv[1]));
	pthread_create(&t, NULL, accepter, NULL);
	for (;;) {
		int n = epoll_wait(epfd, e, 64, -1);

		for (int i = 0; i < n; i++)
			push(turn++ % WORKERS, (struct task){ e[i].data.fd, -1 });
	}
}
