/* SPDX-License-Identifier: Apache-2.0 */
/* New processes, in every way there is. The parent makes a request, the child (unless it may touch
 * nothing) one of its own, and when it is gone the parent goes on with its connection.
 *	trap_process WAY
 *	trap_process storm COUNT
 *	trap_process exec NAME		a request, then the program is replaced
 *	trap_process exit WAY		a request, then the process ends
 *	trap_process open WAY		the same in the middle of a second one */
#include "trap.h"
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/prctl.h>

extern char **environ;

/* Not in every libc. */
extern int close_range(unsigned first, unsigned last, int flags) __attribute__((weak));
extern int execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags)
	__attribute__((weak));

static int client, server;

static bool is(const char *name, const char *what)
{
	return strcmp(name, what) == 0;
}

static void fresh_request(const char *path)
{
	int a, b;

	connect_pair(&a, &b);
	one_request(a, b, path);
	close(a);
	close(b);
}

static _Noreturn void child_works(void)
{
	fresh_request("child");
	_exit(7);
}

static void wait_for(pid_t pid)
{
	int status;

	CHECK(pid > 0 && waitpid(pid, &status, __WALL) == pid);
	printf("child: %s %d\n", WIFEXITED(status) ? "exit" : "signal",
	       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	fflush(stdout);
}

static int in_clone(void *arg)
{
	(void)arg;
	child_works();
}

/* Borrows the parent's memory, not its descriptors: closes and takes over what the parent goes on
 * using, under the same numbers. */
static int borrower(void *arg)
{
	const char *text = request_text("in-a-file");
	int file = open("/dev/null", O_WRONLY);

	(void)arg;
	close(server);
	dup2(file, client);
	write(client, text, strlen(text)); /* its own /dev/null, the parent's connection */
	close(client);
	if (close_range)
		close_range(3, ~0u, 0);
	return 7;
}

static pid_t vfork_child(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(borrower(NULL));
	return pid;
}

static pid_t vfork_exec(void)
{
	char *const argv[] = { "sh", "-c", "exit 7", NULL };
	pid_t pid = vfork();

	if (pid == 0) {
		execv("/bin/sh", argv);
		_exit(127);
	}
	return pid;
}

static volatile pid_t inner;

static pid_t vfork_nested(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		inner = vfork();
		if (inner == 0)
			_exit(3);
		/* Still a vfork child, though "the parent" of one has come back. */
		borrower(NULL);
		_exit(inner > 0 ? 7 : 8);
	}
	return pid;
}

/* A vfork child may call posix_spawn's kind of helpers, and even fork: that memory is a copy. */
static pid_t vfork_fork(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		pid_t grandchild = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

		if (grandchild == 0)
			_exit(5);
		_exit(grandchild > 0 ? 7 : 8);
	}
	return pid;
}

