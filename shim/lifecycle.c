/* SPDX-License-Identifier: Apache-2.0 */
/* What happens at a moment of the process's life: start, fork, exec, a filter, the end. */
#include <sys/auxv.h>
#include "base/clock.h"
#include "base/config.h"
#include "base/counters.h"
#include "base/environment.h"
#include "base/id.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/process.h"
#include "base/raw.h"
#include "base/thread.h"
#include "exporter/exporter.h"
#include "shim/block.h"
#include "shim/conn.h"
#include "shim/descriptors.h"
#include "shim/looks.h"
#include "shim/process_state.h"
#include "shim/route.h"
#include "shim/sampler.h"
#include "shim/stacktrace.h"
#include "shim/wire/traceparent.h"

#define STATS_LINE   3000
#define PROGRAM_PATH 4096
/* What we reserve (some 90 MiB, of which little is ever touched) counts against the limits of
 * `ulimit -v` and `ulimit -d`: below this it would be missed. */
#define LEAST_LIMIT (1ull << 30)
/* Room for all tables in one mapping; a table that has outgrown it has its own. */
#define TABLES_SIZE (88u << 20)

struct process_state process_state;
static bool active; /* false: passive (AT_SECURE, loaded twice, no memory) */
static bool page_is_wiped;
static _Atomic bool ended; /* flushed for the last time */

/* The file name of the program that runs. */
static struct bytes program_name(char room[static PROGRAM_PATH])
{
	ssize_t n = raw_readlinkat(AT_FDCWD, "/proc/self/exe", room, PROGRAM_PATH);
	struct bytes name = { room, n > 0 ? (size_t)n : 0 };

	for (size_t i = name.n; i > 0; i--)
		if (name.p[i - 1] == '/')
			return (struct bytes){ name.p + i, name.n - i };
	return name;
}

/* Proxies pass the headers they read on in the requests they write. */
static bool is_known_proxy(struct bytes name)
{
	static const struct bytes proxies[] = { BYTES("nginx"), BYTES("haproxy"),
						BYTES("httpd"), BYTES("apache2"),
						BYTES("envoy"), BYTES("varnishd"),
						BYTES("squid"), BYTES("traefik") };

	for (size_t i = 0; i < sizeof(proxies) / sizeof(proxies[0]); i++)
		if (bytes_equal(name, proxies[i]))
			return true;
	return false;
}

/* TRACEPARENT, TRACESTATE, BAGGAGE: the span this whole process is a part of (a CI step). */
static void read_parent(char **envp)
{
	static char texts[TRACESTATE_MAX + BAGGAGE_MAX];
	struct text t = { .p = texts, .size = TRACESTATE_MAX };
	struct text b = { .p = texts + TRACESTATE_MAX, .size = BAGGAGE_MAX };
	const char *parent = environment_get(envp, "TRACEPARENT");
	unsigned members = 0;

	if (!parent || traceparent_parse(&process_state.parent, bytes_of(parent)) < 0)
		return;
	process_state.has_parent = true;
	if (tracestate_append(&t, bytes_of(environment_get(envp, "TRACESTATE")), &members) == 0)
		process_state.parent_tracestate = text_bytes(&t);
	members = 0;
	baggage_append(&b, bytes_of(environment_get(envp, "BAGGAGE")), &members);
	process_state.parent_baggage = text_bytes(&b);
}

static bool memory_is_rationed(void)
{
	struct rlimit64 space = { RLIM64_INFINITY, RLIM64_INFINITY }, data = space;

	raw_prlimit64(0, RLIMIT_AS, NULL, &space);
	raw_prlimit64(0, RLIMIT_DATA, NULL, &data);
	return space.rlim_cur < LEAST_LIMIT || data.rlim_cur < LEAST_LIMIT;
}

static int make_tables(void)
{
	int err = memory_is_rationed() ? -ENOMEM : process_init(&page_is_wiped);

	if (err)
		return err;
	pool_reserve(TABLES_SIZE);
	err = block_init();
	if (!err)
		err = exchange_init();
	if (!err)
		err = conn_init();
	return err;
}

