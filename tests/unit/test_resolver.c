/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver against a name server of our own on the loopback interface. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "exporter/resolver.h"

#define S  1000000000ull
#define MS 1000000ull

static struct resolver resolver;
static char hosts_path[64], resolv_path[64];

static void write_file(char path[static 64], const char *text)
{
	int fd;

	strcpy(path, "/tmp/tagalong-test-XXXXXX");
	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void init(const char *host, const char *hosts, const char *resolv_conf)
{
	write_file(hosts_path, hosts);
	write_file(resolv_path, resolv_conf);
	resolver_init(&resolver, host, hosts_path, resolv_path, NULL);
	unlink(hosts_path);
	unlink(resolv_path);
}

static const char *addresses(void)
{
	static char out[512];
	struct text t = TEXT_ON(out);

	for (unsigned i = 0; i < resolver.address_count; i++) {
		if (i)
			text_put_char(&t, ' ');
		net_put_address(&t, &resolver.addresses[i]);
	}
	return text_string(&t);
}

/* ---- files ---- */

Test(resolver, literals_need_no_files)
{
	init("10.1.2.3", "9.9.9.9 10.1.2.3\n", "");
	cr_expect_str_eq(addresses(), "10.1.2.3");
	cr_expect(resolver.fixed);
	init("::1", "", "");
	cr_expect_str_eq(addresses(), "0:0:0:0:0:0:0:1");
	cr_expect_eq(resolver_refresh(&resolver, 0), 0);
}

Test(resolver, hosts_file_is_read_as_everybody_does)
{
	static const char hosts[] =
		"# comment collector\n"
		"127.0.0.1\tlocalhost\n"
		"10.0.0.1 other Collector.Example. collector # 10.0.0.9 collector\n"
		"bad-address collector\n"
		"10.0.0.1 collector\n"
		"  fd00::1   collector\r\n"
		"10.0.0.3 collectors xcollector\n"
		"10.0.0.2 collector";

	init("collector", hosts, "");
	cr_expect_str_eq(addresses(), "10.0.0.1 fd00:0:0:0:0:0:0:1 10.0.0.2");
	cr_expect(resolver.fixed);
	init("COLLECTOR.example", hosts, "");
	cr_expect_str_eq(addresses(), "10.0.0.1");
	init("collector.", hosts, "");
	cr_expect_str_eq(addresses(), "10.0.0.1 fd00:0:0:0:0:0:0:1 10.0.0.2");
	init("nobody", hosts, "");
	cr_expect_not(resolver.fixed);
}

Test(resolver, localhost_needs_no_hosts_file)
{
	init("LocalHost", "", "");
	cr_expect_str_eq(addresses(), "127.0.0.1 0:0:0:0:0:0:0:1");
	init("otel.localhost.", "", "");
	cr_expect(resolver.fixed);
	init("notlocalhost", "", "");
	cr_expect_not(resolver.fixed);
	init("localhost", "10.0.0.5 localhost\n", "");
	cr_expect_str_eq(addresses(), "10.0.0.5");
}

Test(resolver, long_lines_and_many_lines_are_bounded)
{
	static char hosts[400000];
	size_t n = 0;

	n += (size_t)sprintf(hosts, "10.0.0.1 first ");
	memset(hosts + n, 'a', 9000);
	n += 9000;
	n += (size_t)sprintf(hosts + n, " first\n10.0.0.2 first\n");
	while (n < sizeof(hosts) - 100)
		n += (size_t)sprintf(hosts + n, "0.0.0.0 ads%zu.example\n", n);
	sprintf(hosts + n, "10.0.0.3 first\n");
	init("first", hosts, "");
	cr_expect_str_eq(addresses(), "10.0.0.1 10.0.0.2");
}

Test(resolver, resolv_conf_is_read_as_its_manual_says)
{
	init("c", "",
	     "# nameserver 9.9.9.9\n; nameserver 9.9.9.9\n"
	     "nameserver 10.0.0.53\nnameserver fe80::53%1\nnameserver bad\nnameserver 10.0.0.54\n"
	     "nameserver 10.0.0.55\n"
	     "domain old.example\nsearch ns.svc.cluster.local svc.cluster.local. cluster.local\n"
	     "options ndots:5 timeout:2 attempts:99 use-vc edns0\n");
	cr_expect_eq(resolver.server_count, 3);
	cr_expect_eq(resolver.servers[1].scope, 1);
	cr_expect_eq(resolver.servers[2].ip[3], 54);
	cr_expect_eq(resolver.search_count, 3);
	cr_expect_str_eq(resolver.search[1], "svc.cluster.local");
	cr_expect_eq(resolver.ndots, 5);
	cr_expect_eq(resolver.timeout_s, 2);
	cr_expect_eq(resolver.attempts, 5);
	cr_expect(resolver.use_tcp);
}

Test(resolver, without_resolv_conf_the_local_server_is_asked)
{
	resolver_init(&resolver, "c", "/nonexistent", "/nonexistent", NULL);
	cr_expect_eq(resolver.server_count, 1);
	cr_expect_eq(resolver.servers[0].ip[0], 127);
	cr_expect_eq(resolver.ndots, 1);
	cr_expect_eq(resolver.timeout_s, 5);
	cr_expect_eq(resolver.attempts, 2);
}

/* ---- server ---- */

struct zone_entry {
	const char *name;
	const char *ipv4, *ipv6, *alias; /* NULL: none */
};

static struct {
	int udp, tcp;
	uint16_t port;
	pthread_t thread;
	const struct zone_entry *zone;
	bool truncate, silent, forge, servfail;
	_Atomic bool end;
	_Atomic int asked, asked_tcp;
	char names[1024]; /* asked for, in order */
} dns;

static void read_question(const uint8_t *q, char *name)
{
	const uint8_t *p = q + 12;

	*name = '\0';
	while (*p) {
		strncat(name, (const char *)p + 1, *p);
		p += *p + 1;
		if (*p)
			strcat(name, ".");
	}
}

static size_t put_name(uint8_t *at, const char *name)
{
	uint8_t *start = at;

	while (*name) {
		size_t n = strcspn(name, ".");

		*at++ = (uint8_t)n;
		memcpy(at, name, n);
		at += n;
		name += n + (name[n] == '.');
	}
	*at++ = 0;
	return (size_t)(at - start);
}

static size_t put_record(uint8_t *at, unsigned type, const void *data, size_t n)
{
	const uint8_t head[12] = { 0xc0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 0, 1, 0, (uint8_t)n };

	memcpy(at, head, sizeof(head));
	memcpy(at + sizeof(head), data, n);
	return sizeof(head) + n;
}

/* Turns the query in p[0..n) into its answer; returns the new size. */
static size_t make_answer(uint8_t *p, size_t n, bool tcp)
{
	const struct zone_entry *z = dns.zone;
	unsigned type = p[n - 3];
	uint8_t binary[256];
	char name[256];

	read_question(p, name);
	if (type == 1)
		snprintf(dns.names + strlen(dns.names), sizeof(dns.names) - strlen(dns.names),
			 "%s ", name);
	p[2] = 0x81;
	p[3] = dns.servfail ? 0x82 : 0x80;
	if (dns.truncate && !tcp) {
		p[2] |= 2;
		return n;
	}
	while (z->name && strcasecmp(z->name, name) != 0)
		z++;
	if (!z->name && !dns.servfail)
		p[3] |= 3;
	if (!z->name || dns.servfail)
		return n;
	if (z->alias) {
		size_t alias_n = put_name(binary, z->alias);
		size_t at = n + put_record(p + n, 5, binary, alias_n);

		/* The address stands under the alias. */
		inet_pton(AF_INET, z->ipv4, binary);
		p[7] = type == 1 ? 2 : 1;
		if (type != 1)
			return at;
		at += put_name(p + at, z->alias);
		memcpy(p + at, "\0\1\0\1\0\0\0\1\0\4", 10);
		memcpy(p + at + 10, binary, 4);
		return at + 14;
	}
	if (type == 1 && z->ipv4 && inet_pton(AF_INET, z->ipv4, binary) == 1) {
		p[7] = 1;
		n += put_record(p + n, 1, binary, 4);
	}
	if (type == 28 && z->ipv6 && inet_pton(AF_INET6, z->ipv6, binary) == 1) {
		p[7] = 1;
		n += put_record(p + n, 28, binary, 16);
	}
	return n;
}

/* Packets that are no answer: wrong id, wrong name, rubbish, nothing. */
static void send_forged(const uint8_t *p, size_t n, const struct sockaddr_in *to)
{
	uint8_t copy[600];

	memcpy(copy, p, n);
	copy[0] ^= 0xff;
	sendto(dns.udp, copy, n, 0, (const struct sockaddr *)to, sizeof(*to));
	copy[0] ^= 0xff;
	copy[13] ^= 1;
	sendto(dns.udp, copy, n, 0, (const struct sockaddr *)to, sizeof(*to));
	sendto(dns.udp, "x", 1, 0, (const struct sockaddr *)to, sizeof(*to));
	sendto(dns.udp, "", 0, 0, (const struct sockaddr *)to, sizeof(*to));
}

static void serve_udp(void)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	uint8_t p[600];
	ssize_t n = recvfrom(dns.udp, p, 300, 0, (struct sockaddr *)&from, &len);
	size_t size;

	if (n < 17)
		return;
	dns.asked++;
	if (dns.silent)
		return;
	size = make_answer(p, (size_t)n, false);
	if (dns.forge)
		send_forged(p, size, &from);
	sendto(dns.udp, p, size, 0, (struct sockaddr *)&from, len);
}

