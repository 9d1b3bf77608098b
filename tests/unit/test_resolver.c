/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver against a name server of our own on the loopback interface. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "exporter/resolver.h"
#include "name_server.h"

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
	cr_expect_str_eq(addresses(), "10.0.0.5 127.0.0.1 0:0:0:0:0:0:0:1");
}

Test(resolver, long_lines_and_many_lines_are_bounded)
{
	static char hosts[1200000];
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
	cr_expect_str_eq(names(), "otel.ns.svc.cluster.local ");
	cr_expect_eq(resolve("four", conf, 5 * S), 0);
	cr_expect_str_eq(names(), "four.ns.svc.cluster.local four.example ");
	cr_expect_eq(resolve("single", conf, 5 * S), 0);
	cr_expect_str_eq(names(), "single.ns.svc.cluster.local single.example single ");
	cr_expect_eq(resolve("a.b.c", conf, 5 * S), -ENOENT);
	cr_expect_str_eq(names(), "a.b.c a.b.c.ns.svc.cluster.local a.b.c.example ");
	cr_expect_eq(resolve("otel.", conf, 5 * S), -ENOENT);
	cr_expect_str_eq(names(), "otel ");
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
	pthread_mutex_lock(&lock);
	late[0].name = "late.example";
	pthread_mutex_unlock(&lock);
	cr_expect_eq(resolver_refresh(&resolver, clock_monotonic_ns() + S), 0);
	cr_expect_str_eq(addresses(), "10.0.0.9");
	finish();
}
