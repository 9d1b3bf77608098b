/* SPDX-License-Identifier: Apache-2.0 */
/* A heap with one lock, and a signal that comes while it is held: whoever needs memory in the
 * handler waits for the thread it has interrupted, which is itself. Here that is said, and the end.
 *	trap_heap	the handler makes a request, which needs none; afterwards the program does
 */
#include "storm.h"

static struct pair connection;
static bool held;

static void *take(size_t n)
{
	static _Alignas(64) char room[1 << 20];
	static size_t used;
	size_t at;

	if (held)
		wrong(__FILE__, __LINE__, "the heap is used in a handler while it is locked");
	held = true;
	at = used;
	used += (n + 63) & ~(size_t)63;
	held = false;
	return used <= sizeof(room) ? room + at : NULL;
}

void *malloc(size_t n)
{
	return take(n);
}

/* Memory is never given back: what is new is zero. */
void *calloc(size_t count, size_t n)
{
	return take(count * n);
}

void *realloc(void *p, size_t n)
{
	void *q = take(n);

	if (p && q) /* the old size is not known: what stands behind it comes along */
		memmove(q, p, n);
	return q;
}

void free(void *p)
{
	(void)p;
}

static void on_signal(int signal)
{
	(void)signal;
	round_trip(connection, "handler", 1);
}

int main(void)
{
	connection = unix_pair();
	CHECK(signal(SIGUSR1, on_signal) != SIG_ERR);
	held = true;
	CHECK(raise(SIGUSR1) == 0);
	held = false;
	round_trip(connection, "after", 1);
	say("end\n");
	return 0;
}
