/* SPDX-License-Identifier: Apache-2.0 */
/* The functions behind ours: real.recv() is what the program would have called without us. Also
 * the seam of the unit tests, which put their own function into a slot. */
#ifndef HOOKS_REAL_H
#define HOOKS_REAL_H

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

struct real_symbols {
#define HOOK(name, ret, params, args, bare)                       ret(*name) params;
#define HOOK_VARIADIC(name, ret, real_params, params, args, bare) ret(*name) real_params;
#define HOOK_BY_HAND(name, ret, params, bare)                     ret(*name) params;
#define HOOK_CALLED(name, ret, params, bare)                      ret(*name) params;
#include "hooks/symbols.def"
#undef HOOK
#undef HOOK_VARIADIC
#undef HOOK_BY_HAND
#undef HOOK_CALLED
};

extern struct real_symbols real;

/* Fills every slot: the next definition after this library, or the bare system call. Afterwards no
 * slot is NULL. From the constructor; from a shell that is called before it. */
void real_resolve_all(void);

/* What the shells call: one for each HOOK and HOOK_VARIADIC row. */
#define HOOK(name, ret, params, args, bare)                       ret hook_##name params;
#define HOOK_VARIADIC(name, ret, real_params, params, args, bare) ret hook_##name params;
#define HOOK_BY_HAND(name, ret, params, bare)
#define HOOK_CALLED(name, ret, params, bare)
#include "hooks/symbols.def"
#undef HOOK
#undef HOOK_VARIADIC
#undef HOOK_BY_HAND
#undef HOOK_CALLED

/* The by-hand shells gather the arguments into a vector; for execle the environment follows. */
int hook_execl(const char *path, char *const *argv);
int hook_execlp(const char *file, char *const *argv);
int hook_execle(const char *path, char *const *argv, char *const *envp);

#endif