static void serve_tcp(void)
{
	int fd = accept(dns.tcp, NULL, NULL);
	uint8_t p[602];

	/* Both questions come on one connection. */
	while (recv(fd, p, 2, MSG_WAITALL) == 2) {
		size_t n = (size_t)p[0] << 8 | p[1];

		if (n > 300 || recv(fd, p + 2, n, MSG_WAITALL) != (ssize_t)n)
			break;
		dns.asked_tcp++;
		n = make_answer(p + 2, n, true);
		p[0] = (uint8_t)(n >> 8);
		p[1] = (uint8_t)n;
		/* In two pieces: the reader must put them together. */
		send(fd, p, 1, MSG_NOSIGNAL);
		send(fd, p + 1, n + 1, MSG_NOSIGNAL);
	}
	close(fd);
}

static void *serve(void *arg)
{
	while (!dns.end) {
		struct pollfd p[2] = { { dns.udp, POLLIN, 0 }, { dns.tcp, POLLIN, 0 } };

		if (poll(p, 2, 50) <= 0)
			continue;
		if (p[0].revents)
			serve_udp();
		if (p[1].revents)
			serve_tcp();
	}
	return arg;
}

static void start(const struct zone_entry *zone)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	dns.zone = zone;
	dns.tcp = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(bind(dns.tcp, (struct sockaddr *)&a, sizeof(a)), 0);
	listen(dns.tcp, 8);
	getsockname(dns.tcp, (struct sockaddr *)&a, &len);
	dns.port = ntohs(a.sin_port);
	dns.udp = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(bind(dns.udp, (struct sockaddr *)&a, sizeof(a)), 0);
	pthread_create(&dns.thread, NULL, serve, NULL);
}

