/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include "guard.h"
#include "shim/wire/address.h"

/* The canonical spelling, or "!". */
static const char *canonical(const char *host)
{
	static char text[INET6_ADDRSTRLEN];
	uint8_t address[ADDRESS_LEN];
	struct bytes b = guard_string(host);
	int err = address_parse(address, b);

	guard_free(b);
	if (err)
		return "!";
	return inet_ntop(AF_INET6, address, text, sizeof(text));
}

Test(address, parses_ipv4_in_every_spelling)
{
	static const char *const same[] = { "169.254.169.254",     "2852039166",
					    "0xa9fea9fe",          "0XA9FEA9FE",
					    "0251.0376.0251.0376", "169.254.43518",
					    "169.16689662",        "0xa9.254.0251.0xfe" };

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		cr_assert_str_eq(canonical(same[i]), "::ffff:169.254.169.254", "%s", same[i]);
	cr_assert_str_eq(canonical("0"), "::ffff:0.0.0.0");
	cr_assert_str_eq(canonical("127.1"), "::ffff:127.0.0.1");
	cr_assert_str_eq(canonical("255.255.255.255"), "::ffff:255.255.255.255");
}

Test(address, agrees_with_the_c_library_on_ipv6)
{
	static const char *const texts[] = { "::",
					     "::1",
					     "1::",
					     "fd00:ec2::254",
					     "FD00:0EC2:0:0:0:0:0:0254",
					     "1:2:3:4:5:6:7:8",
					     "1:2:3:4:5:6:7::",
					     "::2:3:4:5:6:7:8",
					     "::ffff:169.254.169.254",
					     "::ffff:a9fe:a9fe",
					     "1:2:3:4:5:6:1.2.3.4",
					     "64:ff9b::1.2.3.4",
					     "1:2:3:4:5:6:7:8:9",
					     "1:2:3:4:5:6:7",
					     ":1",
					     "1:",
					     ":::",
					     "1:::2",
					     "1::2::3",
					     "12345::",
					     "g::",
					     "1:2:3:4:5:6:7:1.2.3.4",
					     "::1.2.3",
					     "1::2:3:4:5:6:7:8",
					     ":" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char want[INET6_ADDRSTRLEN] = "!";
		uint8_t address[16];

		/* inet_pton wants the dotted tail in four parts; we take what inet_aton takes */
		if (strcmp(texts[i], "::1.2.3") == 0)
			strcpy(want, "::1.2.0.3");
		else if (inet_pton(AF_INET6, texts[i], address) == 1)
			inet_ntop(AF_INET6, address, want, sizeof(want));
		cr_assert_str_eq(canonical(texts[i]), want, "%s: %s", texts[i],
				 canonical(texts[i]));
	}
}

Test(address, takes_brackets_and_zones)
{
	cr_assert_str_eq(canonical("[::1]"), "::1");
	cr_assert_str_eq(canonical("fe80::1%eth0"), "fe80::1");
	cr_assert_str_eq(canonical("[fe80::1%25eth0]"), "fe80::1");
}

Test(address, names_are_no_addresses)
{
	static const char *const names[] = { "",           "localhost", "a9fe",      "1.2.3.4.5",
					     "256.1.1.1",  "1.2.3.256", "1..2",      "1.2.3.4.",
					     "0x",         "08.1.1.1",  "1.2.65536", "4294967296",
					     "1.16777216", "[]",        "1.2.3.4x" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cr_assert_str_eq(canonical(names[i]), "!", "%s", names[i]);
}

Test(address, reads_nothing_past_any_cut)
{
	static const char *const texts[] = { "[1:2:3:4:5:6:169.254.0xa.0376%eth0]",
					     "fd00:ec2::254" };
	uint8_t address[ADDRESS_LEN];

	for (size_t i = 0; i < 2; i++) {
		for (size_t n = 0; n <= strlen(texts[i]); n++) {
			struct bytes b = guard_copy(texts[i], n);

			address_parse(address, b);
			guard_free(b);
		}
	}
}
