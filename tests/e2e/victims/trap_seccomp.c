/* SPDX-License-Identifier: Apache-2.0 */
/* A program that allows itself a handful of system calls, and dies by any other.
 *	trap_seccomp filter|tsync|strict CALL [bare]
 * A connection is made, then the filter is installed, then a request goes out by CALL: the only way
 * of writing that is allowed. bare: no request before the filter, so that ours is the first. */
#include "trap.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

static bool is(const char *name, const char *what)
{
	return strcmp(name, what) == 0;
}

#define ALLOW(nr)                                        \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* Transcript and the unseen side go by write(): 1 for the transcript, `far` for the other. */
static void install(const char *how, int nr, int client)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_read),
		ALLOW(SYS_exit_group),
		ALLOW((unsigned)nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 3),
		/* write() to anything but the connection, if it is not the call under test. */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)client, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	if (is(how, "strict")) {
		CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) == 0);
		return;
	}
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	if (is(how, "tsync"))
		CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
			      &program) == 0);
	else
		CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static int number_of(const char *call)
{
	return is(call, "write")      ? SYS_write
	       : is(call, "writev")   ? SYS_writev
	       : is(call, "send")     ? SYS_sendto
	       : is(call, "sendmsg")  ? SYS_sendmsg
	       : is(call, "sendmmsg") ? SYS_sendmmsg
				      : -1;
}

static ssize_t write_by(int nr, int fd, const char *text)
{
	struct iovec iov = { (void *)text, strlen(text) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct mmsghdr mm = { .msg_hdr = m };

	switch (nr) {
	case SYS_write:
		return write(fd, text, strlen(text));
	case SYS_writev:
		return writev(fd, &iov, 1);
	case SYS_sendto:
		return send(fd, text, strlen(text), 0);
	case SYS_sendmsg:
		return sendmsg(fd, &m, 0);
	case SYS_sendmmsg:
		return sendmmsg(fd, &mm, 1, 0) == 1 ? (ssize_t)mm.msg_len : -1;
	}
	return -1;
}

static void say(const char *text)
{
	write(1, text, strlen(text));
}

int main(int argc, char **argv)
{
	int client, server, nr;
	char p[512];

	CHECK(argc >= 3);
	nr = number_of(argv[2]);
	connect_pair(&client, &server);
	if (argc < 4)
		one_request(client, server, "before");
	install(argv[1], nr, client);
	if (write_by(nr, client, request_text("filtered")) < 0)
		say("not written\n");
	say(unseen_read(server, "\r\n\r\n"));
	unseen_write(server, RESPONSE);
	if (read(client, p, sizeof(p)) != (ssize_t)strlen(RESPONSE))
		say("not read\n");
	say("end\n");
	if (is(argv[1], "strict"))
		unseen(SYS_exit, 0, 0, 0);
	_exit(0);
}
