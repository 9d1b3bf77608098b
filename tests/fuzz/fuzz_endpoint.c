/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoint and header variables: whatever they hold, one well-formed request head comes out.
 * Two lines of input: URL, headers. */
#include <stdlib.h>
#include "exporter/endpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool true_always)
{
	if (!true_always)
		abort();
}

static void ignore(void *arg, const char *message)
{
	(void)arg;
	for (; *message; message++)
		must(*message >= ' ' && *message <= '~');
}

/* Lines end in CRLF and nowhere else; each has a name and a colon; the last is ours. */
static void check_head(struct bytes head)
{
	struct bytes rest = head, line = bytes_split(&rest, '\n');
	unsigned lengths = 0;

	must(line.n && line.p[line.n - 1] == '\r');
	must(bytes_start_with(line, BYTES("POST /")));
	while (rest.p) {
		line = bytes_split(&rest, '\n');
		must(memchr(line.p, ':', line.n) != NULL);
		must(line.p[0] != ' ' && line.p[0] != '\t' && line.p[0] != ':');
		must(!rest.p || line.p[line.n - 1] == '\r');
		for (size_t i = 0; i + 1 < line.n; i++)
			must(line.p[i] != '\r' && line.p[i] != '\0');
		line.n = line.n < 15 ? line.n : 15;
		lengths += bytes_equal_nocase(line, BYTES("content-length:"));
	}
	must(lengths == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct endpoint e;
	struct config c = { .otlp_protocol = OTLP_HTTP_PROTOBUF };
	char *text = malloc(size + 1), *headers;

	memcpy(text, data, size);
	text[size] = '\0';
	headers = memchr(text, '\n', size);
	if (headers)
		*headers++ = '\0';
	c.otlp_headers = headers ? headers : "";
	c.otlp_traces_headers = c.otlp_compression = "";
	c.otlp_endpoint = text;
	c.otlp_traces_endpoint = "";
	endpoint_read(&e, &c, ignore, NULL);
	check_head((struct bytes){ e.head, e.head_n });
	c.otlp_traces_endpoint = text;
	endpoint_read(&e, &c, ignore, NULL);
	check_head((struct bytes){ e.head, e.head_n });
	must(strlen(e.host) > 0 && e.port > 0);
	free(text);
	return 0;
}
