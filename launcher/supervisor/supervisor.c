/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/supervisor/supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/config.h"
#include "base/counters.h"
#include "base/log.h"
#include "base/text.h"
#include "launcher/supervisor/fault.h"

#define QUEUE_MEMORY (32u << 20) /* of spans that wait for the receiver */
#define SOURCES_MAX  4096        /* processes at a time: others wait, and drop and count */
#define BEAT_MS      1000
#define FULL_MS      20 /* the queue is full: somebody may have taken from it */
#define NS_PER_MS    1000000ull
#define LOOK_NS      1000000000ull
#define NEED_NS      3000000000ull
#define STATS_LINE   3000
#define LOOK_EACH_NS 2000000ull /* with many processes more seldom: some system calls each */
#define BATCH_MEMORY (4u << 20)
#define END_NS       1000000000ull /* past the deadline, to put away what nobody will send */

int supervisor_init(struct supervisor *s)
{
	memset(&s->complaints, 0, sizeof(*s) - offsetof(struct supervisor, complaints));
	arena_init(&s->arena, BATCH_MEMORY);
	queue_init(&s->queue, QUEUE_MEMORY);
	pthread_mutex_init(&s->lock, NULL);
	fault_init();
	return sender_init(&s->sender, &s->queue);
}

/* ---- which processes there are ---- */

