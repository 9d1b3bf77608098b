/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "launcher/trace_file.h"

#define READ_SIZE ((size_t)1 << 20)

static int open_now(struct trace_file *file)
{
	struct stat st;
	int fd = open(file->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode)) {
		close(fd);
		return -EISDIR;
	}
	file->fd = fd;
	file->device = st.st_dev;
	file->inode = st.st_ino;
	file->ends = !S_ISREG(st.st_mode);
	file->offset = 0;
	file->used = file->searched = 0;
	file->line = 0;
	file->skipping = false;
	return 0;
}

int trace_file_open(struct trace_file *file, const char *path, struct trace_store *store, bool wait)
{
	int err;

	*file = (struct trace_file){ .path = path, .store = store, .fd = -1 };
	if (strcmp(path, "-") == 0) {
		file->fd = STDIN_FILENO;
		file->ends = true;
		return 0;
	}
	err = open_now(file);
	return err == -ENOENT && wait ? 0 : err;
}

/* Rotated, removed and made again, or cut to nothing: starts over. */
static int look_for_replacement(struct trace_file *file)
{
	struct stat st;

	if (file->fd == STDIN_FILENO && strcmp(file->path, "-") == 0)
		return 0;
	if (file->fd >= 0) {
		if (stat(file->path, &st) < 0)
			return 0;
		if (st.st_dev == file->device && st.st_ino == file->inode &&
		    (!S_ISREG(st.st_mode) || st.st_size >= file->offset))
			return 0;
		close(file->fd);
		file->fd = -1;
	}
	return open_now(file);
}

static void take_line(struct trace_file *file, const char *line, size_t n)
{
	const char *wrong = NULL;

	file->line++;
	if (file->skipping)
		wrong = "the line is too long";
	else if (strspn(line, " \t\r") < n)
		wrong = trace_line_parse(file->store, line, n);
	file->skipping = false;
	if (!wrong)
		return;
	file->damaged++;
	if (file->damage)
		file->damage(file->damage_arg, file->line, wrong);
}

static void take_lines(struct trace_file *file)
{
	char *start = file->buffer, *end = file->buffer + file->used, *newline;
	char *from = start + file->searched;

	while ((newline = memchr(from, '\n', (size_t)(end - from)))) {
		*newline = '\0';
		take_line(file, start, (size_t)(newline - start));
		start = from = newline + 1;
	}
	file->used = (size_t)(end - start);
	memmove(file->buffer, start, file->used);
	if (file->used > TRACE_LINE_MAX) {
		file->skipping = true;
		file->used = 0;
	}
	file->searched = file->used;
}

static void make_room(struct trace_file *file)
{
	if (file->room - file->used > READ_SIZE)
		return;
	file->room = file->room * 2 > file->used + 2 * READ_SIZE ? file->room * 2
								 : file->used + 2 * READ_SIZE;
	file->buffer = must_have(realloc(file->buffer, file->room));
}

int trace_file_read(struct trace_file *file)
{
	ssize_t n;
	int err;

	if (file->fd < 0) {
		err = look_for_replacement(file);
		if (err)
			return err == -ENOENT ? 0 : err;
	}
	make_room(file);
	do
		n = read(file->fd, file->buffer + file->used, READ_SIZE);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0) {
		err = look_for_replacement(file);
		return err == -ENOENT ? 0 : err;
	}
	file->offset += n;
	file->used += (size_t)n;
	take_lines(file);
	return 1;
}

int trace_file_read_all(struct trace_file *file)
{
	int came;

	do
		came = trace_file_read(file);
	while (came > 0);
	return came;
}

bool trace_file_finish(struct trace_file *file)
{
	bool torn = false;

	if (file->used && !file->skipping) {
		file->buffer[file->used] = '\0'; /* make_room() left place for it */
		torn = trace_line_parse(file->store, file->buffer, file->used) != NULL;
	}
	file->used = file->searched = 0;
	return torn;
}

void trace_file_close(struct trace_file *file)
{
	if (file->fd > STDERR_FILENO)
		close(file->fd);
	free(file->buffer);
	file->buffer = NULL;
	file->fd = -1;
}
