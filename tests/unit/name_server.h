/* SPDX-License-Identifier: Apache-2.0 */
/* A name server on the loopback interface, over UDP and TCP, that can also misbehave. */
#ifndef UNIT_NAME_SERVER_H
#define UNIT_NAME_SERVER_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct zone_entry {
	const char *name;
	const char *ipv4, *ipv6, *alias; /* NULL: none */
};

static struct {
	int udp, tcp;
	uint16_t port;
	pthread_t thread;
	const struct zone_entry *zone;
	_Atomic bool truncate, silent, forge, servfail;
	_Atomic bool end;
	_Atomic int asked, asked_tcp;
	char names[1024]; /* asked for, in order */
} dns;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of zone and names */

/* What was asked for since the last call. */
static const char *names(void)
{
	static char copy[sizeof(dns.names)];

	pthread_mutex_lock(&lock);
	strcpy(copy, dns.names);
	dns.names[0] = '\0';
	pthread_mutex_unlock(&lock);
	return copy;
}

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
	pthread_mutex_lock(&lock);
	size = make_answer(p, (size_t)n, false);
	pthread_mutex_unlock(&lock);
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
		pthread_mutex_lock(&lock);
		n = make_answer(p + 2, n, true);
		pthread_mutex_unlock(&lock);
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

#endif
