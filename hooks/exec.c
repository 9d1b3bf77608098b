/* SPDX-License-Identifier: Apache-2.0 */
/* The program is about to be replaced: what the ring holds is sent first. It may also fail, and
 * everything goes on. The environment is the program's and travels as it is. */
#include "hooks/hook.h"

static inline void will_exec(void)
{
	if (!in_vfork_child())
		shim_before_exec();
}

int hook_execve(const char *path, char *const *argv, char *const *envp)
{
	will_exec();
	return real.execve(path, argv, envp);
}

int hook_execv(const char *path, char *const *argv)
{
	will_exec();
	return real.execv(path, argv);
}

int hook_execvp(const char *file, char *const *argv)
{
	will_exec();
	return real.execvp(file, argv);
}

int hook_execvpe(const char *file, char *const *argv, char *const *envp)
{
	will_exec();
	return real.execvpe(file, argv, envp);
}

int hook_fexecve(int fd, char *const *argv, char *const *envp)
{
	will_exec();
	return real.fexecve(fd, argv, envp);
}

int hook_execveat(int dir, const char *path, char *const *argv, char *const *envp, int flags)
{
	will_exec();
	return real.execveat(dir, path, argv, envp, flags);
}

int hook_execl(const char *path, char *const *argv)
{
	return hook_execv(path, argv);
}

int hook_execlp(const char *file, char *const *argv)
{
	return hook_execvp(file, argv);
}

int hook_execle(const char *path, char *const *argv, char *const *envp)
{
	return hook_execve(path, argv, envp);
}
