/* SPDX-License-Identifier: Apache-2.0 */
/* Whom the transport takes for itself; what it sends is tested from end to end. */
#include <criterion/criterion.h>
#include "base/counters.h"
#include "exporter/transport.h"

static struct transport transport;
static _Atomic uint32_t stop;
static const char *spill_dir = "";

static bool owns(const char *host, uint16_t port)
{
	return transport_owns(&transport, bytes_of(host), port);
}

static void init(const char *url)
{
	struct config c = { .otlp_endpoint = url };

	c.otlp_traces_endpoint = c.otlp_headers = c.otlp_traces_headers = c.otlp_compression = "";
	c.spill_dir = spill_dir;
	memset(&transport, 0, sizeof(transport));
	transport_init(&transport, &c, &stop, false);
}

Test(transport, owns_its_endpoint_by_name_and_address)
{
	init("");
	cr_expect(owns("localhost", 4318));
	cr_expect(owns("LOCALHOST", 4318));
	cr_expect(owns("127.0.0.1", 4318));
	cr_expect(owns("::1", 4318));
	cr_expect(owns("[::1]", 4318));
	cr_expect_not(owns("localhost", 4317));
	cr_expect_not(owns("127.0.0.2", 4318));
	cr_expect_not(owns("elsewhere", 4318));
	cr_expect_not(owns("", 4318));
	cr_expect_not(owns("::", 4318));
}

Test(transport, owns_an_address_it_was_given)
{
	init("http://10.1.2.3/");
	cr_expect(owns("10.1.2.3", 80));
	cr_expect_not(owns("10.1.2.4", 80));
	init("http://[fd00::1]:99/");
	cr_expect(owns("[FD00:0::1]", 99));
	cr_expect_not(owns("fe80::1%lo", 99));
}

Test(transport, says_once_that_it_keeps_nothing_on_disk)
{
	init("");
	cr_expect_eq(counted(warnings), 0);
	spill_dir = "/var/spool/tagalong";
	init("");
	cr_expect_eq(counted(warnings), 1);
}
