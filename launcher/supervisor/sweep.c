/* SPDX-License-Identifier: Apache-2.0 */
#include "launcher/supervisor/sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "exporter/shared_layout.h"

#define NAME_LENGTH (sizeof(SWEEP_NAME "XXXXXX") - 1)
#define SETTLED_S   10 /* by then a new one is locked */

/* Only what is ours by name. */
static void remove_files(int fd)
{
	const struct dirent *entry;
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = again < 0 ? NULL : fdopendir(again);

	if (!dir) {
		if (again >= 0)
			close(again);
		return;
	}
	while ((entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, SHARED_PREFIX, sizeof(SHARED_PREFIX) - 1) == 0)
			unlinkat(fd, entry->d_name, 0);
	closedir(dir);
	unlinkat(fd, SHARED_CONTROL, 0);
}

static bool is_ours_and_settled(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
	       time(NULL) - st.st_mtime > SETTLED_S;
}

static void sweep_one(int place, const char *name)
{
	int fd = openat(place, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int control = -1;

	if (fd < 0)
		return;
	if (is_ours_and_settled(fd))
		control = openat(fd, SHARED_CONTROL, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (control >= 0 && flock(control, LOCK_EX | LOCK_NB) == 0) {
		remove_files(fd);
		unlinkat(place, name, AT_REMOVEDIR);
	}
	if (control >= 0)
		close(control);
	close(fd);
}

void sweep(const char *place)
{
	const struct dirent *entry;
	DIR *dir = opendir(place);

	while (dir && (entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, SWEEP_NAME, sizeof(SWEEP_NAME) - 1) == 0 &&
		    strlen(entry->d_name) == NAME_LENGTH)
			sweep_one(dirfd(dir), entry->d_name);
	if (dir)
		closedir(dir);
}
