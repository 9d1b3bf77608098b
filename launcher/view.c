/* SPDX-License-Identifier: Apache-2.0 */
/* `tagalong view`: the traces of a file as waterfalls. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "launcher/command.h"
#include "launcher/trace_file.h"
#include "launcher/waterfall.h"

/* Each process sends its spans on its own, a second late at most by default: a trace is drawn when
 * its root is there and nothing came for longer than that. */
#define SETTLE_MS       1500
#define SETTLE_ROOTLESS 3 /* times as long */
#define FOLLOW_STEP_MS  100
#define FORGET_SPANS    20000 /* following, drawn traces are forgotten from here on */

enum {
	VIEW_TRACE_ID,
	VIEW_SERVICE,
	VIEW_ERRORS,
	VIEW_LAST,
	VIEW_FOLLOW,
	VIEW_SETTLE,
	VIEW_WIDTH,
	VIEW_COLOUR,
	VIEW_ASCII
};

static const struct verb_option view_options[] = {
	[VIEW_TRACE_ID] = { "trace-id", "ID", "only the trace whose id begins so", 't' },
	[VIEW_SERVICE] = { "service", "NAME", "only traces that touch this service", 's' },
	[VIEW_ERRORS] = { "errors", NULL, "only traces with an error", 'e' },
	[VIEW_LAST] = { "last", "N", "only the last N traces", 'n' },
	[VIEW_FOLLOW] = { "follow", NULL, "wait for more, and draw each trace as it completes",
			  'f' },
	[VIEW_SETTLE] = { "settle", "SECONDS",
			  "with --follow: a trace is complete when its root is there and nothing "
			  "came for so long (1.5)",
			  0 },
	[VIEW_WIDTH] = { "width", "COLUMNS", "draw so wide, whatever the terminal", 'w' },
	[VIEW_COLOUR] = { "color", "WHEN", "auto, always or never", 0 },
	[VIEW_ASCII] = { "ascii", NULL, "no characters but ASCII", 0 },
	{ 0 },
};

struct view {
	const char *path, *service, *trace_id;
	bool errors, follow;
	unsigned long last; /* 0: all */
	long settle_ms;
	struct screen screen;
	struct trace_store store;
	struct trace_file file;
	unsigned long drawn;
};

static bool id_begins(const struct trace *trace, const char *prefix)
{
	char id[TRACE_ID_TEXT + 1];

	hex_string(id, trace->id, 16);
	return strncasecmp(id, prefix, strlen(prefix)) == 0;
}

static bool is_wanted(const struct view *view, const struct trace *trace)
{
	bool service = !view->service, error = !view->errors;

	if (view->trace_id && !id_begins(trace, view->trace_id))
		return false;
	for (uint32_t s = trace->first; s != NO_INDEX; s = view->store.spans[s].next) {
		const struct span *span = &view->store.spans[s];

		error = error || span->error;
		service = service || strcmp(span->service, view->service) == 0;
	}
	return service && error;
}

static void draw(struct view *view, const struct trace *trace)
{
	struct trace_tree tree;

	if (view->drawn++)
		fputc('\n', view->screen.out);
	trace_tree_build(&tree, &view->store, trace);
	waterfall_draw(&view->screen, &tree);
	trace_tree_free(&tree);
}

/* Draws what is wanted among the given traces, oldest first. */
static void draw_all(struct view *view, bool (*ready)(const struct view *, const struct trace *))
{
	uint32_t *order = trace_store_sorted(&view->store), kept = 0, first = 0;

	for (uint32_t i = 0; i < view->store.trace_count; i++) {
		struct trace *trace = &view->store.traces[order[i]];

		if (trace->done || (ready && !ready(view, trace)))
			continue;
		trace->done = true;
		if (is_wanted(view, trace))
			order[kept++] = order[i];
	}
	if (view->last && kept > view->last)
		first = kept - (uint32_t)view->last;
	for (uint32_t i = first; i < kept; i++)
		draw(view, &view->store.traces[order[i]]);
	fflush(view->screen.out);
	free(order);
}

static bool has_settled(const struct view *view, const struct trace *trace)
{
	uint64_t quiet = now_ms() - trace->touched_ms;

	return quiet >= (uint64_t)view->settle_ms * (trace->has_root ? 1 : SETTLE_ROOTLESS);
}

static void report_damage(void *arg, unsigned long line, const char *what)
{
	(void)arg;
	complain_usage("line %lu skipped: %s", line, what);
}

/* Waits for a pipe; files have to be looked at again and again. */
static void wait_for_more(const struct view *view)
{
	struct pollfd pipe = { .fd = view->file.ends ? view->file.fd : -1, .events = POLLIN };

	poll(&pipe, 1, FOLLOW_STEP_MS);
}

static bool has_input(const struct view *view)
{
	struct pollfd pipe = { .fd = view->file.fd, .events = POLLIN };

	return !view->file.ends || poll(&pipe, 1, 0) > 0;
}

