/* SPDX-License-Identifier: Apache-2.0 */
/* The exported names. Each is a shell around hook_<name>(): before our constructor has run it
 * fills the table, that is all. The assembler name keeps libc's own declarations (redirections,
 * attributes, builtins) away from ours. */
#include <stdarg.h>
#include "hooks/real.h"

#define EXPORT __attribute__((visibility("default")))

#define SHELL(name, ret, params, args)                 \
	EXPORT ret shell_##name params __asm__(#name); \
	EXPORT ret shell_##name params                 \
	{                                              \
		if (__builtin_expect(!real.name, 0))   \
			real_resolve_all();            \
		return hook_##name args;               \
	}

#define HOOK(name, ret, params, args, bare)                       SHELL(name, ret, params, args)
#define HOOK_VARIADIC(name, ret, real_params, params, args, bare) SHELL(name, ret, params, args)
#define HOOK_BY_HAND(name, ret, params, bare)
#define HOOK_CALLED(name, ret, params, bare)
#include "hooks/symbols.def"
#undef HOOK
#undef HOOK_VARIADIC
#undef HOOK_BY_HAND
#undef HOOK_CALLED
#undef SHELL

/* execl and its kind take their vector as arguments: it is put together on the stack, as libc
 * does, and the vector's function gets it. */

/* How many there are, without the NULL. */
static int count_args(const char *arg, va_list args)
{
	int n = 0;

	for (; arg; arg = va_arg(args, const char *))
		n++;
	return n;
}

/* All n and the NULL; args then stands behind it. */
static void gather_args(char **argv, int n, const char *arg, va_list args)
{
	argv[0] = (char *)arg;
	for (int i = 1; i <= n; i++)
		argv[i] = va_arg(args, char *);
}

EXPORT int shell_execl(const char *path, const char *arg, ...) __asm__("execl");
EXPORT int shell_execl(const char *path, const char *arg, ...)
{
	va_list args;
	int n;

	if (!real.execl)
		real_resolve_all();
	va_start(args, arg);
	n = count_args(arg, args);
	va_end(args);

	char *argv[n + 1];

	va_start(args, arg);
	gather_args(argv, n, arg, args);
	va_end(args);
	return hook_execl(path, argv);
}

EXPORT int shell_execlp(const char *file, const char *arg, ...) __asm__("execlp");
EXPORT int shell_execlp(const char *file, const char *arg, ...)
{
	va_list args;
	int n;

	if (!real.execlp)
		real_resolve_all();
	va_start(args, arg);
	n = count_args(arg, args);
	va_end(args);

	char *argv[n + 1];

	va_start(args, arg);
	gather_args(argv, n, arg, args);
	va_end(args);
	return hook_execlp(file, argv);
}

/* The environment follows the NULL. */
EXPORT int shell_execle(const char *path, const char *arg, ...) __asm__("execle");
EXPORT int shell_execle(const char *path, const char *arg, ...)
{
	char *const *envp;
	va_list args;
	int n;

	if (!real.execle)
		real_resolve_all();
	va_start(args, arg);
	n = count_args(arg, args);
	va_end(args);

	char *argv[n + 1];

	va_start(args, arg);
	gather_args(argv, n, arg, args);
	envp = va_arg(args, char *const *);
	va_end(args);
	return hook_execle(path, argv, envp);
}
