/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/curl/reply.h"

static void forget_head(struct reply *r)
{
	r->content_type.n = r->content_encoding.n = r->retry_after.n = 0;
	r->grpc_status.n = r->grpc_message.n = r->grpc_details.n = r->grpc_encoding.n = 0;
	r->has_grpc_status = false;
}

void reply_reset(struct reply *r)
{
	forget_head(r);
	r->http_status = 0;
	r->body.n = r->head_n = 0;
	r->too_large = r->no_memory = false;
}

static struct reply_value *value_of(struct reply *r, struct bytes name)
{
	const struct {
		struct bytes name;
		struct reply_value *value;
	} kept[] = {
		{ BYTES("content-type"), &r->content_type },
		{ BYTES("content-encoding"), &r->content_encoding },
		{ BYTES("retry-after"), &r->retry_after },
		{ BYTES("grpc-status"), &r->grpc_status },
		{ BYTES("grpc-message"), &r->grpc_message },
		{ BYTES("grpc-status-details-bin"), &r->grpc_details },
		{ BYTES("grpc-encoding"), &r->grpc_encoding },
	};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (bytes_equal_nocase(name, kept[i].name))
			return kept[i].value;
	return NULL;
}

/* "HTTP/1.1 200 OK", "HTTP/2 200" */
static void read_status_line(struct reply *r, struct bytes line)
{
	struct bytes rest = line;
	uint64_t status;

	forget_head(r);
	r->http_status = 0;
	bytes_split(&rest, ' ');
	if (!bytes_to_u64(bytes_split(&rest, ' '), &status) && status < 1000)
		r->http_status = (unsigned)status;
}

bool reply_add_line(struct reply *r, struct bytes line)
{
	struct reply_value *kept;
	struct bytes name;

	r->head_n += line.n;
	if (r->head_n > REPLY_HEAD_MAX) {
		r->too_large = true;
		return false;
	}
	while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	if (bytes_start_with(line, BYTES("HTTP/"))) {
		read_status_line(r, line);
		return true;
	}
	name = bytes_split(&line, ':');
	kept = line.p ? value_of(r, name) : NULL;
	if (!kept)
		return true;
	line = bytes_trim(line);
	kept->n = line.n <= sizeof(kept->p) ? line.n : 0;
	if (kept->n)
		memcpy(kept->p, line.p, kept->n);
	r->has_grpc_status |= kept == &r->grpc_status;
	return true;
}

bool reply_add_body(struct reply *r, struct bytes piece)
{
	size_t need = r->body.n + piece.n, room = r->body.size ? r->body.size : 4096;

	if (need > REPLY_BODY_MAX) {
		r->too_large = true;
		return false;
	}
	while (room < need)
		room *= 2;
	if (gzip_reserve(&r->body, room)) {
		r->no_memory = true;
		return false;
	}
	memcpy(r->body.p + r->body.n, piece.p, piece.n);
	r->body.n = need;
	return true;
}