static int follow(struct view *view)
{
	for (;;) {
		int came = has_input(view) ? trace_file_read(&view->file) : 0;

		if (came < 0)
			return came;
		if (came == 0 && view->file.ends && has_input(view))
			return 0; /* the pipe's other end is closed */
		draw_all(view, has_settled);
		view->last = 0;
		if (view->store.span_count > FORGET_SPANS)
			trace_store_forget_done(&view->store);
		if (came == 0)
			wait_for_more(view);
	}
}

static int view_file(struct view *view)
{
	int err;

	trace_store_init(&view->store);
	err = trace_file_open(&view->file, view->path, &view->store, view->follow);
	view->file.damage = report_damage;
	if (!err)
		err = view->follow ? follow(view) : trace_file_read_all(&view->file);
	if (err) {
		complain_usage("%s: %s", view->path, strerror(-err));
		return EXIT_USAGE;
	}
	if (trace_file_finish(&view->file))
		complain_usage("the last line is torn (still being written?): left out");
	draw_all(view, NULL);
	trace_file_close(&view->file);
	if (!view->drawn && view->store.trace_count)
		complain_usage("no trace of the %u in %s is what you ask for",
			       view->store.trace_count, view->path);
	else if (!view->drawn)
		complain_usage("%s holds no spans", view->path);
	trace_store_free(&view->store);
	return view->drawn ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int set_number(unsigned long *out, const char *option, const char *text, unsigned long least)
{
	char *end;

	*out = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || *out < least || *out > 1000000000)
		return usage_error(&verb_view, "--%s wants a number from %lu, not '%s'", option,
				   least, text);
	return 0;
}

static int set_option(struct view *view, int option, const char *value)
{
	unsigned long n;
	int wrong = 0;

	switch (option) {
	case VIEW_TRACE_ID:
		view->trace_id = value;
		if (strspn(value, "0123456789abcdefABCDEF") != strlen(value) ||
		    strlen(value) > TRACE_ID_TEXT)
			return usage_error(&verb_view, "'%s' is no trace id", value);
		break;
	case VIEW_SERVICE:
		view->service = value;
		break;
	case VIEW_ERRORS:
		view->errors = true;
		break;
	case VIEW_LAST:
		return set_number(&view->last, "last", value, 1);
	case VIEW_FOLLOW:
		view->follow = true;
		break;
	case VIEW_SETTLE:
		view->settle_ms = parse_seconds(value);
		if (view->settle_ms < 0)
			return usage_error(&verb_view, "--settle wants seconds, not '%s'", value);
		break;
	case VIEW_WIDTH:
		wrong = set_number(&n, "width", value, SCREEN_WIDTH_MIN);
		view->screen.width = n < SCREEN_WIDTH_MAX ? (unsigned)n : SCREEN_WIDTH_MAX;
		return wrong;
	case VIEW_COLOUR:
		if (strcmp(value, "auto") == 0)
			break;
		view->screen.colour = strcmp(value, "always") == 0;
		if (!view->screen.colour && strcmp(value, "never") != 0)
			return usage_error(&verb_view, "--color is auto, always or never");
		break;
	case VIEW_ASCII:
		view->screen.unicode = false;
		break;
	}
	return 0;
}

static int view_main(int argc, char **argv)
{
	struct arguments a = { .verb = &verb_view, .argc = argc, .argv = argv };
	struct view view = { .settle_ms = SETTLE_MS };
	int option;

	screen_open(&view.screen, stdout);
	while ((option = arguments_next(&a)) != ARGUMENT_END) {
		if (option == ARGUMENT_STOP)
			return a.status;
		if (option == ARGUMENT_OPERAND && view.path)
			return usage_error(&verb_view, "one file at a time, not also '%s'",
					   a.value);
		if (option == ARGUMENT_OPERAND)
			view.path = a.value;
		else if (set_option(&view, option, a.value))
			return EXIT_USAGE;
	}
	if (!view.path)
		return usage_error(&verb_view, "which file? (- is standard input)");
	return view_file(&view);
}

const struct verb verb_view = {
	.name = "view",
	.arguments = "[options] FILE",
	.summary = "Draw each trace of an OTLP-JSON-lines file as a waterfall.",
	.details =
		"FILE is what TAGALONG_TRACES_FILE or `tagalong run --file` wrote; - is standard "
		"input.\n"
		"\n"
		"Each row is a span: its service and name, its kind (S server, C client, I "
		"internal, "
		"P producer, Q consumer), when it ran, how long, its status, and for a client span "
		"how its parent was found:\n"
		"  header   the program passed our id on: exact\n"
		"  flow     the language runtime told: exact\n"
		"  thread   the thread that had read the request made it\n"
		"  process  TRACEPARENT of the environment\n"
		"  only     a guess, with TAGALONG_LINK=best\n"
		"  none     the parent is not known\n"
		"\n"
		"Exit status: 0 when a trace was drawn, 1 when there was none, 2 when the file "
		"could "
		"not be read.",
	.options = view_options,
	.usage_status = EXIT_USAGE,
	.main = view_main,
};
