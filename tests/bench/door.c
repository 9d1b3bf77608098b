/* SPDX-License-Identifier: Apache-2.0 */
/* What the shim costs at its door, with no system call of the program's in between: door ROW COUNT.
 * Prints nanoseconds of CPU time of this thread per operation. The library's own objects, so that
 * instructions can be counted: valgrind --tool=callgrind --toggle-collect=measured door server
 * 2000.
 *
 * Spans are made in bursts that the ring holds, and exported in between. */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "exporter/exporter.h"
#include "shim/shim.h"
#include "tests/bench/bench.h"
#include "tests/bench/h2_frames.h"

#define BURST 1000

static char room[65536];

static void reads(int fd, const char *text, size_t n)
{
	struct iovec part = { room, sizeof(room) };
	struct shim_read r;

	memcpy(room, text, n); /* the kernel's part; injection may change it */
	shim_read_begin(&r, fd, &part, 1, 0, SHIM_CALL_RECV);
	shim_read_end(&r, (ssize_t)n, 0);
}

static void writes(int fd, const char *text, size_t n)
{
	struct iovec part = { (char *)text, n };
	struct shim_write w;
	ssize_t sent;

	shim_write_begin(&w, fd, &part, 1, 0, SHIM_CALL_SEND);
	do
		sent = (ssize_t)w.iov->iov_len;
	while (shim_write_again(&w, &sent));
}

static void server(int fd)
{
	reads(fd, REQUEST_TRACED, LENGTH(REQUEST_TRACED));
	writes(fd, RESPONSE, LENGTH(RESPONSE));
}

static void client(int fd)
{
	writes(fd, REQUEST_PLAIN, LENGTH(REQUEST_PLAIN));
	reads(fd, RESPONSE, LENGTH(RESPONSE));
}

static void body_64(int fd)
{
	writes(fd, room, 64);
}

static void body_4k(int fd)
{
	writes(fd, room, 4096);
}

static void body_64k(int fd)
{
	writes(fd, room, 65536);
}

/* One connection of HTTP/2: what is asked and answered over and over. */
static struct {
	struct h2_message request, response;
	uint32_t stream;
} h2;

static void h2_server(int fd)
{
	h2.stream += 2;
	h2_number(&h2.request, h2.stream);
	h2_number(&h2.response, h2.stream);
	reads(fd, h2.request.p, h2.request.n);
	writes(fd, h2.response.p, h2.response.n);
}

static void h2_client(int fd)
{
	h2.stream += 2;
	h2_number(&h2.request, h2.stream);
	h2_number(&h2.response, h2.stream);
	writes(fd, h2.request.p, h2.request.n);
	reads(fd, h2.response.p, h2.response.n);
}

/* The first of each kind fills the tables, the second is like all that follow. */
static void h2_begin(int fd, bool server, bool grpc)
{
	nghttp2_hd_deflater *requests, *responses;

	if (nghttp2_hd_deflate_new(&requests, 4096) || nghttp2_hd_deflate_new(&responses, 4096))
		abort();
	if (server)
		reads(fd, H2_START, LENGTH(H2_START));
	else
		writes(fd, H2_START, LENGTH(H2_START));
	if (server)
		writes(fd, H2_NO_SETTINGS, LENGTH(H2_NO_SETTINGS));
	else
		reads(fd, H2_NO_SETTINGS, LENGTH(H2_NO_SETTINGS));
	h2.stream = (uint32_t)-1;
	for (int i = 0; i < 2; i++) {
		memset(&h2.request, 0, sizeof(h2.request));
		memset(&h2.response, 0, sizeof(h2.response));
		h2_request(&h2.request, requests, server, grpc);
		h2_response(&h2.response, responses, grpc);
		(server ? h2_server : h2_client)(fd);
	}
	nghttp2_hd_deflate_del(requests);
	nghttp2_hd_deflate_del(responses);
}

static void h2_server_begin(int fd)
{
	h2_begin(fd, true, false);
}

static void h2_client_begin(int fd)
{
	h2_begin(fd, false, false);
}

static void grpc_server_begin(int fd)
{
	h2_begin(fd, true, true);
}

static void grpc_client_begin(int fd)
{
	h2_begin(fd, false, true);
}

static void body_begin(int fd)
{
	reads(fd, REQUEST_TRACED, LENGTH(REQUEST_TRACED));
	writes(fd, RESPONSE_ENDLESS, LENGTH(RESPONSE_ENDLESS));
}

__attribute__((noinline, noclone)) static void measured(void (*row)(int fd), int fd, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		row(fd);
}

static int tracked(bool accepted, int *peer)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		die("socketpair");
	if (accepted)
		shim_on_accept(-1, ends[0], NULL, 0);
	else
		shim_on_socket(ends[0], AF_UNIX, SOCK_STREAM);
	*peer = ends[1];
	return ends[0];
}

static const struct row {
	const char *name;
	void (*run)(int fd);
	bool accepted;
	void (*begin)(int fd); /* or NULL */
} rows[] = {
	{ "server", server, true, NULL },
	{ "client", client, false, NULL },
	{ "body-64", body_64, true, body_begin },
	{ "body-4k", body_4k, true, body_begin },
	{ "body-64k", body_64k, true, body_begin },
	{ "h2-server", h2_server, true, h2_server_begin },
	{ "h2-client", h2_client, false, h2_client_begin },
	{ "grpc-server", h2_server, true, grpc_server_begin },
	{ "grpc-client", h2_client, false, grpc_client_begin },
};

static const struct row *find(const char *name)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (strcmp(name, rows[i].name) == 0)
			return &rows[i];
	fprintf(stderr, "door: no row '%s'\n", name);
	exit(2);
}

int main(int argc, char **argv, char **envp)
{
	const struct row *row = find(argc > 1 ? argv[1] : "server");
	unsigned count = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 100000;
	uint64_t spent = 0;
	int fd, peer;

	shim_start(envp);
	fd = tracked(row->accepted, &peer);
	if (row->begin)
		row->begin(fd);
	for (unsigned done = 0; done < count; done += BURST) {
		uint64_t start = thread_cpu_ns();

		measured(row->run, fd, BURST);
		spent += thread_cpu_ns() - start;
		exporter_flush(1000, false);
	}
	printf("%.1f\n", (double)spent / count);
	return 0;
}
