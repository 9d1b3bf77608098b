/* SPDX-License-Identifier: Apache-2.0 */
/* Chunked bodies: the same bytes whole, in two pieces and one by one end the same way. */
#include <stdlib.h>
#include "shim/wire/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool true_always)
{
	if (!true_always)
		abort();
}

/* Feeds pieces of `step` bytes. */
static struct http1_body feed(struct bytes in, size_t step, size_t *used)
{
	struct http1_body body = { .state = BODY_AWAIT_CHUNK_SIZE };

	*used = 0;
	for (size_t at = 0; at < in.n && at == *used; at += step) {
		size_t n = in.n - at < step ? in.n - at : step;
		char *copy = malloc(n);

		memcpy(copy, in.p + at, n);
		*used += http1_body_feed(&body, (struct bytes){ copy, n });
		free(copy);
	}
	return body;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { (const char *)data + 1, size - 1 };
	struct http1_body whole, pieces;
	size_t used, again;

	if (size < 2)
		return 0;
	whole = feed(in, in.n, &used);
	must(used <= in.n && whole.size <= used);
	must(used == in.n || whole.state == BODY_DONE || whole.state == BODY_BAD);
	for (size_t step = 1; step <= 1u + data[0]; step += data[0] ? data[0] : 1) {
		pieces = feed(in, step, &again);
		must(again == used && pieces.state == whole.state && pieces.size == whole.size);
	}
	return 0;
}
