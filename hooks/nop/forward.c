/* SPDX-License-Identifier: Apache-2.0 */
/* libtagalong-nop.so: the same shells and the same table, and hooks that only forward. The
 * difference to a run without any library is the price of standing in the way. */
#include "base/host_errno.h"
#include "hooks/real.h"

#define HOOK(name, ret, params, args, bare) \
	ret hook_##name params              \
	{                                   \
		return real.name args;      \
	}
#define HOOK_VARIADIC(name, ret, real_params, params, args, bare) \
	HOOK(name, ret, params, args, bare)
#define HOOK_BY_HAND(name, ret, params, bare)
#define HOOK_CALLED(name, ret, params, bare)
#include "hooks/symbols.def"
#undef HOOK
#undef HOOK_VARIADIC
#undef HOOK_BY_HAND
#undef HOOK_CALLED

int hook_execl(const char *path, char *const *argv)
{
	return real.execv(path, argv);
}

int hook_execlp(const char *file, char *const *argv)
{
	return real.execvp(file, argv);
}

int hook_execle(const char *path, char *const *argv, char *const *envp)
{
	return real.execve(path, argv, envp);
}

/* vfork_<processor>.S wants them. */
int hook_vfork_failed(int error);
int hook_vfork_failed(int error)
{
	host_errno_set(error);
	return -1;
}

__attribute__((constructor)) static void start(void)
{
	real_resolve_all();
}
