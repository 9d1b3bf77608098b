/* SPDX-License-Identifier: Apache-2.0 */
#include "base/environment.h"

#include <sys/mman.h>
#include "base/bytes.h"
#include "base/raw.h"

#define ARGC_MAX (1 << 22)
#define ENVIRON_MAX                                                                  \
	(4u << 20) /* bytes read from /proc: twice what the kernel allows by default \
		    */

/* libc's, under both names it goes by; NULL when there is no libc. */
extern char **__environ __attribute__((weak));
extern char **environ __attribute__((weak));

static char *no_variables[] = { NULL };

/* glibc calls constructors with main()'s arguments, musl with whatever the registers hold. The
 * kernel lays envp out right behind argv's terminator, which leftovers do not reproduce; nothing is
 * dereferenced before that is known. */
static bool follows_argv(int argc, char **argv, char **envp)
{
	return argc >= 0 && argc < ARGC_MAX && argv && (uintptr_t)argv % sizeof(*argv) == 0 &&
	       envp == argv + argc + 1;
}

static ssize_t read_all(int fd, char *p, size_t size)
{
	size_t n = 0;

	while (n < size) {
		ssize_t got = raw_read(fd, p + n, size - n);

		if (got == -EINTR)
			continue;
		if (got < 0)
			return got;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

/* The strings stay mapped for good, behind them the vector. Each string has at least its
 * terminator, so n bytes hold n strings at most; pages that are not touched cost nothing. */
static char **read_proc(void)
{
	size_t size = ENVIRON_MAX + (ENVIRON_MAX / 2 + 1) * sizeof(char *), count = 0;
	int fd = raw_open("/proc/self/environ", O_RDONLY | O_CLOEXEC, 0);
	char **vector, *text;
	ssize_t n;

	if (fd < 0)
		return no_variables;
	text = raw_mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	n = raw_is_error(text) ? -ENOMEM : read_all(fd, text, ENVIRON_MAX - 1);
	raw_close(fd);
	if (n < 0)
		return no_variables;
	vector = (char **)(void *)(text + ENVIRON_MAX);
	for (char *at = text; at < text + n && count < ENVIRON_MAX / 2; at += strlen(at) + 1)
		if (*at)
			vector[count++] = at;
	return vector;
}

char **environment_find(int argc, char **argv, char **envp)
{
	if (follows_argv(argc, argv, envp))
		return envp;
	if (&__environ && __environ)
		return __environ;
	if (&environ && environ)
		return environ;
	return read_proc();
}

const char *environment_get(char **envp, const char *name)
{
	size_t n = strlen(name);

	for (; envp && *envp; envp++)
		if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=')
			return *envp + n + 1;
	return NULL;
}
