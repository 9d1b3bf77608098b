// SPDX-License-Identifier: Apache-2.0
#include "exporter/lines.h"

#include "base/raw.h"

int lines_open(struct lines *l, const char *path)
{
	int fd = raw_open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);

	l->fd = fd;
	l->start = l->end = l->total = 0;
	l->skipping = false;
	return fd < 0 ? fd : 0;
}

/* More bytes behind those that are there; false when there are none. */
static bool lines_fill(struct lines *l)
{
	ssize_t n;

	memmove(l->buffer, l->buffer + l->start, l->end - l->start);
	l->end -= l->start;
	l->start = 0;
	if (l->end == sizeof(l->buffer) || l->total >= LINES_TOTAL)
		return false;
	do
		n = raw_read(l->fd, l->buffer + l->end, sizeof(l->buffer) - l->end);
	while (n == -EINTR);
	if (n <= 0)
		return false;
	l->end += (size_t)n;
	l->total += (size_t)n;
	return true;
}

/* The next piece of a line; *whole when a line end came after it. */
static bool lines_piece(struct lines *l, struct bytes *piece, bool *whole)
{
	const char *at;

	do {
		at = memchr(l->buffer + l->start, '\n', l->end - l->start);
	} while (!at && lines_fill(l));
	*piece = (struct bytes){ l->buffer + l->start, l->end - l->start };
	*whole = at != NULL;
	if (at)
		piece->n = (size_t)(at - piece->p);
	l->start += piece->n + *whole;
	return piece->n || *whole;
}

bool lines_next(struct lines *l, struct bytes *line)
{
	bool whole;

	do {
		bool rest = l->skipping;

		if (!lines_piece(l, line, &whole))
			return false;
		l->skipping = !whole;
		if (!rest)
			return true;
	} while (true);
}

void lines_close(struct lines *l)
{
	raw_close(l->fd);
}

struct bytes file_start(const char *path, char *p, size_t size)
{
	int fd = raw_open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
	ssize_t n;

	if (fd < 0)
		return (struct bytes){ p, 0 };
	do
		n = raw_read(fd, p, size);
	while (n == -EINTR);
	raw_close(fd);
	return (struct bytes){ p, n > 0 ? (size_t)n : 0 };
}
