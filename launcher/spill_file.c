/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a segment: made, taken over, written to, given up. How it is read: spill_read.c. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/quiet_write.h"
#include "launcher/spill_file.h"
#include "launcher/spill_record.h"

#define NAME_SIZE    64
#define CREATE_TRIES 8

static void name_format(char text[static NAME_SIZE], const struct spill_name *name)
{
	snprintf(text, NAME_SIZE, "%016" PRIx64 "-%016" PRIx64 ".spill1", name->sequence,
		 name->nonce);
}

bool spill_name_parse(const char *text, struct spill_name *name)
{
	char again[NAME_SIZE], *end;

	if (strlen(text) != 16 + 1 + 16 + 7)
		return false;
	name->sequence = strtoull(text, &end, 16);
	if (end != text + 16 || *end != '-')
		return false;
	name->nonce = strtoull(text + 17, NULL, 16);
	/* strtoull() is more lenient than we are. */
	name_format(again, name);
	return strcmp(text, again) == 0;
}

/* Root is given no file of another's, and nobody one with a second name. */
static bool is_ours(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_uid == geteuid() && st->st_nlink == 1;
}

/* 0, -EBUSY, or -EAGAIN when the file was unlinked before it could be locked. */
static int lock(int fd)
{
	struct stat st;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_nlink == 0)
		return -EAGAIN;
	return is_ours(&st) ? 0 : -EPERM;
}

static int file_new(struct spill_file **file, int fd, const struct spill_name *name)
{
	struct spill_file *f = malloc(sizeof(*f));

	if (!f)
		return -ENOMEM;
	*f = (struct spill_file){ .fd = fd, .name = *name };
	*file = f;
	return 0;
}

/* Somebody who adopts may see the file before it is locked, find it empty and remove it: then
 * another is made. */
static int create_once(struct spill_file **file, int directory, struct spill_name *name)
{
	char text[NAME_SIZE];
	int fd, err;

	if (getrandom(&name->nonce, sizeof(name->nonce), 0) != (ssize_t)sizeof(name->nonce))
		return -errno;
	name_format(text, name);
	fd = openat(directory, text, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? -EAGAIN : -errno;
	err = lock(fd);
	if (err == -EBUSY || err == -EAGAIN) {
		err = -EAGAIN;
		goto close_fd;
	}
	if (!err)
		err = file_new(file, fd, name);
	if (!err)
		return 0;
	unlinkat(directory, text, 0);
close_fd:
	close(fd);
	return err;
}

int spill_file_create(struct spill_file **file, int directory, uint64_t sequence)
{
	struct spill_name name = { .sequence = sequence };
	int err = -EAGAIN;

	for (int i = 0; i < CREATE_TRIES && err == -EAGAIN; i++)
		err = create_once(file, directory, &name);
	return err;
}

int spill_file_adopt(struct spill_file **file, int directory, const struct spill_name *name,
		     uint64_t *lost)
{
	char text[NAME_SIZE];
	struct stat st;
	int fd, err;

	name_format(text, name);
	/* Not even opened when it is not ours: that of a device does something. */
	if (fstatat(directory, text, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!is_ours(&st))
		return -EPERM;
	fd = openat(directory, text, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = lock(fd);
	if (!err)
		err = file_new(file, fd, name);
	if (err) {
		close(fd);
		return err;
	}
	*lost = spill_file_take_stock(*file);
	return 0;
}

static int write_at(int fd, uint64_t at, const void *from, size_t n)
{
	const char *p = from;

	if (lseek(fd, (off_t)at, SEEK_SET) < 0)
		return -errno;
	while (n) {
		ssize_t written = quiet_write(fd, p, n);

		if (written == -EINTR)
			continue;
		if (written <= 0)
			return written ? (int)written : -ENOSPC;
		p += written;
		n -= (size_t)written;
	}
	return 0;
}

void spill_file_cut(struct spill_file *file)
{
	struct stat st;

	/* Never longer: that has its own signal under RLIMIT_FSIZE, and needs nothing. */
	if (fstat(file->fd, &st) < 0 ||
	    (st.st_size > (off_t)file->end && ftruncate(file->fd, (off_t)file->end) < 0))
		file->sealed = true;
}

int spill_file_append(struct spill_file *file, const struct payload *p)
{
	struct spill_head head = {
		.mark = SPILL_WAITING,
		.nonce = file->name.nonce,
		.items_before = file->items,
		.length = (uint32_t)p->body.n,
		.items = p->items,
		.body_check = spill_check(p->body.p, p->body.n),
		.signal = (uint8_t)p->signal,
		.encoding = (uint8_t)p->encoding,
	};
	int err;

	if (p->body.n > SPILL_BODY_MAX)
		return -EFBIG;
	head.check = spill_head_check(&head);
	err = write_at(file->fd, file->end, &head, sizeof(head));
	if (!err)
		err = write_at(file->fd, file->end + sizeof(head), p->body.p, p->body.n);
	if (err) {
		spill_file_cut(file);
		return err;
	}
	file->end += spill_record_size(p->body.n);
	file->items += p->items;
	file->waiting_items += p->items;
	file->waiting++;
	return 0;
}

void spill_file_done(struct spill_file *file, const struct spill_record *r)
{
	const uint32_t mark = SPILL_DELIVERED;

	/* In place. If it fails all the same there is nobody who could do anything about it. */
	(void)write_at(file->fd, r->at, &mark, sizeof(mark));
	file->at = r->at + spill_record_size(r->head.length);
	file->waiting_items -= r->head.items;
	file->waiting--;
}

void spill_file_close(struct spill_file *file)
{
	close(file->fd);
	free(file);
}

void spill_file_remove(struct spill_file *file, int directory)
{
	char text[NAME_SIZE];

	name_format(text, &file->name);
	unlinkat(directory, text, 0);
	spill_file_close(file);
}

bool spill_file_is_gone(const struct spill_file *file)
{
	struct stat st;

	return fstat(file->fd, &st) < 0 || st.st_nlink == 0;
}