static void finish(void)
{
	dns.end = true;
	pthread_join(dns.thread, NULL);
	close(dns.udp);
	close(dns.tcp);
}

static int resolve(const char *host, const char *resolv_conf, uint64_t timeout_ns)
{
	char text[512];

	snprintf(text, sizeof(text), "nameserver 127.0.0.1\n%s", resolv_conf);
	init(host, "", text);
	resolver.port = dns.port;
	return resolver_refresh(&resolver, clock_monotonic_ns() + timeout_ns);
}

static const struct zone_entry zone[] = {
	{ "collector.example", "10.0.0.1", "fd00::1", NULL },
	{ "four.example", "10.0.0.4", NULL, NULL },
	{ "six.example", NULL, "fd00::6", NULL },
	{ "empty.example", NULL, NULL, NULL },
	{ "alias.example", "10.0.0.7", NULL, "real.elsewhere" },
	{ "otel.ns.svc.cluster.local", "10.96.0.1", NULL, NULL },
	{ "single", "10.0.0.8", NULL, NULL },
	{ NULL, NULL, NULL, NULL },
};

Test(resolver, asks_for_both_kinds_of_addresses)
{
	start(zone);
	cr_expect_eq(resolve("collector.example", "", 5 * S), 0);
	cr_expect_str_eq(addresses(), "10.0.0.1 fd00:0:0:0:0:0:0:1");
	cr_expect_eq(resolve("four.example", "", 5 * S), 0);
	cr_expect_str_eq(addresses(), "10.0.0.4");
	cr_expect_eq(resolve("SIX.example.", "", 5 * S), 0);
	cr_expect_str_eq(addresses(), "fd00:0:0:0:0:0:0:6");
	cr_expect_eq(resolve("alias.example", "", 5 * S), 0);
	cr_expect_str_eq(addresses(), "10.0.0.7");
	cr_expect_eq(resolve("empty.example", "", 5 * S), -ENOENT);
	cr_expect_eq(resolve("nobody.example", "", 5 * S), -ENOENT);
	finish();
}

Test(resolver, searches_domains_by_the_number_of_dots)
{
	static const char conf[] = "search ns.svc.cluster.local example\noptions ndots:2\n";

	start(zone);
	cr_expect_eq(resolve("otel", conf, 5 * S), 0);
	cr_expect_str_eq(addresses(), "10.96.0.1");
	cr_expect_str_eq(dns.names, "otel.ns.svc.cluster.local ");
	dns.names[0] = '\0';
	cr_expect_eq(resolve("four", conf, 5 * S), 0);
	cr_expect_str_eq(dns.names, "four.ns.svc.cluster.local four.example ");
	dns.names[0] = '\0';
	cr_expect_eq(resolve("single", conf, 5 * S), 0);
	cr_expect_str_eq(dns.names, "single.ns.svc.cluster.local single.example single ");
	dns.names[0] = '\0';
	cr_expect_eq(resolve("a.b.c", conf, 5 * S), -ENOENT);
	cr_expect_str_eq(dns.names, "a.b.c a.b.c.ns.svc.cluster.local a.b.c.example ");
	dns.names[0] = '\0';
	cr_expect_eq(resolve("otel.", conf, 5 * S), -ENOENT);
	cr_expect_str_eq(dns.names, "otel ");
	finish();
}

