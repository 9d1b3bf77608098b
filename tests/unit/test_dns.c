/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include "exporter/dns.h"
#include "guard.h"

static struct dns_query query;
static struct net_address found[DNS_ADDRESSES_MAX];
static unsigned count;

/* A packet is built by hand: head and question of `query`, then records. */
static uint8_t packet[4096];
static size_t packet_n;

static void put(const void *p, size_t n)
{
	memcpy(packet + packet_n, p, n);
	packet_n += n;
}

#define PUT(literal) put(literal, sizeof(literal) - 1)

static void begin(const char *name, enum dns_type type, unsigned answers)
{
	cr_assert_eq(dns_make_query(&query, 0x1234, bytes_of(name), type), 0);
	packet_n = 0;
	put(query.p, query.n);
	packet[2] = 0x81;
	packet[3] = 0x80;
	packet[7] = (uint8_t)answers;
}

/* owner as wire bytes; type, class IN, ttl, data. */
static void put_record(const void *owner, size_t owner_n, unsigned type, const void *data, size_t n)
{
	uint8_t fixed[10] = { 0, (uint8_t)type, 0, 1, 0, 0, 0, 60, (uint8_t)(n >> 8), (uint8_t)n };

	put(owner, owner_n);
	put(fixed, sizeof(fixed));
	put(data, n);
}

#define RECORD(owner, type, data) put_record(owner, sizeof(owner) - 1, type, data, sizeof(data) - 1)
#define QNAME                     "\xc0\x0c" /* a pointer to the question */

static int parse(void)
{
	struct bytes copy = guard_copy(packet, packet_n);
	int result;

	count = 0;
	result = dns_read_answer(copy, &query, found, &count);
	guard_free(copy);
	return result;
}

