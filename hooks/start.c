/* SPDX-License-Identifier: Apache-2.0 */
/* Start and end of the library in a process. Nothing orders the constructor of a library without
 * dependencies: libc's own may come later. */
#include <elf.h>
#include <link.h>
#include "base/environment.h"
#include "base/raw.h"
#include "hooks/carriers.h"
#include "hooks/node.h"
#include "hooks/python.h"
#include "hooks/real.h"
#include "hooks/tls.h"
#include "shim/shim.h"

#define SONAME "libtagalong.so"

/* Weak: what libc has of this is used; where it has none, we go without. */
extern unsigned long getauxval(unsigned long type) __attribute__((weak));
extern int dl_iterate_phdr(int (*fn)(struct dl_phdr_info *, size_t, void *), void *arg)
	__attribute__((weak));

static const char here; /* any address in this library */

static bool contains(const struct dl_phdr_info *o, const void *address)
{
	for (int i = 0; i < o->dlpi_phnum; i++) {
		uintptr_t start = o->dlpi_addr + o->dlpi_phdr[i].p_vaddr;

		if (o->dlpi_phdr[i].p_type == PT_LOAD &&
		    (uintptr_t)address - start < o->dlpi_phdr[i].p_memsz)
			return true;
	}
	return false;
}

static bool is_tagalong(const struct dl_phdr_info *o)
{
	const ElfW(Dyn) *dynamic = NULL;
	uintptr_t strings = 0, soname = 0;
	bool named = false;

	for (int i = 0; i < o->dlpi_phnum; i++)
		if (o->dlpi_phdr[i].p_type == PT_DYNAMIC)
			dynamic = (const void *)(o->dlpi_addr + o->dlpi_phdr[i].p_vaddr);
	for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
		if (dynamic->d_tag == DT_STRTAB)
			strings = dynamic->d_un.d_ptr;
		if (dynamic->d_tag == DT_SONAME) {
			soname = dynamic->d_un.d_val;
			named = true;
		}
	}
	if (!named || !strings)
		return false;
	if (strings < o->dlpi_addr) /* glibc has put the address there, musl the file's offset */
		strings += o->dlpi_addr;
	return memcmp((const char *)(strings + soname), SONAME, sizeof(SONAME)) == 0;
}

/* Stops at the first tagalong in load order: 1 when it is this one, 2 when it is another. */
static int first_tagalong(struct dl_phdr_info *o, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	if (contains(o, &here))
		return 1;
	return is_tagalong(o) ? 2 : 0;
}

/* The first one loaded works, whatever comes later stands down: its hooks only forward. */
static bool loaded_before_us(void)
{
	return dl_iterate_phdr && dl_iterate_phdr(first_tagalong, NULL) == 2;
}

/* A setuid program, or one with file capabilities: the environment is not to be trusted. */
static bool privileged(void)
{
	return getauxval && getauxval(AT_SECURE);
}

__attribute__((constructor)) static void start(int argc, char **argv, char **envp)
{
	real_resolve_all();
	if (privileged() || loaded_before_us())
		return;
	envp = environment_find(argc, argv, envp);
	shim_when_tls(hook_tls_look);
	shim_when_serving(hook_python_look);
	shim_when_calling(hook_carriers_look);
	shim_start(envp);
	hook_node_start(envp);
}

__attribute__((destructor)) static void end(void)
{
	shim_at_exit();
}
