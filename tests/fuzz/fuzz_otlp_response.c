/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of receivers: whatever is accepted is a count that makes sense, and a view into the body.
 */
#include <stdlib.h>
#include "exporter/otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool true_always)
{
	if (!true_always)
		abort();
}

static void must_lie_in(struct bytes view, struct bytes body)
{
	must(!view.n ||
	     (view.p >= body.p && view.n <= body.n && view.p + view.n <= body.p + body.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes body = { (const char *)data, size }, message = { NULL, 0 };
	int64_t rejected = -1;

	if (otlp_parse_response(body, &rejected, &message) == 0)
		must(rejected >= 0);
	else
		must(rejected == -1 && !message.p);
	must_lie_in(message, body);
	must_lie_in(otlp_status_message(body), body);
	return 0;
}
