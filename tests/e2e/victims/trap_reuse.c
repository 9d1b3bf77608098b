/* SPDX-License-Identifier: Apache-2.0 */
/* A descriptor that was a connection is closed in some way, and its number becomes a file. What is
 * written to the file looks like a request and must arrive as it is.
 *	trap_reuse WAY
 *	trap_reuse threads ROUNDS
 * threads: two threads send and receive on a connection while a third closes it and makes a file of
 * the number. */
#include "trap.h"
#include <dirent.h>
#include <dlfcn.h>
#include <sys/stat.h>

#define NAMED(name, type) ((type)named(name))

static void *named(const char *name)
{
	void *p = dlsym(RTLD_DEFAULT, name);

	if (!p) {
		printf("%s: not here\n", name);
		fflush(stdout);
		_exit(77);
	}
	return p;
}

static bool is(const char *name, const char *what)
{
	return strcmp(name, what) == 0;
}

static int new_file(void)
{
	char name[] = "reuse-XXXXXX";
	int fd = mkstemp(name);

	CHECK(fd >= 0 && unlink(name) == 0);
	return fd;
}

/* A file under the number `fd`, however it is taken. */
static void file_as(int fd)
{
	int file = new_file();

	if (file == fd)
		return;
	/* By system call nobody sees: the way under test was the close. */
	CHECK(unseen(SYS_dup3, file, fd, 0) == fd);
	unseen(SYS_close, file, 0, 0);
}

static void close_by(const char *way, int fd)
{
	int file = -1;

	if (is(way, "close") || is(way, "__close") || is(way, "__close_nocancel")) {
		CHECK(NAMED(way, int (*)(int))(fd) == 0);
	} else if (is(way, "close_range")) {
		CHECK(NAMED("close_range", int (*)(unsigned, unsigned,
						   int))((unsigned)fd, (unsigned)fd + 5, 0) == 0);
	} else if (is(way, "close_range_unshare")) {
		CHECK(NAMED("close_range", int (*)(unsigned, unsigned, int))((unsigned)fd, ~0u,
									     2) == 0);
	} else if (is(way, "closefrom")) {
		NAMED("closefrom", void (*)(int))(fd);
	} else if (is(way, "fclose")) {
		CHECK(fclose(fdopen(fd, "r+")) == 0);
	} else if (is(way, "freopen") || is(way, "freopen64")) {
		FILE *f = fdopen(fd, "w+");

		f = NAMED(way, FILE * (*)(const char *, const char *, FILE *))("/dev/null", "w+",
									       f);
		CHECK(f && fileno(f) == fd);
	} else if (is(way, "syscall")) {
		CHECK(syscall(SYS_close, fd) == 0);
	} else if (is(way, "syscall_close_range")) {
		CHECK(syscall(SYS_close_range, fd, ~0u, 0) == 0);
	} else {
		file = new_file();
		if (is(way, "dup2") || is(way, "__dup2"))
			CHECK(NAMED(way, int (*)(int, int))(file, fd) == fd);
		else if (is(way, "dup3"))
			CHECK(dup3(file, fd, O_CLOEXEC) == fd);
		else if (is(way, "syscall_dup2"))
			CHECK(syscall(SYS_dup2, file, fd) == fd);
		else
			CHECK(!"a known way");
	}
}

static void write_and_show(int fd)
{
	const char *text = request_text("in-a-file");
	char back[512] = "";
	struct stat st;

	CHECK(fstat(fd, &st) == 0 && S_ISREG(st.st_mode));
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(pread(fd, back, sizeof(back) - 1, 0) >= 0);
	printf("%s", back);
}

static void test_way(const char *way)
{
	int client, server, fd;

	connect_pair(&client, &server);
	/* High, so that closing "from here on" leaves the rest alone. */
	fd = fcntl(client, F_DUPFD, 100);
	one_request(fd, server, way);
	close_by(way, fd);
	file_as(fd);
	write_and_show(fd);
	printf("%d\n", close(fd));
	/* Whatever was closed: the other number still is the connection. */
	one_request(client, server, "again");
}

/* ---- threads ---- */

static _Atomic int shared = -1;
static _Atomic bool stop;

static void *send_on(void *arg)
{
	const char *text = request_text("threads");

	(void)arg;
	while (!stop)
		if (shared >= 0)
			send(shared, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
	return NULL;
}

static void *receive_on(void *arg)
{
	char p[256];

	(void)arg;
	while (!stop)
		if (shared >= 0)
			recv(shared, p, sizeof(p), MSG_DONTWAIT);
	return NULL;
}

static void test_threads(int rounds)
{
	pthread_t a, b;

	CHECK(pthread_create(&a, NULL, send_on, NULL) == 0);
	CHECK(pthread_create(&b, NULL, receive_on, NULL) == 0);
	for (int i = 0; i < rounds; i++) {
		int client, server, file;
		char back[512] = "";
		const char *text = request_text("in-a-file");

		connect_pair(&client, &server);
		shared = client;
		for (int k = 0; k < 3; k++)
			sched_yield();
		close(client);
		file = new_file();
		CHECK(write(file, text, strlen(text)) == (ssize_t)strlen(text));
		CHECK(pread(file, back, sizeof(back) - 1, 0) >= 0);
		/* send() on a file is ENOTSOCK: only write() could have put it there. */
		if (strcmp(back, text) != 0)
			printf("round %d: the file holds %s", i, back);
		shared = -1;
		close(file);
		close(server);
	}
	stop = true;
	pthread_join(a, NULL);
	pthread_join(b, NULL);
}

int main(int argc, char **argv)
{
	CHECK(argc >= 2);
	signal(SIGPIPE, SIG_IGN);
	if (is(argv[1], "threads"))
		test_threads(atoi(argv[2]));
	else
		test_way(argv[1]);
	printf("end\n");
	return 0;
}
