/* SPDX-License-Identifier: Apache-2.0 */
/* Targets, hosts, forwarding headers, globs and routes; the text may have too little room. */
#include <stdlib.h>
#include "shim/wire/address.h"
#include "shim/wire/route_text.h"
#include "shim/wire/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool true_always)
{
	if (!true_always)
		abort();
}

static void must_lie_in(struct bytes part, struct bytes whole)
{
	/* "/" stands for the path that an absolute-form left out */
	if (part.n && !bytes_equal(part, BYTES("/")))
		must(part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void target(struct bytes in, bool connect, size_t room_size)
{
	char room[512];
	struct text t = { .p = room, .size = room_size };
	struct url_target u;
	struct bytes host;
	uint16_t port;

	if (url_parse_target(&u, in, connect))
		return;
	must_lie_in(u.scheme, in);
	must_lie_in(u.userinfo, in);
	must_lie_in(u.authority, in);
	must_lie_in(u.path, in);
	must_lie_in(u.query, in);
	if (url_split_host(&host, &port, u.authority) == 0)
		url_put_full(&t, &u, BYTES("http"), host, port);
	must(t.n <= t.size);
}

static void forwarding(struct bytes in)
{
	struct bytes rest = in, a = bytes_split(&rest, '\n'), b = bytes_split(&rest, '\n');
	struct bytes c = bytes_split(&rest, '\n');
	struct url_forwarded f = url_parse_forwarded(a, b, c, rest);

	must_lie_in(f.client, in);
	must_lie_in(f.proto, in);
	must_lie_in(f.host, in);
}

static void routes(struct bytes in, size_t room_size)
{
	struct bytes path = in, pattern = bytes_split(&path, '\n');
	char room[512];
	struct text t = { .p = room, .size = room_size };

	glob_match(pattern, path, true);
	route_match(pattern, path);
	route_put_template(&t, in);
	must(t.n <= t.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { (const char *)data, size };
	size_t room = size ? (size_t)data[size - 1] * 2 : 0;
	uint8_t address[ADDRESS_LEN];

	address_parse(address, in);
	target(in, false, room);
	target(in, true, room);
	forwarding(in);
	routes(in, room);
	return 0;
}
