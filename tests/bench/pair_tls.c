/* SPDX-License-Identifier: Apache-2.0 */
/* A server over loopback that answers COUNT requests by OpenSSL: pair_tls COUNT. Prints nanoseconds
 * of CPU time per request: of this thread, and of the process (which has the exporter's thread as
 * well).
 *
 * The client is in this thread too, as in pair.c: its bytes move by bare system calls, and its
 * object says that the kernel may encrypt, which is left alone. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/raw.h"
#include "tests/bench/bench.h"

#define CONNECTIONS 16
#define TRIES_MAX   100000
#define BURST       500
#define PAUSE_US    2000

struct connection {
	SSL *server, *client;
	int other;
	BIO *to, *from; /* what the client hears, and says */
};

static struct connection connections[CONNECTIONS];
static char room[65536];

static void check(bool fine, const char *what)
{
	if (!fine)
		die(what);
}

static void client_sends(struct connection *c)
{
	int n = BIO_read(c->from, room, sizeof(room));

	check(n <= 0 || raw_write(c->other, room, (size_t)n) == n, "the client's write");
}

static void client_receives(struct connection *c, int flags)
{
	ssize_t n = raw_recv(c->other, room, sizeof(room), flags);

	check(n <= 0 || BIO_write(c->to, room, (int)n) == n, "the client's read");
}

static SSL_CTX *server_context(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();

	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	check(X509_sign(cert, key, EVP_sha256()) > 0, "certificate");
	SSL_CTX_set_num_tickets(context, 0);
	check(SSL_CTX_use_certificate(context, cert) == 1 &&
		      SSL_CTX_use_PrivateKey(context, key) == 1,
	      "certificate");
	return context;
}

static void connect_one(struct connection *c, int listener, SSL_CTX *server, SSL_CTX *client)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	int one = 1, fd, done = 0;

	getsockname(listener, (struct sockaddr *)&address, &len);
	c->other = (int)raw_socket(AF_INET, SOCK_STREAM, 0);
	check(raw_connect(c->other, (struct sockaddr *)&address, len) == 0, "connect");
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	check(fd >= 0, "accept");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->server = SSL_new(server);
	SSL_set_fd(c->server, fd);
	c->client = SSL_new(client);
	SSL_set_options(c->client, SSL_OP_ENABLE_KTLS);
	c->to = BIO_new(BIO_s_mem());
	c->from = BIO_new(BIO_s_mem());
	SSL_set_bio(c->client, c->to, c->from);
	for (unsigned i = 0; (done & 3) != 3 && i < TRIES_MAX; i++) {
		done |= SSL_connect(c->client) == 1 ? 1 : 0;
		client_sends(c);
		done |= SSL_accept(c->server) == 1 ? 2 : 0;
		client_receives(c, MSG_DONTWAIT);
	}
	check(done == 3, "handshake");
	check(fcntl(fd, F_SETFL, 0) == 0, "fcntl");
}

static void connect_all(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	SSL_CTX *server = server_context(), *client = SSL_CTX_new(TLS_client_method());

	check(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		      listen(listener, CONNECTIONS) == 0,
	      "listen");
	for (unsigned i = 0; i < CONNECTIONS; i++)
		connect_one(&connections[i], listener, server, client);
	close(listener);
}

static void answer(unsigned turn)
{
	struct connection *c = &connections[turn % CONNECTIONS];

	check(SSL_write(c->client, REQUEST_TRACED, LENGTH(REQUEST_TRACED)) > 0, "SSL_write");
	client_sends(c);
	check(SSL_read(c->server, room, sizeof(room)) > 0, "SSL_read");
	check(SSL_write(c->server, RESPONSE, LENGTH(RESPONSE)) > 0, "SSL_write");
	client_receives(c, 0);
	check(SSL_read(c->client, room, sizeof(room)) > 0, "SSL_read");
}

int main(int argc, char **argv)
{
	unsigned count = argc == 2 ? (unsigned)atoi(argv[1]) : 0;
	uint64_t thread = 0, process, start;

	if (!count)
		return 2;
	connect_all();
	for (unsigned i = 0; i < 4 * BURST; i++)
		answer(i);
	process = process_cpu_ns();
	for (unsigned done = 0; done < count; done += BURST) {
		start = thread_cpu_ns();
		for (unsigned i = 0; i < BURST; i++)
			answer(i);
		thread += thread_cpu_ns() - start;
		usleep(PAUSE_US);
	}
	count = (count + BURST - 1) / BURST * BURST;
	printf("%.1f %.1f\n", (double)thread / count, (double)(process_cpu_ns() - process) / count);
	return 0;
}
