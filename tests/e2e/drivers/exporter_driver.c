/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter alone, led by lines on standard input, so that a test can put it in front of any
 * receiver. Each command answers with one line:
 *   start | commit N [NAME] | flush MS | end MS | counters | memory | fork | chroot 0 DIR | quit */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/config.h"
#include "base/counters.h"
#include "base/id.h"
#include "base/log.h"
#include "base/process.h"
#include "exporter/exporter.h"

extern char **environ;

static unsigned commit(unsigned n, const char *name)
{
	unsigned done = 0;

	for (unsigned i = 0; i < n; i++) {
		struct ring_writer w;

		if (!exporter_begin(&w))
			continue;
		w.record.head->kind = SPAN_SERVER;
		w.record.head->trace_flags = 1;
		id_new_trace(w.record.head->trace_id);
		id_new_span(w.record.head->span_id, ID_SERVER);
		w.record.head->start_ns = clock_realtime_ns() - 1000000;
		w.record.head->end_ns = clock_realtime_ns();
		record_put(&w.record, RECORD_NAME, bytes_of(name));
		record_put(&w.record, ATTRIBUTE_HTTP_REQUEST_METHOD, BYTES("GET"));
		record_put(&w.record, ATTRIBUTE_URL_PATH, BYTES("/users/4711"));
		record_put_int(&w.record, ATTRIBUTE_HTTP_RESPONSE_STATUS_CODE, 200);
		exporter_commit(&w);
		done++;
	}
	return done;
}

#define VALUES 128

struct snapshot {
	const char *name[VALUES];
	uint64_t value[VALUES];
	unsigned n;
};

static void note(void *arg, const char *name, uint64_t value)
{
	struct snapshot *s = arg;

	s->name[s->n] = name;
	s->value[s->n++] = value;
}

static void take_snapshot(struct snapshot *s)
{
	memset(s, 0, sizeof(*s));
	note(s, "waiting", exporter_waiting());
	counters_each(note, s);
}

/* The numbers of one moment: looked at twice, until nothing moved in between. */
static void print_counters(void)
{
	struct snapshot first, second;

	take_snapshot(&second);
	do {
		first = second;
		usleep(2000);
		take_snapshot(&second);
	} while (memcmp(&first, &second, sizeof(first)) != 0);
	for (unsigned i = 0; i < first.n; i++)
		printf("%s\"%s\": %llu", i ? ", " : "{", first.name[i],
		       (unsigned long long)first.value[i]);
	printf("}\n");
}

/* Resident kilobytes that are not of files. */
static void print_memory(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	unsigned long kilobytes = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "RssAnon: %lu", &kilobytes);
	if (f)
		fclose(f);
	printf("%lu\n", kilobytes);
}

/* A child that commits one span of its own and ends. */
static void fork_one(void)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		process_claim_child();
		counters_reset();
		id_init_child();
		exporter_child(false);
		commit(1, "child");
		exporter_start();
		exporter_flush(5000, true);
		_exit(counted(spans_exported) == 1 ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	printf("%d\n", status);
}

static void obey(const char *line)
{
	char command[32] = "", name[4096] = "GET /users/{id}";
	unsigned n = 0;

	sscanf(line, "%31s %u %4095[^\n]", command, &n, name);
	if (strcmp(command, "commit") == 0)
		printf("%u\n", commit(n, name));
	else if (strcmp(command, "counters") == 0)
		print_counters();
	else if (strcmp(command, "memory") == 0)
		print_memory();
	else if (strcmp(command, "fork") == 0)
		fork_one();
	else if (strcmp(command, "start") == 0)
		exporter_start(), printf("ok\n");
	else if (strcmp(command, "flush") == 0)
		exporter_flush(n, false), printf("ok\n");
	else if (strcmp(command, "end") == 0)
		exporter_flush(n, true), printf("ok\n");
	else if (strcmp(command, "chroot") == 0)
		printf("%d\n", chroot(name));
	else
		printf("what?\n");
	fflush(stdout);
}

int main(void)
{
	char line[8192];
	bool wiped;

	clock_init();
	process_init(&wiped);
	config_read(environ, NULL, NULL);
	id_init();
	printf("%d\n", exporter_init(environ));
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n") != 0)
		obey(line);
	return 0;
}
