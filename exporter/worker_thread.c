/* SPDX-License-Identifier: Apache-2.0 */
/* The only place that calls into the program's libc for more than data: weak, unversioned names,
 * which before glibc 2.34 live in a library that may be absent. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include "base/host_errno.h"
#include "exporter/worker.h"

#pragma weak pthread_create
#pragma weak pthread_attr_init
#pragma weak pthread_attr_setstacksize
#pragma weak pthread_attr_setdetachstate
#pragma weak pthread_attr_destroy
#pragma weak pthread_detach
#pragma weak pthread_sigmask
#pragma weak sigfillset

#define STACK_SIZE 65536

/* pthread_attr_t is 56 bytes here and elsewhere at most 64; more room costs nothing. */
union attributes {
	pthread_attr_t attr;
	char room[256];
};

static int create(void *(*run)(void *), void *arg, size_t stack_size)
{
	pthread_t thread;
	union attributes a;
	int err;

	memset(&a, 0, sizeof(a));
	if (!pthread_attr_init || !pthread_attr_setstacksize || !pthread_attr_setdetachstate ||
	    !pthread_attr_destroy) {
		err = pthread_create(&thread, NULL, run, arg);
		if (!err && pthread_detach)
			pthread_detach(thread);
		return err;
	}
	err = pthread_attr_init(&a.attr);
	if (err)
		return err;
	err = pthread_attr_setdetachstate(&a.attr, PTHREAD_CREATE_DETACHED);
	if (!err && stack_size)
		err = pthread_attr_setstacksize(&a.attr, stack_size);
	if (!err)
		err = pthread_create(&thread, &a.attr, run, arg);
	pthread_attr_destroy(&a.attr);
	return err;
}

int worker_thread_create(void *(*run)(void *), void *arg, bool small)
{
	sigset_t all, before;
	int err, program_errno;

	if (!pthread_create || !pthread_sigmask || !sigfillset)
		return -ENOSYS;
	program_errno = host_errno();
	/* The thread inherits this mask: the program's signals stay the program's. Not the raw
	 * call: libc leaves out the signals by which it makes every thread change its ids (setuid).
	 */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = create(run, arg, small ? STACK_SIZE : 0);
	/* Thread-locals of the program come out of the stack: they may need more than all of it. */
	if (err == EINVAL)
		err = create(run, arg, 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	host_errno_set(program_errno);
	return -err;
}
