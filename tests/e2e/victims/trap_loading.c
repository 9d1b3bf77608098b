/* SPDX-License-Identifier: Apache-2.0 */
/* Listens while a library is being relocated, as another thread might: trap_loading LIBRARY. The
 * loader comes to know what `hold` is in the middle of that. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <sys/socket.h>

static int heard;

static void held(void)
{
}

__attribute__((used)) static void (*hold_resolver(void))(void)
{
	heard = listen(socket(AF_INET, SOCK_STREAM, 0), 1) == 0;
	return held;
}

void hold(void) __attribute__((ifunc("hold_resolver")));

int main(int argc, char **argv)
{
	void *library = argc == 2 ? dlopen(argv[1], RTLD_LAZY) : NULL;
	const char *(*version)(void);

	if (!library || !heard)
		return 99;
	version = (const char *(*)(void))dlsym(library, "Py_GetVersion");
	printf("%s\n", version());
	return 0;
}