Test(resolver, cut_answers_are_asked_for_again_over_tcp)
{
	start(zone);
	dns.truncate = true;
	cr_expect_eq(resolve("collector.example", "", 5 * S), 0);
	cr_expect_str_eq(addresses(), "10.0.0.1 fd00:0:0:0:0:0:0:1");
	cr_expect_eq(dns.asked_tcp, 2);
	dns.asked = 0;
	cr_expect_eq(resolve("collector.example", "options use-vc\n", 5 * S), 0);
	cr_expect_eq(dns.asked, 0);
	finish();
}

Test(resolver, forged_answers_are_not_heard)
{
	start(zone);
	dns.forge = true;
	cr_expect_eq(resolve("collector.example", "", 5 * S), 0);
	cr_expect_str_eq(addresses(), "10.0.0.1 fd00:0:0:0:0:0:0:1");
	finish();
}

Test(resolver, ids_differ_from_question_to_question)
{
	uint8_t first[2] = { 0 };
	int equal = 0;

	start(zone);
	for (int i = 0; i < 50; i++) {
		uint8_t p[300];
		struct pollfd wait = { dns.udp, POLLIN, 0 };

		dns.end = true; /* we read ourselves */
		if (i == 0)
			pthread_join(dns.thread, NULL);
		resolve("collector.example", "options timeout:1 attempts:1\n", 1 * MS);
		while (poll(&wait, 1, 0) > 0 && recv(dns.udp, p, sizeof(p), 0) > 0) {
			equal += memcmp(p, first, 2) == 0;
			memcpy(first, p, 2);
		}
	}
	cr_expect_leq(equal, 2);
}

Test(resolver, a_silent_server_costs_no_more_than_the_deadline)
{
	uint64_t before;

	start(zone);
	dns.silent = true;
	before = clock_monotonic_ns();
	cr_expect_eq(resolve("collector.example", "", 300 * MS), -ETIMEDOUT);
	cr_expect_lt(clock_monotonic_ns() - before, S);
	finish();
}

Test(resolver, each_server_is_tried_and_the_good_one_remembered)
{
	start(zone);
	/* Nobody listens at 127.0.0.9; our server has the third place. */
	init("collector.example", "",
	     "nameserver 127.0.0.9\nnameserver 127.0.0.10\nnameserver 127.0.0.1\n");
	resolver.port = dns.port;
	cr_expect_eq(resolver_refresh(&resolver, clock_monotonic_ns() + 5 * S), 0);
	cr_expect_eq(resolver.servers[0].ip[3], 1);
	cr_expect_eq(resolver.servers[2].ip[3], 9);
	finish();
}

Test(resolver, a_failing_server_is_not_taken_for_an_answer)
{
	start(zone);
	dns.servfail = true;
	cr_expect_eq(resolve("collector.example", "options attempts:2\n", 5 * S), -EAGAIN);
	cr_expect_eq(dns.asked, 4);
	finish();
}

Test(resolver, answers_are_kept_a_minute_and_asked_again_in_doubt)
{
	start(zone);
	cr_expect_eq(resolve("four.example", "", 5 * S), 0);
	cr_expect_eq(dns.asked, 2);
	cr_expect_eq(resolver_refresh(&resolver, clock_monotonic_ns() + S), 0);
	cr_expect_eq(dns.asked, 2);
	resolver.resolved_ns -= (RESOLVER_FRESH_S + 1) * S;
	cr_expect_eq(resolver_refresh(&resolver, clock_monotonic_ns() + S), 0);
	cr_expect_eq(dns.asked, 4);
	resolver_doubt(&resolver);
	cr_expect_eq(resolver_refresh(&resolver, clock_monotonic_ns() + S), 0);
	cr_expect_eq(dns.asked, 6);
	/* The server falls silent: what worked before is better than nothing. */
	dns.servfail = true;
	resolver_doubt(&resolver);
	cr_expect_eq(resolver_refresh(&resolver, clock_monotonic_ns() + 5 * S), 0);
	cr_expect_str_eq(addresses(), "10.0.0.4");
	finish();
}

Test(resolver, a_name_that_appears_later_is_found_then)
{
	static struct zone_entry late[2] = { { "wrong", "10.0.0.9", NULL, NULL } };

	start(late);
	cr_expect_eq(resolve("late.example", "", 5 * S), -ENOENT);
	late[0].name = "late.example";
	cr_expect_eq(resolver_refresh(&resolver, clock_monotonic_ns() + S), 0);
	cr_expect_str_eq(addresses(), "10.0.0.9");
	finish();
}
