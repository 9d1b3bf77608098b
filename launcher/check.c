/* SPDX-License-Identifier: Apache-2.0 */
/* `tagalong check`: the smoke test of a pipeline. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "launcher/check.h"
#include "launcher/command.h"
#include "launcher/trace_file.h"

#define LOOK_AGAIN_MS 100

enum {
	CHECK_EXPECT,
	CHECK_MIN_SPANS,
	CHECK_NO_ERRORS,
	CHECK_NO_ORPHANS,
	CHECK_TRACE_ID,
	CHECK_WAIT,
	CHECK_QUIET
};

static const struct verb_option check_options[] = {
	[CHECK_EXPECT] = { "expect", "CHAIN",
			   "services by parent links, 'nginx > api > users'; may be repeated",
			   'e' },
	[CHECK_MIN_SPANS] = { "min-spans", "N", "the trace has at least N spans", 0 },
	[CHECK_NO_ERRORS] = { "no-errors", NULL, "no span of the trace is an error", 0 },
	[CHECK_NO_ORPHANS] = { "no-orphans", NULL, "every parent named in the trace is in the file",
			       0 },
	[CHECK_TRACE_ID] = { "trace-id", "ID", "look only at the trace whose id begins so", 't' },
	[CHECK_WAIT] = { "wait", "SECONDS", "read again until it holds, so long at most", 'w' },
	[CHECK_QUIET] = { "quiet", NULL, "print nothing, only exit", 'q' },
	{ 0 },
};

struct check {
	const char *path;
	struct conditions conditions;
	long wait_ms;
	bool quiet;
	struct trace_store store;
	struct trace_file file;
};

static void print_verdict(const struct check *check, const struct verdict *verdict)
{
	struct screen screen;
	char id[TRACE_ID_TEXT + 1] = "";

	if (check->quiet)
		return;
	screen_open(&screen, stdout);
	if (check->file.damaged)
		printf("%lu damaged line%s skipped\n", check->file.damaged,
		       check->file.damaged == 1 ? "" : "s");
	if (verdict->trace) {
		hex_string(id, verdict->trace->id, 16);
		if (verdict->holds)
			printf("trace %s\n", id);
		else
			printf("the nearest of %lu trace%s:\n\n", verdict->candidates,
			       verdict->candidates == 1 ? "" : "s");
		conditions_report(&check->conditions, &check->store, verdict, &screen);
	}
	screen_colour(&screen, verdict->holds ? COLOUR_OK : COLOUR_ERROR);
	fputs(verdict->holds ? "check holds" : "check FAILED", stdout);
	screen_colour(&screen, COLOUR_NONE);
	if (verdict->trace)
		fputs(verdict->holds ? "" : ": no trace meets all conditions", stdout);
	else if (check->store.trace_count)
		printf(": no trace %s among the %u in %s", check->conditions.trace_id,
		       check->store.trace_count, check->path);
	else if (check->file.fd < 0)
		printf(": %s does not exist: was anything traced?", check->path);
	else
		printf(": %s holds no spans", check->path);
	if (!verdict->holds && check->wait_ms)
		printf(" (waited %.3g s)", (double)check->wait_ms / 1000);
	putchar('\n');
}

/* Reads and judges until it holds or the time is over. Negative errno when the file fails us. */
static int judge(struct check *check, struct verdict *verdict)
{
	uint64_t end = now_ms() + (uint64_t)check->wait_ms;
	uint32_t before = UINT32_MAX;

	for (;;) {
		bool over = now_ms() >= end;
		int err = trace_file_read_all(&check->file);

		if (err)
			return err;
		over = over || (check->file.ends && check->file.fd >= 0);
		if (over)
			trace_file_finish(&check->file);
		if (check->store.span_count != before)
			*verdict = conditions_judge(&check->conditions, &check->store);
		before = check->store.span_count;
		if (verdict->holds || over)
			return 0;
		poll(NULL, 0, LOOK_AGAIN_MS);
	}
}

