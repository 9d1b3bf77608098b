/* SPDX-License-Identifier: Apache-2.0 */
/* /etc/hosts and /etc/resolv.conf: read once, at start, keeping only what this host needs. */
#include "base/raw.h"
#include "exporter/lines.h"
#include "exporter/resolver.h"

typedef void (*line_fn)(struct resolver *r, struct bytes line);

/* Calls fn for each line without its comment. No file is an empty file. */
static void each_line(struct resolver *r, const char *path, line_fn fn)
{
	struct bytes line;
	struct lines l;

	if (lines_open(&l, path) < 0)
		return;
	while (lines_next(&l, &line))
		fn(r, bytes_split(&line, '#'));
	lines_close(&l);
}

/* The next word of a line, empty at its end. */
static struct bytes next_word(struct bytes *line)
{
	struct bytes word;

	while (line->n && (*line->p == ' ' || *line->p == '\t' || *line->p == '\r'))
		line->p++, line->n--;
	word = (struct bytes){ line->p, 0 };
	while (line->n && *line->p != ' ' && *line->p != '\t' && *line->p != '\r')
		line->p++, line->n--, word.n++;
	return word;
}

static struct bytes without_last_dot(struct bytes name)
{
	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	return name;
}

static void add_address(struct resolver *r, const struct net_address *a)
{
	for (unsigned i = 0; i < r->address_count; i++)
		if (net_same_address(a, &r->addresses[i]))
			return;
	if (r->address_count < RESOLVER_ADDRESSES)
		r->addresses[r->address_count++] = *a;
}

static void read_hosts_line(struct resolver *r, struct bytes line)
{
	struct bytes address = next_word(&line), name;
	struct bytes host = without_last_dot(bytes_of(r->host));
	struct net_address a;

	while ((name = next_word(&line)).n) {
		if (!bytes_equal_nocase(without_last_dot(name), host))
			continue;
		if (net_parse_address(&a, address) == 0)
			add_address(r, &a);
		return;
	}
}

static void read_search(struct resolver *r, struct bytes line, unsigned most)
{
	struct bytes name;

	r->search_count = 0;
	while ((name = next_word(&line)).n && r->search_count < most) {
		name = without_last_dot(name);
		if (name.n == 0 || name.n > RESOLVER_NAME_MAX)
			continue;
		memcpy(r->search[r->search_count], name.p, name.n);
		r->search[r->search_count++][name.n] = '\0';
	}
}

static void read_number(struct bytes option, struct bytes name, unsigned most, unsigned *out)
{
	uint64_t n;

	if (!bytes_start_with(option, name))
		return;
	if (bytes_to_u64((struct bytes){ option.p + name.n, option.n - name.n }, &n) == 0)
		*out = n < most ? (unsigned)n : most;
}

/* The ceilings are those of resolv.conf(5). */
static void read_options(struct resolver *r, struct bytes line)
{
	struct bytes option;

	while ((option = next_word(&line)).n) {
		read_number(option, BYTES("ndots:"), 15, &r->ndots);
		read_number(option, BYTES("timeout:"), 30, &r->timeout_s);
		read_number(option, BYTES("attempts:"), 5, &r->attempts);
		if (bytes_equal(option, BYTES("use-vc")))
			r->use_tcp = true;
	}
}

static void read_resolv_line(struct resolver *r, struct bytes line)
{
	struct bytes key = next_word(&line);

	if (key.n == 0 || key.p[0] == ';')
		return;
	if (bytes_equal(key, BYTES("nameserver")) && r->server_count < RESOLVER_SERVERS) {
		if (net_parse_address(&r->servers[r->server_count], next_word(&line)) == 0)
			r->server_count++;
	} else if (bytes_equal(key, BYTES("search"))) {
		read_search(r, line, RESOLVER_SEARCH);
	} else if (bytes_equal(key, BYTES("domain"))) {
		read_search(r, line, 1);
	} else if (bytes_equal(key, BYTES("options"))) {
		read_options(r, line);
	}
}

/* Without a search list the domain of this machine's own name is searched. */
static void default_search(struct resolver *r)
{
	struct utsname name;
	struct bytes domain;

	if (raw_uname(&name) < 0)
		return;
	domain = bytes_of(name.nodename);
	bytes_split(&domain, '.');
	if (domain.n)
		read_search(r, domain, 1);
}

static bool is_localhost(struct bytes host)
{
	const struct bytes tail = BYTES(".localhost");
	struct bytes end;

	host = without_last_dot(host);
	if (bytes_equal_nocase(host, BYTES("localhost")))
		return true;
	if (host.n <= tail.n)
		return false;
	end = (struct bytes){ host.p + host.n - tail.n, tail.n };
	return bytes_equal_nocase(end, tail);
}

static void add_loopback(struct resolver *r)
{
	struct net_address a;

	if (net_parse_address(&a, BYTES("127.0.0.1")) == 0)
		add_address(r, &a);
	if (net_parse_address(&a, BYTES("::1")) == 0)
		add_address(r, &a);
}

void resolver_init(struct resolver *r, const char *host, const char *hosts_file,
		   const char *resolv_conf, const _Atomic uint32_t *stop)
{
	struct bytes name = bytes_of(host);

	memset(r, 0, offsetof(struct resolver, packet));
	r->socket = (struct net_socket){ .slot = OWN_FD_RESOLVE, .stop = stop };
	r->port = 53;
	if (name.n > RESOLVER_NAME_MAX)
		name.n = RESOLVER_NAME_MAX;
	memcpy(r->host, name.p, name.n);
	if (net_parse_address(&r->addresses[0], name) == 0)
		r->address_count = 1;
	else
		each_line(r, hosts_file, read_hosts_line);
	/* RFC 6761 section 6.3: such names are never asked for. Both families behind what the file
	 * says: a collector may listen on either. */
	if (is_localhost(name))
		add_loopback(r);
	r->fixed = r->address_count > 0;
	if (r->fixed)
		return;
	r->ndots = 1;
	r->timeout_s = 5;
	r->attempts = 2;
	default_search(r);
	each_line(r, resolv_conf, read_resolv_line);
	if (!r->server_count && net_parse_address(&r->servers[0], BYTES("127.0.0.1")) == 0)
		r->server_count = 1;
	if (!r->timeout_s)
		r->timeout_s = 1;
	if (!r->attempts)
		r->attempts = 1;
}
