/* SPDX-License-Identifier: Apache-2.0 */
/* The input chooses a recorded connection of HTTP/2, the side we are on, what is broken in it, and
 * how program and kernel cut the bytes. Whatever it is, the program is told what the kernel did and
 * nothing is left behind; and a connection that was not broken is understood by either side. */
#include <errno.h>
#include <unistd.h>
#include "shim/block.h"
#include "shim/conn.h"
#include "shim/hpack_memory.h"
#include "shim_model.h"

#include "tests/unit/h2_scenes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define PARENT_FIELDS "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n"

static struct script {
	const uint8_t *p;
	size_t n;
} script;

/* One direction: what is to come, and what has come out of it. */
struct way {
	struct flow *from;
	size_t at; /* bytes the program has been told of, or given */
	char out[FLOW_MAX + 65536];
	size_t n;
};

static struct run {
	int fd, peer;
	bool server, blocking, clean, closed;
	struct way out, in;
	struct shim_write half; /* a write whose end is still to come */
	struct iovec half_part;
	ssize_t half_result;
	bool half_open;
} run;

static unsigned next_byte(void)
{
	if (!script.n)
		return 0;
	script.n--;
	return *script.p++;
}

static size_t next_size(void)
{
	unsigned n = next_byte();

	return n < 200 ? n : (n - 199) * 97;
}

/* ---- what is said ---- */

static void scene_of_script(void)
{
	struct flow *f;

	open_both();
	f = client();
	for (unsigned stream = 1; stream < 40; stream += 2) {
		unsigned how = next_byte();

		if (!how)
			break;
		if (how & 1)
			flow_headers(f, stream, how & 2, GET_FIELDS("/a") "x-y: z\n");
		else if (how & 4)
			flow_continued(f, stream, how & 2, POST_FIELDS("/b") PARENT_FIELDS,
				       how % 7 + 1);
		else
			flow_headers(f, stream, how & 2, GET_FIELDS("/c") "!" PARENT_FIELDS);
		if (!(how & 2))
			flow_data(f, stream, true, (struct bytes){ rec.server.p, how });
	}
	f = server();
	for (unsigned stream = 1; stream < 40 && script.n; stream += 2)
		flow_headers(f, stream, true, ":status: 200\n");
}

static void (*const scenes[])(void) = {
	scene_get,  scene_post,   scene_frames,       scene_resets,  scene_connect,
	scene_grpc, scene_tables, scene_server_first, scene_upgrade, scene_of_script,
};
#define SCENES (sizeof(scenes) / sizeof(scenes[0]))

/* The n-th byte of the flow is another one, or some of the script's stand there. */
static void break_flow(struct flow *f)
{
	size_t at = next_size(), n;

	run.clean = false;
	if (!f->n)
		return;
	at %= f->n;
	n = next_byte() % 20;
	f->p[at] ^= (char)next_byte();
	for (size_t i = 0; i < n && at + i < f->n; i++)
		f->p[at + i] = (char)next_byte();
}

/* ---- calls ---- */

static ssize_t kernel_takes(const struct iovec *iov, int count, size_t limit, bool *stopped)
{
	struct way *o = &run.out;
	size_t offered = 0, taken = 0;

	must(count <= 1024);
	for (int i = 0; i < count; i++)
		offered += iov[i].iov_len;
	*stopped = true;
	if (!limit && offered && run.blocking)
		limit = 1;
	if (!limit && offered) {
		errno = EAGAIN;
		return -1;
	}
	for (int i = 0; i < count && taken < limit; i++) {
		size_t n = iov[i].iov_len < limit - taken ? iov[i].iov_len : limit - taken;

		must(o->n + n <= sizeof(o->out));
		memcpy(o->out + o->n, iov[i].iov_base, n);
		o->n += n;
		taken += n;
	}
	*stopped = taken < offered;
	return (ssize_t)taken;
}

static void told(ssize_t n, size_t offered)
{
	must(n <= (ssize_t)offered);
	must(n >= 0 || (errno == EAGAIN && !run.blocking) || errno == EBADF);
	if (n > 0)
		run.out.at += (size_t)n;
}

static void half_ends(void)
{
	bool stopped;

	if (!run.half_open)
		return;
	run.half_open = false;
	errno = EAGAIN;
	while (shim_write_again(&run.half, &run.half_result))
		run.half_result =
			kernel_takes(run.half.iov, run.half.iovcnt, next_size(), &stopped);
	told(run.half_result, run.half_part.iov_len);
}

static void program_writes(size_t n, size_t limit, bool half)
{
	static const enum shim_call calls[] = { SHIM_CALL_WRITE, SHIM_CALL_WRITEV,
						SHIM_CALL_SENDMSG, SHIM_CALL_SEND };
	struct way *o = &run.out;
	enum shim_call call = calls[next_byte() % 4];
	size_t left = o->from->n - o->at, first = next_size();
	struct iovec iov[2];
	struct shim_write w;
	bool stopped;
	ssize_t sent;

	half_ends();
	left = o->from->n - o->at;
	n = n < left ? n : left;
	if (!n)
		return;
	first = first < n ? first : n;
	iov[0] = (struct iovec){ o->from->p + o->at, first };
	iov[1] = (struct iovec){ o->from->p + o->at + first, n - first };
	run.half_part = (struct iovec){ o->from->p + o->at, n };
	if (half) {
		run.half_open = true;
		shim_write_begin(&run.half, run.fd, &run.half_part, 1, 0, call);
		run.half_result = kernel_takes(run.half.iov, run.half.iovcnt, limit, &stopped);
		return;
	}
	if (call == SHIM_CALL_WRITE || call == SHIM_CALL_SEND)
		shim_write_begin(&w, run.fd, &run.half_part, 1, 0, call);
	else
		shim_write_begin(&w, run.fd, iov, 2, 0, call);
	do
		sent = kernel_takes(w.iov, w.iovcnt, limit, &stopped);
	while (shim_write_again(&w, &sent));
	must(sent == (ssize_t)n || stopped);
	told(sent, n);
}

