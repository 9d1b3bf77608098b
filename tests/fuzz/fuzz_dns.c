/* SPDX-License-Identifier: Apache-2.0 */
/* What a name server answers, and addresses as text. */
#include <stdlib.h>
#include "exporter/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool true_always)
{
	if (!true_always)
		abort();
}

static void addresses(struct bytes in)
{
	struct net_address a, again;
	char room[64];
	struct text t = TEXT_ON(room);

	/* A scope names an interface: files would be opened. */
	if ((in.n && memchr(in.p, '%', in.n)) || net_parse_address(&a, in))
		return;
	net_put_address(&t, &a);
	must(!t.cut && net_parse_address(&again, text_bytes(&t)) == 0);
	must(net_same_address(&a, &again));
}

/* The packet has the head and question that it should, and whatever comes behind. */
static void answers(struct bytes in, enum dns_type type)
{
	struct net_address found[DNS_ADDRESSES_MAX];
	struct dns_query q;
	unsigned count = 0;
	size_t n;
	char *p;

	must(dns_make_query(&q, 0x4242, BYTES("collector.example.com"), type) == 0);
	n = q.n + in.n;
	p = malloc(n);
	memcpy(p, q.p, q.n);
	p[2] = (char)0x81;
	p[3] = (char)0x80;
	p[7] = in.n ? in.p[0] : 0;
	if (in.n)
		memcpy(p + q.n, in.p, in.n);
	dns_read_answer((struct bytes){ p, n }, &q, found, &count);
	must(count <= DNS_ADDRESSES_MAX);
	free(p);
	count = 0;
	dns_read_answer(in, &q, found, &count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { (const char *)data, size };
	struct dns_query q;

	addresses(in);
	answers(in, DNS_A);
	answers(in, DNS_AAAA);
	if (dns_make_query(&q, 1, in, DNS_A) == 0)
		must(q.n <= sizeof(q.p));
	return 0;
}