static int check_file(struct check *check)
{
	struct verdict verdict = { 0 };
	int err;

	trace_store_init(&check->store);
	err = trace_file_open(&check->file, check->path, &check->store, true);
	if (!err)
		err = judge(check, &verdict);
	if (err) {
		complain_usage("%s: %s", check->path, strerror(-err));
		return EXIT_USAGE;
	}
	print_verdict(check, &verdict);
	trace_file_close(&check->file);
	trace_store_free(&check->store);
	while (check->conditions.expectation_count)
		expectation_free(
			&check->conditions.expectations[--check->conditions.expectation_count]);
	return verdict.holds ? EXIT_HOLDS : EXIT_DOES_NOT_HOLD;
}

static int add_expectation(struct conditions *c, const char *text)
{
	const char *wrong;

	if (c->expectation_count == EXPECTATIONS_MAX)
		return usage_error(&verb_check, "more than %d times --expect", EXPECTATIONS_MAX);
	wrong = expectation_parse(&c->expectations[c->expectation_count], text);
	if (wrong)
		return usage_error(&verb_check, "--expect '%s': %s", text, wrong);
	c->expectation_count++;
	return 0;
}

static int set_option(struct check *check, int option, const char *value)
{
	struct conditions *c = &check->conditions;
	char *end;

	switch (option) {
	case CHECK_EXPECT:
		return add_expectation(c, value);
	case CHECK_MIN_SPANS:
		c->min_spans = strtoul(value, &end, 10);
		if (*value < '0' || *value > '9' || *end || !c->min_spans)
			return usage_error(&verb_check, "--min-spans wants a number, not '%s'",
					   value);
		break;
	case CHECK_NO_ERRORS:
		c->no_errors = true;
		break;
	case CHECK_NO_ORPHANS:
		c->no_orphans = true;
		break;
	case CHECK_TRACE_ID:
		if (!*value || strlen(value) > TRACE_ID_TEXT ||
		    strspn(value, "0123456789abcdefABCDEF") != strlen(value))
			return usage_error(&verb_check, "'%s' is no trace id", value);
		c->trace_id = value;
		break;
	case CHECK_WAIT:
		check->wait_ms = parse_seconds(value);
		if (check->wait_ms < 0)
			return usage_error(&verb_check, "--wait wants seconds, not '%s'", value);
		break;
	case CHECK_QUIET:
		check->quiet = true;
		break;
	}
	return 0;
}

static int check_main(int argc, char **argv)
{
	struct arguments a = { .verb = &verb_check, .argc = argc, .argv = argv };
	struct check check = { 0 };
	const struct conditions *c = &check.conditions;
	int option;

	while ((option = arguments_next(&a)) != ARGUMENT_END) {
		if (option == ARGUMENT_STOP)
			return a.status;
		if (option == ARGUMENT_OPERAND && check.path)
			return usage_error(&verb_check,
					   "one file at a time, not also '%s' (a chain "
					   "stands in quotes)",
					   a.value);
		if (option == ARGUMENT_OPERAND)
			check.path = a.value;
		else if (set_option(&check, option, a.value))
			return EXIT_USAGE;
	}
	if (!check.path)
		return usage_error(&verb_check, "which file? (- is standard input)");
	if (!c->expectation_count && !c->min_spans && !c->no_errors && !c->no_orphans &&
	    !c->trace_id)
		return usage_error(&verb_check, "nothing is asked: --expect 'nginx > api'?");
	return check_file(&check);
}

const struct verb verb_check = {
	.name = "check",
	.arguments = "FILE --expect 'A > B > C' [conditions]",
	.summary =
		"Check that one trace of an OTLP-JSON-lines file is as expected: a smoke test for "
		"continuous integration.",
	.details =
		"All conditions must hold in one and the same trace. 'nginx > api > users' wants a "
		"span of nginx, below it one of api, below that one of users; several spans of one "
		"service in a row are one step, no other service may stand between. A step may be "
		"a "
		"glob: 'nginx > *'.\n"
		"\n"
		"Exit status: 0 it holds, 1 it does not (the nearest trace is shown, and where it "
		"breaks), 2 a mistake in the command line or a file that cannot be read.",
	.options = check_options,
	.usage_status = EXIT_USAGE,
	.main = check_main,
};