static void refuse(int nr, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void vfork_refused(void)
{
	pid_t pid;

	refuse(SYS_vfork, EAGAIN);
	refuse(SYS_clone, EAGAIN);
	errno = 0;
	pid = vfork();
	printf("vfork: %d %s\n", pid, strerror(errno));
}

static char stack[256 * 1024] __attribute__((aligned(16)));

static pid_t spawned(void)
{
	char *const argv[] = { "sh", "-c", "exit 7", NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addclose(&actions, client);
	posix_spawn_file_actions_adddup2(&actions, 2, server);
	CHECK(posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ) == 0);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static pid_t by_name(const char *name)
{
	pid_t (*fork_fn)(void) = (pid_t(*)(void))dlsym(RTLD_DEFAULT, name);
	pid_t pid;

	if (!fork_fn) {
		printf("%s: not here\n", name);
		fflush(stdout);
		_exit(77);
	}
	pid = fork_fn();
	if (pid == 0)
		child_works();
	return pid;
}

static pid_t make_child(const char *way)
{
	char *top = stack + sizeof(stack);
	pid_t pid;

	if (is(way, "fork") || is(way, "__fork") || is(way, "_Fork"))
		return by_name(way);
	if (is(way, "vfork"))
		return vfork_child();
	if (is(way, "vfork_exec"))
		return vfork_exec();
	if (is(way, "vfork_nested"))
		return vfork_nested();
	if (is(way, "vfork_fork"))
		return vfork_fork();
	if (is(way, "clone"))
		return clone(in_clone, top, SIGCHLD, NULL);
	if (is(way, "clone_borrow"))
		return clone(borrower, top, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
	if (is(way, "clone_beside"))
		return clone(borrower, top, CLONE_VM | SIGCHLD, NULL);
	if (is(way, "syscall")) {
		pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
		if (pid == 0)
			child_works();
		return pid;
	}
	if (is(way, "raw")) {
		/* No hook, no libc: only the wiped page tells. */
		pid = (pid_t)unseen(SYS_fork, 0, 0, 0);
		if (pid == 0)
			child_works();
		return pid;
	}
	if (is(way, "spawn"))
		return spawned();
	if (is(way, "system")) {
		printf("system: %d\n", system("exit 7") >> 8);
		pid = fork();
		if (pid == 0)
			_exit(7);
		return pid;
	}
	CHECK(!"a known way");
	return -1;
}

static void daemonize(void)
{
	int out = dup(1);

	fflush(stdout);
	CHECK(daemon(1, 0) == 0);
	dup2(out, 1);
	fresh_request("child");
	fflush(stdout);
}

static void storm(int count)
{
	for (int i = 0; i < count; i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			const char *text = request_text("child");
			int a, b;

			connect_pair(&a, &b);
			CHECK(write(a, text, strlen(text)) > 0);
			unseen_read(b, "\r\n\r\n");
			unseen_write(b, RESPONSE);
			read_response(a);
			_exit(i % 2 ? 0 : 1);
		}
		CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == (i % 2 ? 0 : 1));
	}
}

static void replace(const char *name)
{
	char *const argv[] = { "sh", "-c", "exit 7", NULL };
	char *const envp[] = { NULL };
	int sh = open("/bin/sh", O_RDONLY | O_CLOEXEC);

	if (is(name, "execve"))
		execve("/bin/sh", argv, envp);
	else if (is(name, "execv"))
		execv("/bin/sh", argv);
	else if (is(name, "execvp"))
		execvp("sh", argv);
	else if (is(name, "execvpe"))
		execvpe("sh", argv, envp);
	else if (is(name, "execl"))
		execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
	else if (is(name, "execlp"))
		execlp("sh", "sh", "-c", "exit 7", (char *)NULL);
	else if (is(name, "execle"))
		execle("/bin/sh", "sh", "-c", "exit $((SEVEN))", (char *)NULL,
		       (char *[]){ "SEVEN=7", NULL });
	else if (is(name, "fexecve"))
		fexecve(sh, argv, envp);
	else if (is(name, "execveat"))
		execveat ? execveat(sh, "", argv, envp, AT_EMPTY_PATH) : fexecve(sh, argv, envp);
	else if (is(name, "syscall"))
		syscall(SYS_execve, "/bin/sh", argv, envp);
	else if (is(name, "many"))
		execl("/bin/sh", "sh", "-c", "exit $(($# + $1))", "x", "1", "2", "3", "4", "5", "6",
		      (char *)NULL);
	else if (is(name, "fails"))
		printf("execl: %d %s\n", execl("/nonexistent", "x", (char *)NULL), strerror(errno));
	else
		CHECK(!"a known name");
}

static void *exit_in_thread(void *arg)
{
	(void)arg;
	exit(7);
}

static void at_the_end(void)
{
	printf("exit handler\n"); /* flushed after this, by libc */
}

/* Outlives the main thread, works, and is the last of the process. */
static void *outlive(void *arg)
{
	struct timespec moment = { .tv_nsec = 100000000 };

	(void)arg;
	nanosleep(&moment, NULL);
	fresh_request("outlived");
	printf("unflushed\n");
	return NULL;
}

static void ask_only(const char *path)
{
	const char *text = request_text(path);

	CHECK(write(client, text, strlen(text)) == (ssize_t)strlen(text));
}

static int end(const char *way)
{
	pthread_t thread;

	fflush(stdout);
	if (is(way, "exit"))
		exit(7);
	if (is(way, "_exit"))
		_exit(7);
	if (is(way, "_Exit"))
		_Exit(7);
	if (is(way, "quick_exit"))
		quick_exit(7);
	if (is(way, "syscall"))
		syscall(SYS_exit_group, 7);
	if (is(way, "abort"))
		abort();
	if (is(way, "kill"))
		kill(getpid(), SIGKILL);
	if (is(way, "term"))
		raise(SIGTERM);
	if (is(way, "thread")) {
		pthread_create(&thread, NULL, exit_in_thread, NULL);
		pause();
	}
	if (is(way, "outlived")) {
		atexit(at_the_end);
		pthread_create(&thread, NULL, outlive, NULL);
		pthread_exit(NULL);
	}
	if (is(way, "pthread_exit"))
		pthread_exit(NULL); /* the last thread: exit(0) */
	CHECK(is(way, "return"));
	return 7;
}

int main(int argc, char **argv)
{
	CHECK(argc >= 2);
	if (is(argv[1], "storm")) {
		storm(atoi(argv[2]));
		printf("end\n");
		return 0;
	}
	connect_pair(&client, &server);
	one_request(client, server, "first");
	if (is(argv[1], "exec")) {
		replace(argv[2]);
		return 8;
	}
	if (is(argv[1], "open"))
		ask_only("open");
	if (is(argv[1], "exit") || is(argv[1], "open"))
		return end(argv[2]);
	if (is(argv[1], "daemon"))
		daemonize();
	else if (is(argv[1], "vfork_refused"))
		vfork_refused();
	else
		wait_for(make_child(argv[1]));
	one_request(client, server, "last");
	printf("end\n");
	return 0;
}
