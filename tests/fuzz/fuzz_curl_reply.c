/* SPDX-License-Identifier: Apache-2.0 */
/* Whole answers as libcurl hands them on: lines of a head, pieces of a body, trailers, parted by
 * 0xff. Whatever they say, the verdict is one that makes sense, and its words fit into a log. */
#include <stdlib.h>
#include "exporter/curl/answer.h"
#include "exporter/curl/grpc.h"
#include "exporter/retry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PARTED     '\xff'
#define NOW_UNIX_S 1700000000

static struct reply reply;

static void must(bool true_always)
{
	if (!true_always)
		abort();
}

static bool lies_in(struct bytes view, struct bytes all)
{
	return !view.n || (view.p >= all.p && view.n <= all.n && view.p + view.n <= all.p + all.n);
}

static bool add_lines(struct bytes lines)
{
	bool more = true;

	while (more && lines.n)
		more = reply_add_line(&reply, bytes_split(&lines, '\n'));
	return more;
}

static bool add_body(struct bytes body, size_t piece)
{
	bool more = true;

	while (more && body.n) {
		size_t n = body.n < piece ? body.n : piece;

		more = reply_add_body(&reply, (struct bytes){ body.p, n });
		body = (struct bytes){ body.p + n, body.n - n };
	}
	return more;
}

static void check_text(const char *text, size_t size)
{
	size_t n = 0;

	while (n < size && text[n]) {
		must((unsigned char)text[n] >= ' ' && text[n] != 0x7f);
		n++;
	}
	must(n < size);
}

static void check_answer(void (*read)(struct answer *a, const struct reply *r, uint64_t now_unix_s))
{
	struct answer a;

	read(&a, &reply, NOW_UNIX_S);
	must(a.final || a.loss == LOSS_RESPONSE);
	must(a.loss == LOSS_NONE || a.loss == LOSS_RESPONSE);
	must(!a.loss || !a.rejected);
	must(a.asked_ms <= RETRY_AFTER_MAX_MS);
	check_text(a.status, sizeof(a.status));
	check_text(a.said, sizeof(a.said));
}

/* The parts by themselves, which a head in front of them may keep from being read. */
static void check_grpc(struct bytes all)
{
	struct bytes message = { NULL, 0 };
	bool compressed = false;
	char text[GRPC_MESSAGE_MAX];
	uint64_t ms = 0;

	if (grpc_read_message(all, &compressed, &message) == 0)
		must(lies_in(message, all) && message.n + GRPC_HEAD_LEN == all.n);
	grpc_read_retry_info(all, &ms);
	must(ms <= RETRY_AFTER_MAX_MS);
	must(grpc_decode_message(text, sizeof(text), all) <= sizeof(text));
	must((unsigned)grpc_parse_status(all) < GRPC_STATUS_COUNT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes rest = { (const char *)data, size }, head, body;
	bool whole;

	if (!size)
		return 0;
	check_grpc(rest);
	rest = (struct bytes){ rest.p + 1, rest.n - 1 };
	head = bytes_split(&rest, PARTED);
	body = bytes_split(&rest, PARTED);
	reply_reset(&reply);
	whole = add_lines(head) && add_body(body, 1 + (size_t)data[0]) && add_lines(rest);
	must(whole == !reply.too_large && !reply.no_memory);
	if (!reply.http_status)
		return 0;
	check_answer(answer_read_http);
	check_answer(answer_read_grpc);
	return 0;
}
