/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include "base/symbols.h"

static const char *const names[] = {
	"read",           "write",
	"readv",          "writev",
	"send",           "sendto",
	"sendmsg",        "sendmmsg",
	"recv",           "recvfrom",
	"recvmsg",        "recvmmsg",
	"accept",         "accept4",
	"connect",        "bind",
	"listen",         "socket",
	"socketpair",     "shutdown",
	"close",          "dup",
	"dup2",           "dup3",
	"fcntl",          "fcntl64",
	"poll",           "ppoll",
	"select",         "pselect",
	"epoll_wait",     "epoll_ctl",
	"epoll_pwait",    "sendfile",
	"sendfile64",     "splice",
	"fork",           "vfork",
	"_exit",          "_Exit",
	"quick_exit",     "execve",
	"execvp",         "posix_spawn",
	"pthread_create", "pthread_sigmask",
	"clock_gettime",  "pthread_cond_wait",
	"memcpy",         "strlen",
	"realpath",       "getpid",
	"dlsym",          "malloc",
	"__read",         "__errno_location",
	"preadv2",        "close_range",
	"closefrom",      "environ",
};

/* An address in this program, which comes first in load order. */
static const char here;

Test(symbols, finds_what_dlsym_next_finds)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cr_assert_eq(symbols_find(names[i], &here), dlsym(RTLD_NEXT, names[i]), "%s",
			     names[i]);
}

Test(symbols, finds_many_names_at_once)
{
	struct symbol all[sizeof(names) / sizeof(names[0]) + 1] = { { "tagalong_no_such", NULL } };
	size_t n = sizeof(all) / sizeof(all[0]);

	for (size_t i = 1; i < n; i++)
		all[i].name = names[i - 1];
	symbols_find_all(all, n, &here);
	cr_assert_null(all[0].found);
	for (size_t i = 1; i < n; i++)
		cr_assert_eq(all[i].found, dlsym(RTLD_NEXT, all[i].name), "%s", all[i].name);
}

Test(symbols, finds_what_dlsym_default_finds_when_not_told_where_we_are)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cr_assert_eq(symbols_find(names[i], NULL), dlsym(RTLD_DEFAULT, names[i]), "%s",
			     names[i]);
}

Test(symbols, finds_nothing_that_is_not_there)
{
	static char endless[70000];

	memset(endless, 'a', sizeof(endless) - 1);
	cr_assert_null(symbols_find("tagalong_no_such_function", NULL));
	cr_assert_null(symbols_find("", NULL));
	cr_assert_null(symbols_find(endless, NULL));
	cr_assert_null(symbols_find("read", &errno), "thread-locals belong to no object");
}

Test(symbols, does_not_search_the_object_it_is_told_is_ours)
{
	void *in_libc = symbols_find("gnu_get_libc_version", NULL);

	cr_assert_not_null(in_libc);
	cr_assert_null(symbols_find("gnu_get_libc_version", in_libc));
	cr_assert_null(symbols_find("getaddrinfo", in_libc));
}

Test(symbols, leaves_errno_alone)
{
	errno = 4711;
	symbols_find("read", NULL);
	symbols_find_vdso("__vdso_no_such_function");
	cr_assert_eq(errno, 4711);
}

Test(symbols, finds_the_clock_the_kernel_maps)
{
	int (*clock)(clockid_t, struct timespec *) =
		(int (*)(clockid_t, struct timespec *))symbols_find_vdso("__vdso_clock_gettime");
	struct timespec t = { 0, 0 };

	if (!clock)
		clock = (int (*)(clockid_t, struct timespec *))symbols_find_vdso(
			"__kernel_clock_gettime");
	cr_assert_not_null(clock);
	cr_assert_eq(clock(CLOCK_REALTIME, &t), 0);
	cr_assert_leq(time(NULL) - t.tv_sec, 1);
}
