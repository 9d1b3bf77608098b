/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"

static char path[] = "/tmp/tagalong-log-XXXXXX";
static char content[65536];

/* A file for standard error; what goes there can be looked at with file_text(). */
static void stderr_to_file(void)
{
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	cr_assert_eq(dup2(fd, 2), 2);
	close(fd);
}

static const char *file_text(void)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, content, sizeof(content) - 1);

	close(fd);
	content[n > 0 ? n : 0] = '\0';
	return content;
}

static void remove_file(void)
{
	unlink(path);
}

Test(log, says_nothing_by_default, .fini = remove_file)
{
	stderr_to_file();
	log_error("before");
	log_init("", LOG_DEBUG);
	log_error("empty");
	log_init(NULL, LOG_DEBUG);
	log_error("null");
	log_init("off", LOG_DEBUG);
	log_error("off");
	cr_assert_str_eq(file_text(), "");
}

Test(log, writes_a_line_a_message_up_to_the_level, .fini = remove_file)
{
	char expected[200];

	stderr_to_file();
	log_init("stderr", LOG_WARN);
	errno = 4711;
	log_error("no %s", "memory");
	log_warn("%u of %d", 1u, -2);
	log_info("not this");
	log_debug("nor this");
	cr_assert_eq(errno, 4711);
	snprintf(expected, sizeof(expected),
		 "tagalong[%d]: error: no memory\ntagalong[%d]: warning: 1 of -2\n", getpid(),
		 getpid());
	cr_assert_str_eq(file_text(), expected);
}

Test(log, appends_to_a_file_it_opens_once, .fini = remove_file)
{
	int fd = mkstemp(path);

	cr_assert_eq(write(fd, "first\n", 6), 6);
	close(fd);
	log_init(path, LOG_INFO);
	log_info("second");
	cr_assert_eq(strncmp(file_text(), "first\ntagalong[", 15), 0);
	cr_assert_not_null(strstr(content, "]: second\n"));
	log_init("", LOG_INFO);
	log_info("third");
	cr_assert_null(strstr(file_text(), "third"));
}

Test(log, is_silent_when_its_file_cannot_be_opened)
{
	log_init("/nowhere/at/all", LOG_DEBUG);
	log_error("lost");
}

Test(log, lets_no_value_forge_a_line, .fini = remove_file)
{
	stderr_to_file();
	log_init("stderr", LOG_WARN);
	log_warn("header=%s", "a\r\ntagalong[1]: error: \x1b[2J\x7f");
	cr_assert_not_null(strstr(file_text(), "header=a??tagalong[1]: error: ?[2J?\n"));
	cr_assert_eq(strchr(content, '\n'), content + strlen(content) - 1);
}

Test(log, cuts_a_message_that_is_too_long, .fini = remove_file)
{
	static char large[65536];

	memset(large, 'x', sizeof(large) - 1);
	stderr_to_file();
	log_init("stderr", LOG_WARN);
	log_warn("%s", large);
	cr_assert_eq(strlen(file_text()), 1024);
	cr_assert_str_eq(content + 1024 - 5, "x...\n");
}

Test(log, does_not_write_into_what_became_descriptor_two, .fini = remove_file)
{
	log_init("stderr", LOG_DEBUG);
	stderr_to_file(); /* as when the program closed it and opened its database */
	log_error("harm");
	log_print("harm");
	cr_assert_str_eq(file_text(), "");
}

Test(log, prints_regardless_of_the_level, .fini = remove_file)
{
	stderr_to_file();
	log_print("spans_exported=%llu", 7ull);
	log_init(NULL, LOG_OFF);
	log_print("again");
	cr_assert_not_null(strstr(file_text(), "spans_exported=7\n"));
	cr_assert_not_null(strstr(content, "]: again\n"));
}

Test(log, leaves_standard_error_alone_when_a_file_was_named, .fini = remove_file)
{
	stderr_to_file();
	log_init("/nowhere/log", LOG_DEBUG);
	log_error("not here");
	log_print("nor this");
	cr_assert_str_eq(file_text(), "");
}

Test(log, survives_a_pipe_nobody_reads, .signal = 0)
{
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(dup2(ends[1], 2), 2);
	close(ends[1]);
	log_init("stderr", LOG_WARN);
	for (int i = 0; i < 100000; i++) /* far more than a pipe holds: would block */
		log_warn("%d", i);
	close(ends[0]); /* from here on a write raises SIGPIPE */
	log_warn("to nobody");
	log_print("to nobody");
}

Test(log, leaves_signals_as_they_were)
{
	int ends[2];
	sigset_t set;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	cr_assert_eq(dup2(ends[1], 2), 2);
	log_init("stderr", LOG_WARN);
	shutdown(ends[1], SHUT_WR); /* poll finds it writable, write answers EPIPE */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	log_warn("to nobody");
	sigpending(&set);
	cr_assert(!sigismember(&set, SIGPIPE));
	sigprocmask(SIG_BLOCK, NULL, &set);
	cr_assert(!sigismember(&set, SIGPIPE));
	cr_assert(sigismember(&set, SIGUSR1));
	raise(SIGUSR1);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGPIPE); /* the program's own pending one stays */
	log_warn("to nobody");
	sigpending(&set);
	cr_assert(sigismember(&set, SIGPIPE));
}
