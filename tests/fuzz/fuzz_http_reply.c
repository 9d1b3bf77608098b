/* SPDX-License-Identifier: Apache-2.0 */
/* What a receiver answers: the same whole and in pieces, the first byte says how long these are. */
#include <stdlib.h>
#include "exporter/http_reply.h"
#include "exporter/retry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char room[2][HTTP_REPLY_BODY_MAX];

static void must(bool true_always)
{
	if (!true_always)
		abort();
}

static int feed(struct http_reply *r, char *to, struct bytes in, size_t step)
{
	int result = 0;

	http_reply_init(r, to);
	for (size_t at = 0; at < in.n && result == 0; at += step) {
		size_t n = in.n - at < step ? in.n - at : step;
		char *copy = malloc(n); /* so that reading behind it is seen */

		memcpy(copy, in.p + at, n);
		result = http_reply_feed(r, (struct bytes){ copy, n });
		free(copy);
	}
	return result ? result : http_reply_end(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_reply whole, cut;
	uint64_t wait_ms;
	struct bytes in;
	int a, b;

	if (size < 2)
		return 0;
	in = (struct bytes){ (const char *)data + 1, size - 1 };
	a = feed(&whole, room[0], in, in.n);
	b = feed(&cut, room[1], in, data[0] % 32 + 1);
	must(a == b && a != 0);
	must(whole.status == cut.status);
	must(whole.body.n <= HTTP_REPLY_BODY_MAX);
	if (a == 1) {
		must(whole.status >= 200 && whole.status <= 999);
		must(bytes_equal(whole.body, cut.body));
	}
	if (retry_after_parse(bytes_of(whole.retry_after), 1700000000, &wait_ms) == 0)
		must(wait_ms <= RETRY_AFTER_MAX_MS);
	retry_after_parse(in, 1700000000, &wait_ms);
	return 0;
}
