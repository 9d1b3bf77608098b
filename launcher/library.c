/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "launcher/library.h"

static const char *const places[] = { "", "../lib/", "../lib/tagalong/" };

/* Somebody who is not root, as a server after it gave up its rights, has to reach it too. */
static bool is_private(const char *path)
{
	char part[PATH_MAX];
	struct stat st;

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (stat(part, &st) == 0 && !(st.st_mode & S_IXOTH))
			return true;
	}
	return stat(path, &st) == 0 && !(st.st_mode & S_IROTH);
}

static void check_library(struct library *library)
{
	Elf64_Ehdr head;
	int fd = open(library->path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		snprintf(library->problem, sizeof(library->problem), "%s cannot be read: %s",
			 library->path, strerror(errno));
		return;
	}
	n = read(fd, &head, sizeof(head));
	close(fd);
	if (n != (ssize_t)sizeof(head) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    head.e_type != ET_DYN)
		snprintf(library->problem, sizeof(library->problem), "%s is not a shared library",
			 library->path);
	else if (strpbrk(library->path, " \t\n:"))
		snprintf(library->problem, sizeof(library->problem),
			 "the path %s holds a space or a colon, and LD_PRELOAD cannot hold such "
			 "paths: put the library elsewhere",
			 library->path);
	library->private = is_private(library->path);
}

void library_find(struct library *library)
{
	char self[PATH_MAX], tried[PATH_MAX + 64], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	memset(library, 0, sizeof(*library));
	if (n < 0) {
		snprintf(library->problem, sizeof(library->problem),
			 "/proc/self/exe cannot be read, so " LIBRARY_NAME " is not found");
		return;
	}
	self[n] = '\0';
	slash = strrchr(self, '/');
	slash[1] = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(tried, sizeof(tried), "%s%s" LIBRARY_NAME, self, places[i]);
		if (realpath(tried, library->path)) {
			check_library(library);
			return;
		}
		if (errno != ENOENT && errno != ENOTDIR) {
			snprintf(library->problem, sizeof(library->problem),
				 "%.*s cannot be read: %s", PATH_MAX, tried, strerror(errno));
			return;
		}
	}
	library->path[0] = '\0';
	snprintf(library->problem, sizeof(library->problem),
		 LIBRARY_NAME " is missing: it belongs into %s or %s../lib/", self, self);
}

void preload_each(const char *preload, void (*fn)(void *arg, const char *path), void *arg)
{
	static const char separators[] = " \t\n:";
	char path[PATH_MAX];

	while (preload && *(preload += strspn(preload, separators))) {
		size_t n = strcspn(preload, separators);

		snprintf(path, sizeof(path), "%.*s", (int)n, preload);
		fn(arg, path);
		preload += n;
	}
}

struct lookup {
	const struct library *library;
	enum preload_entry found;
};

static void look_at_entry(void *arg, const char *path)
{
	struct lookup *lookup = arg;
	const char *slash = strrchr(path, '/');
	struct stat entry, ours;

	if (lookup->found == PRELOAD_SAME)
		return;
	if (stat(path, &entry) == 0 && stat(lookup->library->path, &ours) == 0 &&
	    entry.st_dev == ours.st_dev && entry.st_ino == ours.st_ino)
		lookup->found = PRELOAD_SAME;
	else if (strcmp(slash ? slash + 1 : path, LIBRARY_NAME) == 0)
		lookup->found = PRELOAD_OTHER_COPY;
}

enum preload_entry library_in_preload(const struct library *library, const char *preload)
{
	struct lookup lookup = { .library = library, .found = PRELOAD_ABSENT };

	preload_each(preload, look_at_entry, &lookup);
	return lookup.found;
}

void library_preload(const struct library *library)
{
	const char *before = getenv("LD_PRELOAD");
	char *value;

	if (library_in_preload(library, before) != PRELOAD_ABSENT)
		return;
	if (!before || !*before) {
		setenv("LD_PRELOAD", library->path, 1);
		return;
	}
	if (asprintf(&value, "%s:%s", before, library->path) < 0)
		return;
	setenv("LD_PRELOAD", value, 1);
	free(value);
}