void shim_start(char **envp)
{
	char room[PROGRAM_PATH];
	struct bytes program = program_name(room);
	int err;

	/* Our own command: what it sends is no traffic of the user's. */
	if (bytes_equal(program, BYTES("tagalong")))
		return;
	clock_init();
	id_init();
	config_read(envp, NULL, NULL);
	log_init(config.log, (enum log_level)config.log_level);
	sampler_init();
	route_init();
	err = make_tables();
	if (err) {
		fd_table.size = 0;
		log_error("no memory for connection tables (error %d): nothing is traced", -err);
		return;
	}
	if (!config.disabled)
		exporter_init(envp);
	read_parent(envp);
	if (is_known_proxy(program))
		process_flag_set(forwards);
	stacktrace_init();
	active = true;
	descriptors_find_inherited();
}

static bool borrowed(void)
{
	return !active || thread_state.vfork_child || process_is_vm_child();
}

void shim_fork_child(void)
{
	bool inside;

	if (!active || thread_state.vfork_child)
		return;
	/* To start anew takes system calls. */
	if (!process_may_call()) {
		fd_table.size = 0;
		active = false;
		return;
	}
	if (!page_is_wiped)
		process_mark_child();
	if (!process_claim_child())
		return;
	inside = thread_state.depth != 0;
	thread_state = (struct thread_state){ .depth = 0 };
	id_init_child();
	counters_reset();
	atomic_store(&ended, false);
	exchange_forget_all();
	conn_fork_child();
	looks_fork_child();
	exporter_child(inside);
}

void shim_fork_parent(void)
{
	if (active)
		atomic_fetch_add_explicit(&process_state.forks, 1, memory_order_relaxed);
}

void shim_on_vm_child(void)
{
	if (active)
		process_flag_set(vm_children);
}

static bool may_flush(void)
{
	if (borrowed() || config.disabled || !process_may_call())
		return false;
	/* A child that has done nothing of its own has nothing to send. */
	return !process_is_new_child();
}

static void put_counter(void *arg, const char *name, uint64_t value)
{
	if (value)
		text_format(arg, " %s=%llu", name, (unsigned long long)value);
}

static void print_stats(void)
{
	static char line[STATS_LINE]; /* once a process: see shim_at_exit() */
	struct text t = TEXT_ON(line);

	counters_each(put_counter, &t);
	log_print(exporter_is_shared() ? "shared:%s" : "%s", text_string(&t));
}

/* It may fail, and then everything goes on: what is open is left so. If it succeeds nobody ends it,
 * and our counters are gone too: that many are open is said now. */
void shim_before_exec(void)
{
	uint32_t open;

	if (!may_flush())
		return;
	open = exchange_unfinished();
	if (open && config.stats)
		log_print(" exchanges_open_at_exec=%u", open);
	else
		count_add(exchanges_open_at_exec, open);
	exporter_flush(config.shutdown_timeout, false);
}

void shim_at_exit(void)
{
	if (!may_flush() || atomic_exchange(&ended, true))
		return;
	conn_end_all();
	count_add(spans_dropped_open, exchange_unfinished());
	exporter_flush(config.shutdown_timeout, true);
	if (config.stats)
		print_stats();
}

void shim_before_main_exit(void)
{
	if (active && !config.disabled && !borrowed() && !process_is_new_child())
		exporter_before_main_exit();
}

void shim_before_filter(bool every_thread)
{
	if (!active || config.disabled || borrowed())
		return;
	if (!process_is_new_child())
		exporter_flush(config.shutdown_timeout, false);
	exporter_park(every_thread, process_flag(listener) || conn_in_use() > 0);
	thread_id(); /* the last chance to ask: see may_look() */
	log_init(NULL, LOG_OFF);
	atomic_store(&process_filtered, true);
}
