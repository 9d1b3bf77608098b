/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "launcher/spill_directory.h"

#define NAMES_MAX 65536 /* of a directory that are looked at */

int spill_directory_open(const char *path)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	int fd = open(path, flags), err;

	if (fd < 0 && errno == ENOENT) {
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return -errno;
		fd = open(path, flags);
	}
	if (fd < 0)
		return -errno;
	if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

bool spill_directory_is_at(int directory, const char *path)
{
	struct stat here, there;

	return directory >= 0 && fstat(directory, &here) == 0 && stat(path, &there) == 0 &&
	       here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

static int add(struct spill_names *names, const struct spill_name *name)
{
	const size_t n = names->count;

	/* A power of two: that much is full. */
	if ((n & (n - 1)) == 0) {
		struct spill_name *more =
			realloc(names->all, (n ? n * 2 : 1) * sizeof(names->all[0]));

		if (!more)
			return -ENOMEM;
		names->all = more;
	}
	names->all[names->count++] = *name;
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct spill_name *a = left, *b = right;

	if (a->sequence != b->sequence)
		return a->sequence < b->sequence ? -1 : 1;
	return a->nonce < b->nonce ? -1 : a->nonce > b->nonce;
}

int spill_directory_list(int directory, struct spill_names *names)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	struct spill_name name;

	*names = (struct spill_names){ NULL, 0 };
	if (!stream) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (!err && names->count < NAMES_MAX && (entry = readdir(stream)))
		if (spill_name_parse(entry->d_name, &name))
			err = add(names, &name);
	closedir(stream);
	if (names->count)
		qsort(names->all, names->count, sizeof(names->all[0]), compare);
	return err;
}
