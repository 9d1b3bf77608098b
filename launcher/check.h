/* SPDX-License-Identifier: Apache-2.0 */
/* What `tagalong check` asks of a trace. */
#ifndef LAUNCHER_CHECK_H
#define LAUNCHER_CHECK_H

#include "launcher/expect.h"
#include "launcher/screen.h"

#define EXPECTATIONS_MAX 16

struct conditions {
	struct expectation expectations[EXPECTATIONS_MAX];
	unsigned expectation_count;
	unsigned long min_spans; /* 0: not asked */
	bool no_errors, no_orphans;
	const char *trace_id; /* NULL: any trace; else how it begins */
};

/* The trace that comes nearest. */
struct verdict {
	bool holds;
	const struct trace *trace; /* NULL: the file has none that is asked for */
	unsigned long candidates;  /* traces looked at */
};

struct verdict conditions_judge(const struct conditions *c, const struct trace_store *store);

/* The trace of the verdict against each condition, with reasons. */
void conditions_report(const struct conditions *c, const struct trace_store *store,
		       const struct verdict *verdict, const struct screen *screen);

#endif