static void program_reads(size_t n)
{
	struct way *i = &run.in;
	size_t left = i->from->n - i->at, room = 1 + next_size() * 7;
	char *buffer = malloc(room);
	struct iovec part = { buffer, room };
	struct shim_read r;
	ssize_t got;

	shim_read_begin(&r, run.fd, &part, 1, 0, SHIM_CALL_RECV);
	must(r.iov->iov_len <= room);
	n = n < left ? n : left;
	n = n < r.iov->iov_len ? n : r.iov->iov_len;
	memcpy(buffer, i->from->p + i->at, n);
	i->at += n;
	if (!n) { /* no end of the stream, but nothing */
		errno = EAGAIN;
		must(shim_read_end(&r, -1, 0) == -1);
	} else {
		got = shim_read_end(&r, (ssize_t)n, 0);
		must(got >= (ssize_t)n && got <= (ssize_t)room);
		must(i->n + (size_t)got <= sizeof(i->out));
		memcpy(i->out + i->n, buffer, (size_t)got);
		i->n += (size_t)got;
	}
	free(buffer);
}

static void odd_things(void)
{
	run.clean = false;
	switch (next_byte() % 6) {
	case 0:
		shim_make_opaque(run.fd);
		break;
	case 1:
		shim_on_shutdown(run.fd, SHUT_WR);
		break;
	case 2:
		shim_on_received_unseen(run.fd, 1 + (ssize_t)next_size());
		break;
	case 3:
		if (!run.half_open)
			shim_on_sent_unseen(run.fd, 1 + (ssize_t)next_size());
		break;
	case 4:
		shim_before_close(run.fd);
		run.closed = true;
		break;
	default:
		shim_fork_parent();
	}
}

/* ---- the end ---- */

/* The rest of either side is not behind a preface: whole flows only. */
static void expect_understood(const struct way *w)
{
	static struct transcript plain, altered;
	size_t n;

	if (!w->from->n || !bytes_start_with(flow_bytes(&rec.client), BYTES("PRI")))
		return; /* an upgrade's flows begin with something else */
	must(w->at == w->from->n);
	must(transcript_read(&plain, flow_bytes(w->from)));
	must(transcript_read(&altered, (struct bytes){ w->out, w->n }));
	must(transcript_is_traced(&altered, &plain, &n));
}

static void finish(void)
{
	half_ends();
	while (run.clean && run.out.at < run.out.from->n)
		program_writes(FLOW_MAX, FLOW_MAX, false);
	while (run.clean && run.in.at < run.in.from->n)
		program_reads(FLOW_MAX);
	if (!run.closed)
		shim_before_close(run.fd);
	close(run.fd);
	close(run.peer);
	/* A server's answers go out as they are. */
	if (run.clean)
		expect_understood(&run.out);
	if (run.clean)
		expect_understood(&run.in);
	if (run.server)
		must(run.out.n == run.out.at && !memcmp(run.out.out, run.out.from->p, run.out.n));
	must(conn_in_use() == 0);
	must(exchange_in_use() == 0);
	must(block_in_use() == 0);
	must(hpack_memory_in_use() == 0);
}

static void begin(void)
{
	unsigned how = next_byte();
	int ends[2];

	record(scenes[next_byte() % SCENES]);
	run.server = how & 1;
	run.blocking = how & 2;
	run.clean = true;
	run.closed = run.half_open = false;
	run.out.from = run.server ? &rec.server : &rec.client;
	run.in.from = run.server ? &rec.client : &rec.server;
	run.out.at = run.out.n = run.in.at = run.in.n = 0;
	for (unsigned i = 0; i < how >> 6; i++)
		break_flow(next_byte() & 1 ? &rec.client : &rec.server);
	must(socketpair(AF_UNIX, SOCK_STREAM | (run.blocking ? 0 : SOCK_NONBLOCK), 0, ends) == 0);
	run.fd = ends[0];
	run.peer = ends[1];
	if (run.server)
		shim_on_accept(-1, run.fd, NULL, 0);
	else
		shim_on_socket(run.fd, AF_UNIX, SOCK_STREAM);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char *envp[] = { (char *)"TAGALONG_TRACES_FILE=/dev/null",
				(char *)"TAGALONG_INBOUND_HEADER=on", (char *)"TAGALONG_LINK=best",
				(char *)"OTEL_BSP_SCHEDULE_DELAY=60000", NULL };

	(void)argc;
	(void)argv;
	shim_start(envp);
	shim_before_close_range(0, ~0u);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	script = (struct script){ data, size < 4096 ? size : 4096 };
	model_reset();
	begin();
	while (script.n && !run.closed) {
		unsigned step = next_byte();
		size_t n = next_size();

		if (step >= 252)
			odd_things();
		else if (step % 8 < 3)
			program_writes(n, next_size(), false);
		else if (step % 8 == 3)
			program_writes(n, next_size(), true);
		else if (step % 8 == 4)
			half_ends();
		else
			program_reads(n);
	}
	finish();
	return 0;
}