static struct source **find(struct supervisor *s, const char *name)
{
	struct source **at = &s->sources;

	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

static void meet(void *arg, const char *name)
{
	struct supervisor *s = arg;
	struct source **at = find(s, name), *new;
	int err;

	if (*at || s->count >= SOURCES_MAX)
		return;
	err = source_open(&new, &s->directory, name);
	if (!err) {
		pthread_mutex_lock(&s->lock);
		*at = new;
		pthread_mutex_unlock(&s->lock);
		s->count++;
		s->served++;
		queue_set_shares(&s->queue, s->count);
	} else if (err == -EAGAIN) {
		directory_look_again(&s->directory);
	} else if (err != -EBUSY && err != -ENOENT) {
		complain(&s->complaints,
			 "a file in %s is not what it should be (error %d): it is not read",
			 s->directory.path, -err);
	}
}

static void part(struct supervisor *s, struct source **at, bool keep)
{
	struct source *gone = *at;

	pthread_mutex_lock(&s->lock);
	*at = gone->next;
	pthread_mutex_unlock(&s->lock);
	s->count--;
	queue_set_shares(&s->queue, s->count);
	source_close(gone, &s->directory, keep);
}

static bool is_let_go(struct supervisor *s, struct source *one)
{
	bool yes;

	pthread_mutex_lock(&s->lock);
	yes = meter_lets_go(s->meter, one);
	pthread_mutex_unlock(&s->lock);
	return yes;
}

/* ---- taking ---- */

/* Whoever found the queue full is the first of the next round. */
static void begin_with(struct supervisor *s, const struct source *first)
{
	struct source **before = &s->sources, **last = before;

	pthread_mutex_lock(&s->lock);
	while (*before && *before != first)
		before = &(*before)->next;
	while (*last)
		last = &(*last)->next;
	if (*before && before != &s->sources) {
		*last = s->sources;
		s->sources = *before;
		*before = NULL;
	}
	pthread_mutex_unlock(&s->lock);
}

/* True when the queue is full. */
static bool take_all(struct supervisor *s, bool look)
{
	const struct source *full = NULL;

	for (struct source **at = &s->sources; *at;) {
		bool over = look && source_has_ended(*at);
		int n = source_take(*at, &s->queue, &s->arena, config.bsp_max_batch);

		if ((*at)->held_back)
			complain(&s->complaints,
				 "a process has its share of what waits for the receiver: it drops "
				 "and counts what comes faster than that is sent");
		if (n == -EAGAIN && (!full || full->held_back))
			full = *at;
		if (n == -EFAULT)
			complain(&s->complaints,
				 "a file in %s cannot be read any more: what it held is lost",
				 s->directory.path);
		if ((n == -EFAULT || (over && n != -EAGAIN)) && is_let_go(s, *at))
			part(s, at, false);
		else
			at = &(*at)->next;
	}
	if (full)
		begin_with(s, full);
	return full;
}

static bool time_to_look(struct supervisor *s)
{
	uint64_t now = clock_monotonic_ns(), each = s->count * LOOK_EACH_NS;

	if (now < s->look_ns)
		return false;
	s->look_ns = now + (each > LOOK_NS ? each : LOOK_NS);
	return true;
}

static bool look_round(struct supervisor *s, bool look)
{
	int err;

	directory_alive(&s->directory);
	err = directory_each(&s->directory, look, meet, s);
	if (err)
		complain(&s->complaints,
			 "%s cannot be read (error %d): what new processes leave there waits",
			 s->directory.path, -err);
	return take_all(s, look);
}

int supervisor_start(struct supervisor *s)
{
	s->meter = meter_start(&s->sources, &s->lock);
	return sender_start(&s->sender);
}

static void pause_ms(unsigned ms)
{
	const struct timespec t = { 0, (long)(ms * NS_PER_MS) };

	nanosleep(&t, NULL);
}

static bool has_ended(struct supervisor *s)
{
	uint64_t now = clock_monotonic_ns();

	if (atomic_load(&s->ending))
		return true;
	if (!s->lonely || now < s->need_ns)
		return false;
	s->need_ns = now + NEED_NS;
	return !supervisor_is_needed(s);
}

void supervisor_run(struct supervisor *s)
{
	while (!has_ended(s)) {
		uint32_t seen = directory_calls(&s->directory);

		if (look_round(s, time_to_look(s)))
			pause_ms(FULL_MS);
		else if (!atomic_load(&s->ending))
			directory_wait(&s->directory, seen, BEAT_MS);
	}
}

void supervisor_ask_end(struct supervisor *s)
{
	atomic_store(&s->ending, true);
	directory_wake(&s->directory);
}

bool supervisor_is_needed(struct supervisor *s)
{
	/* Of processes that have ended nothing but numbers is left. */
	for (const struct source *one = s->sources; one; one = one->next)
		if (!one->leaving_ns)
			return true;
	return directory_is_named(&s->directory);
}

/* ---- the end ---- */

void supervisor_flush(struct supervisor *s, uint64_t deadline_ns)
{
	while (look_round(s, true) && clock_monotonic_ns() < deadline_ns)
		pause_ms(FULL_MS);
	sender_flush(&s->sender, deadline_ns);
}

static void put_counter(void *arg, const char *name, uint64_t value)
{
	if (value)
		text_format(arg, " %s=%llu", name, (unsigned long long)value);
}

static void print_stats(const struct supervisor *s)
{
	char line[STATS_LINE];
	struct text t = TEXT_ON(line);

	counters_each(put_counter, &t);
	log_print("all of %u processes:%s", s->served, text_string(&t));
}

/* What a sender that is out of time leaves makes room for the rest. */
static void take_the_rest(struct supervisor *s, uint64_t deadline_ns)
{
	uint64_t now = 0;

	sender_hurry(&s->sender, deadline_ns);
	while (look_round(s, true) && now < deadline_ns + END_NS) {
		now = clock_monotonic_ns();
		if (now >= deadline_ns)
			sender_stop(&s->sender);
		pause_ms(FULL_MS);
	}
}

void supervisor_end(struct supervisor *s, uint64_t deadline_ns, bool keep)
{
	/* Rings that stay are as good a place to wait in. */
	if (!keep || !sender_is_failing(&s->sender))
		take_the_rest(s, deadline_ns);
	sender_end(&s->sender, deadline_ns);
	meter_end(s->meter, deadline_ns);
	s->meter = NULL;
	while (s->sources)
		part(s, &s->sources, keep);
	if (config.stats)
		print_stats(s);
	directory_leave(&s->directory, !keep);
}