Test(dns, query_is_as_the_standard_shows_it)
{
	static const char expected[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
				       "\x01g\x02qq\x00\x00\x1c\x00\x01";

	cr_assert_eq(dns_make_query(&query, 0x1234, BYTES("g.qq."), DNS_AAAA), 0);
	cr_expect_eq(query.n, sizeof(expected) - 1);
	cr_expect_eq(memcmp(query.p, expected, query.n), 0);
}

Test(dns, names_that_cannot_be_are_refused)
{
	char name[300];

	memset(name, 'a', sizeof(name));
	cr_expect_eq(dns_make_query(&query, 1, (struct bytes){ name, 64 }, DNS_A), -22);
	cr_expect_eq(dns_make_query(&query, 1, (struct bytes){ name, 63 }, DNS_A), 0);
	for (size_t i = 50; i < sizeof(name); i += 50)
		name[i] = '.';
	cr_expect_eq(dns_make_query(&query, 1, (struct bytes){ name, 254 }, DNS_A), -22);
	cr_expect_eq(dns_make_query(&query, 1, (struct bytes){ name, 253 }, DNS_A), 0);
	cr_expect_leq(query.n, DNS_QUERY_MAX);
	cr_expect_eq(dns_make_query(&query, 1, BYTES(""), DNS_A), -22);
	cr_expect_eq(dns_make_query(&query, 1, BYTES("."), DNS_A), -22);
	cr_expect_eq(dns_make_query(&query, 1, BYTES("a..b"), DNS_A), -22);
	cr_expect_eq(dns_make_query(&query, 1, BYTES(".a"), DNS_A), -22);
}

Test(dns, addresses_are_found)
{
	begin("c.example", DNS_A, 2);
	RECORD(QNAME, DNS_A, "\x0a\x00\x00\x01");
	RECORD("\x01"
	       "C\x07"
	       "EXAMPLE\x00",
	       DNS_A, "\x0a\x00\x00\x02");
	cr_expect_eq(parse(), 0);
	cr_assert_eq(count, 2);
	cr_expect_eq(found[1].ip[3], 2);
	begin("c.example", DNS_AAAA, 1);
	RECORD(QNAME, DNS_AAAA, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09");
	cr_expect_eq(parse(), 0);
	cr_assert_eq(count, 1);
	cr_expect(found[0].is_ipv6);
	cr_expect_eq(found[0].ip[15], 9);
}

Test(dns, aliases_are_followed_in_any_order)
{
	begin("c.example", DNS_A, 4);
	RECORD("\x01"
	       "z\x00",
	       DNS_A, "\x0a\x00\x00\x07");
	RECORD("\x01"
	       "y\x00",
	       DNS_CNAME,
	       "\x01"
	       "z\x00");
	RECORD("\x01"
	       "x\x00",
	       DNS_A, "\x06\x06\x06\x06");
	RECORD(QNAME, DNS_CNAME,
	       "\x01"
	       "Y\x00");
	cr_expect_eq(parse(), 0);
	cr_assert_eq(count, 1);
	cr_expect_eq(found[0].ip[3], 7);
}

Test(dns, addresses_of_other_names_types_and_sizes_do_not_count)
{
	begin("c.example", DNS_A, 4);
	RECORD("\x01"
	       "x\x00",
	       DNS_A, "\x06\x06\x06\x06");
	RECORD(QNAME, DNS_AAAA, "\x06\x06\x06\x06");
	RECORD(QNAME, DNS_A, "\x06\x06\x06");
	RECORD(QNAME, 16, "\x03txt");
	cr_expect_eq(parse(), 0);
	cr_expect_eq(count, 0);
}

Test(dns, alias_loops_end)
{
	begin("c.example", DNS_A, 2);
	RECORD(QNAME, DNS_CNAME,
	       "\x01"
	       "y\x00");
	RECORD("\x01"
	       "y\x00",
	       DNS_CNAME, QNAME);
	cr_expect_eq(parse(), DNS_REFUSED);
	begin("c.example", DNS_A, 1);
	RECORD(QNAME, DNS_CNAME, QNAME);
	cr_expect_eq(parse(), DNS_REFUSED);
}

Test(dns, compression_loops_and_wild_pointers_end)
{
	static const char *const owners[] = { "\xc0\x1b", "\xc0\x1d", "\xff\xff",
					      "\x80\x0c", "\x40\x0c", "\xc0" };

	for (unsigned i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
		begin("c.example", DNS_A, 1);
		put_record(owners[i], strlen(owners[i]), DNS_A, "\x0a\x00\x00\x01", 4);
		cr_expect_neq(parse(), 0);
		cr_expect_eq(count, 0);
	}
	/* Two names that point at each other, the second one forwards. */
	begin("c.example", DNS_A, 2);
	RECORD("\x01"
	       "a\xc0\x2c",
	       DNS_A, "\x0a\x00\x00\x01");
	RECORD("\x01"
	       "b\xc0\x1b",
	       DNS_A, "\x0a\x00\x00\x01");
	cr_expect_eq(parse(), DNS_REFUSED);
}

Test(dns, only_the_answer_to_this_question_counts)
{
	begin("c.example", DNS_A, 1);
	RECORD(QNAME, DNS_A, "\x0a\x00\x00\x01");
	cr_expect_eq(parse(), 0);
	packet[0] ^= 1; /* the id */
	cr_expect_eq(parse(), DNS_IGNORE);
	packet[0] ^= 1;
	packet[2] = 0x01; /* a query */
	cr_expect_eq(parse(), DNS_IGNORE);
	packet[2] = 0x81;
	packet[13] = 'd'; /* another name */
	cr_expect_eq(parse(), DNS_IGNORE);
	packet[13] = 'C'; /* the same */
	cr_expect_eq(parse(), 0);
	packet[query.n - 3] = 28; /* another type */
	cr_expect_eq(parse(), DNS_IGNORE);
}

Test(dns, codes_say_what_to_do)
{
	begin("c.example", DNS_A, 0);
	packet[3] = 0x83;
	cr_expect_eq(parse(), DNS_NO_NAME);
	packet[3] = 0x82;
	cr_expect_eq(parse(), DNS_REFUSED);
	packet[3] = 0x85;
	cr_expect_eq(parse(), DNS_REFUSED);
	packet[3] = 0x80;
	packet[2] = 0x83;
	cr_expect_eq(parse(), DNS_TRUNCATED);
	/* A refusal without the question. */
	packet[2] = 0x81;
	packet[3] = 0x85;
	packet[5] = 0;
	packet_n = 12;
	cr_expect_eq(parse(), DNS_REFUSED);
}

Test(dns, no_more_addresses_than_there_is_room_for)
{
	begin("c.example", DNS_A, 20);
	for (int i = 0; i < 20; i++)
		RECORD(QNAME, DNS_A, "\x0a\x00\x00\x01");
	cr_expect_eq(parse(), 0);
	cr_expect_eq(count, DNS_ADDRESSES_MAX);
}

Test(dns, every_cut_is_read_within_its_bytes)
{
	size_t whole;

	begin("c.example", DNS_A, 2);
	RECORD(QNAME, DNS_CNAME,
	       "\x01"
	       "y\x00");
	RECORD("\x01"
	       "y\x00",
	       DNS_A, "\x0a\x00\x00\x01");
	whole = packet_n;
	cr_expect_eq(parse(), 0);
	for (packet_n = 0; packet_n < whole; packet_n++)
		cr_expect_neq(parse(), 0, "%zu", packet_n);
}

Test(dns, random_damage_does_no_harm)
{
	uint8_t good[512];
	size_t whole;

	begin("c.example", DNS_A, 3);
	RECORD(QNAME, DNS_CNAME,
	       "\x01"
	       "y\xc0\x0c");
	RECORD("\x01"
	       "y\xc0\x0c",
	       DNS_CNAME,
	       "\x01"
	       "z\x00");
	RECORD("\x01"
	       "z\x00",
	       DNS_A, "\x0a\x00\x00\x01");
	whole = packet_n;
	memcpy(good, packet, whole);
	srandom(1);
	for (int i = 0; i < 20000; i++) {
		memcpy(packet, good, whole);
		for (int k = 0; k < 3; k++)
			packet[query.n + (size_t)random() % (whole - query.n)] = (uint8_t)random();
		count = 0;
		dns_read_answer((struct bytes){ (char *)packet, whole }, &query, found, &count);
		cr_assert_leq(count, DNS_ADDRESSES_MAX);
	}
}

static const char *round_trip(const char *text)
{
	static char out[64];
	struct text t = TEXT_ON(out);
	struct bytes copy = guard_copy(text, strlen(text));
	struct net_address a;
	int err = net_parse_address(&a, copy);

	guard_free(copy);
	if (err)
		return "bad";
	net_put_address(&t, &a);
	return text_string(&t);
}

Test(net_address, is_read_in_every_form)
{
	cr_expect_str_eq(round_trip("127.0.0.1"), "127.0.0.1");
	cr_expect_str_eq(round_trip("255.255.255.255"), "255.255.255.255");
	cr_expect_str_eq(round_trip("::"), "0:0:0:0:0:0:0:0");
	cr_expect_str_eq(round_trip("::1"), "0:0:0:0:0:0:0:1");
	cr_expect_str_eq(round_trip("1::"), "1:0:0:0:0:0:0:0");
	cr_expect_str_eq(round_trip("1:2:3:4:5:6:7:8"), "1:2:3:4:5:6:7:8");
	cr_expect_str_eq(round_trip("FD00::a:B"), "fd00:0:0:0:0:0:a:b");
	cr_expect_str_eq(round_trip("::ffff:10.0.0.1"), "0:0:0:0:0:ffff:a00:1");
	cr_expect_str_eq(round_trip("1:2:3:4:5:6:7::"), "1:2:3:4:5:6:7:0");
	cr_expect_str_eq(round_trip("fe80::1%1"), "fe80:0:0:0:0:0:0:1");
	cr_expect_str_eq(round_trip("fe80::1%lo"), "fe80:0:0:0:0:0:0:1");
}

Test(net_address, everything_else_is_refused)
{
	static const char *const bad[] = {
		"",
		"1",
		"1.2.3",
		"1.2.3.4.5",
		"256.1.1.1",
		"01.2.3.4",
		"1.2.3.4 ",
		"1..2.3",
		".1.2.3",
		"a.b.c.d",
		"1.2.3.4.",
		":",
		":::",
		"1",
		"1:2",
		"::1::",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"1:2:3:4:5:6:7:8::",
		"12345::",
		"g::",
		"::1.2.3",
		"::1.2.3.4:5",
		"1:2:3:4:5:6:7:1.2.3.4",
		":1::2",
		"1::2:",
		"fe80::1%",
		"fe80::1%nosuchinterface",
		"1.2.3.4%1",
		"fe80::1%../../x",
		"::%0",
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_str_eq(round_trip(bad[i]), "bad", "%s", bad[i]);
}
