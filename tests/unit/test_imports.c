/* SPDX-License-Identifier: Apache-2.0 */
/* Objects as linkers make them, that call a function of a library: small ones, built here. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/bytes.h"
#include "base/objects.h"
#include "hooks/imports.h"

#define LIBRARY "int answer(int x) { return x + 1; }"
#define USER    "int answer(int); int ask(int x) { return answer(x) * 10; }"
/* With it linkers give calls no slot of their own, and it leads to the function at once. */
#define ADDRESS "void *where(void) { return (void *)answer; }"

struct way {
	char name[24], flags[64];
};

static const struct way ways[] = {
	{ "lazy", "-Wl,-z,lazy,-z,norelro" },      { "lazy, relro", "-Wl,-z,lazy,-z,relro" },
	{ "now", "-Wl,-z,now,-z,norelro" },        { "now, relro", "-Wl,-z,now,-z,relro" },
	{ "by address", "-fno-plt -Wl,-z,relro" }, { "old hash", "-Wl,--hash-style=sysv" },
};

static char folder[] = "/tmp/tagalong-imports-XXXXXX";

struct user {
	struct image library, image;
	int (*ask)(int);
	void *(*where)(void);
	struct import import;
};

static int ours(int x)
{
	return x + 5;
}

static void build(const char *what, const char *source, const char *flags)
{
	char command[600];

	snprintf(command, sizeof(command),
		 "cd %s && echo '%s' > %s.c && cc -O1 -shared -fPIC -o lib%s.so "
		 "-Wl,-soname,lib%s.so "
		 "%s.c %s",
		 folder, source, what, what, what, what, flags);
	cr_assert_eq(system(command), 0);
}

static bool is_library(void *arg, const struct image *m)
{
	struct user *u = arg;
	const char *name = image_name(m);

	if (name && strcmp(name, "libtheirs.so") == 0)
		u->library = *m;
	if (name && strcmp(name, "libuser.so") == 0)
		u->image = *m;
	return false;
}

static void open_user(struct user *u, const char *flags)
{
	char path[100], all[200];
	void *handle;

	*u = (struct user){ .ask = NULL };
	cr_assert(mkdtemp(folder));
	build("theirs", LIBRARY, "");
	snprintf(all, sizeof(all), "%s -L. -ltheirs -Wl,-rpath,%s", flags, folder);
	build("user", strstr(flags, "lazy") ? USER : USER ADDRESS, all);
	snprintf(path, sizeof(path), "%s/libuser.so", folder);
	handle = dlopen(path, RTLD_LAZY);
	cr_assert(handle, "%s", dlerror());
	u->ask = (int (*)(int))dlsym(handle, "ask");
	u->where = (void *(*)(void))dlsym(handle, "where");
	cr_assert(objects_each(is_library, u));
	cr_assert(u->library.phdr && u->image.phdr && image_needs(&u->image, "libtheirs.so"));
	u->import = (struct import){ .name = "answer",
				     .theirs = (uintptr_t)image_find(&u->library, "answer"),
				     .ours = (uintptr_t)ours };
	cr_assert(u->import.theirs);
}

static void remove_files(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
}

/* How the pages of the object are protected, as the kernel tells. */
static void read_maps(char *to, size_t size)
{
	FILE *f = fopen("/proc/self/maps", "r");
	size_t n = 0;
	char line[400];

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "libuser.so"))
			n += (size_t)snprintf(to + n, size - n, "%s", line);
	fclose(f);
}

ParameterizedTestParameters(imports, every_way)
{
	return cr_make_param_array(struct way, (void *)(uintptr_t)ways,
				   sizeof(ways) / sizeof(*ways));
}

ParameterizedTest(struct way *way, imports, every_way, .fini = remove_files)
{
	char before[2000], after[2000];
	struct user u;

	open_user(&u, way->flags);
	read_maps(before, sizeof(before));
	cr_assert_gt(imports_replace(&u.image, &u.import, 1), 0, "%s", way->name);
	read_maps(after, sizeof(after));
	cr_assert_str_eq(before, after, "%s", way->name);
	cr_assert_eq(u.ask(1), 60, "%s", way->name);
	cr_assert_eq(u.ask(2), 70, "%s", way->name);
	cr_assert_eq(imports_replace(&u.image, &u.import, 1), 0, "once is enough");
	cr_assert_eq(((int (*)(int))u.import.theirs)(1), 2, "the library is as it was");
}

ParameterizedTestParameters(imports, after_a_call)
{
	return cr_make_param_array(struct way, (void *)(uintptr_t)ways,
				   sizeof(ways) / sizeof(*ways));
}

ParameterizedTest(struct way *way, imports, after_a_call, .fini = remove_files)
{
	struct user u;

	open_user(&u, way->flags);
	cr_assert_eq(u.ask(1), 20);
	cr_assert_gt(imports_replace(&u.image, &u.import, 1), 0, "%s", way->name);
	cr_assert_eq(u.ask(1), 60, "%s", way->name);
}

/* What stands before the library may be meant, as the loader would find out. */
Test(imports, a_name_that_others_have_is_left_to_the_loader, .fini = remove_files)
{
	struct user u;

	open_user(&u, "-Wl,-z,lazy,-z,relro");
	u.import.shared = true;
	cr_assert_eq(imports_replace(&u.image, &u.import, 1), 0);
	cr_assert_eq(u.ask(1), 20);
	cr_assert_gt(imports_replace(&u.image, &u.import, 1), 0, "it leads to the library now");
	cr_assert_eq(u.ask(1), 60);
}

Test(imports, a_slot_that_leads_elsewhere_is_left_alone, .fini = remove_files)
{
	struct user u;

	open_user(&u, "-Wl,-z,now");
	u.import.theirs++;
	cr_assert_eq(imports_replace(&u.image, &u.import, 1), 0);
	cr_assert_eq(u.ask(1), 20);
}

Test(imports, others_are_left_alone, .fini = remove_files)
{
	struct user u;

	open_user(&u, "-Wl,-z,now");
	u.import.name = "answe";
	cr_assert_eq(imports_replace(&u.image, &u.import, 1), 0);
	cr_assert_eq(u.ask(1), 20);
	cr_assert_eq((uintptr_t)u.where(), u.import.theirs);
}

/* What a loader that is still at work on the object has not protected yet. */
Test(imports, an_object_that_is_being_loaded_is_left_alone, .fini = remove_files)
{
	struct user u;
	uintptr_t from = 0, to = 0;

	open_user(&u, "-Wl,-z,now,-z,relro");
	for (size_t i = 0; i < u.image.phdr_count; i++)
		if (u.image.phdr[i].p_type == PT_GNU_RELRO) {
			from = (u.image.base + u.image.phdr[i].p_vaddr) & ~4095ul;
			to = (u.image.base + u.image.phdr[i].p_vaddr + u.image.phdr[i].p_memsz) &
			     ~4095ul;
		}
	cr_assert_lt(from, to);
	cr_assert_eq(mprotect((void *)from, to - from, PROT_READ | PROT_WRITE), 0);
	cr_assert_eq(imports_replace(&u.image, &u.import, 1), 0);
	cr_assert_eq(u.ask(1), 20);
	cr_assert_eq(mprotect((void *)from, to - from, PROT_READ), 0);
	cr_assert_gt(imports_replace(&u.image, &u.import, 1), 0);
	cr_assert_eq(u.ask(1), 60);
}
