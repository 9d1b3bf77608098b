/* SPDX-License-Identifier: Apache-2.0 */
/* Small text files line by line, by raw system calls. */
#ifndef EXPORTER_LINES_H
#define EXPORTER_LINES_H

#include "base/bytes.h"

#define LINES_BUFFER 2048      /* the longest line seen whole; more of it is skipped */
#define LINES_TOTAL  (1 << 20) /* bytes of a file that are read at most */

struct lines {
	int fd;
	size_t start, end; /* of what is in the buffer */
	size_t total;
	bool skipping; /* the rest of a line that was too long */
	char buffer[LINES_BUFFER];
};

/* 0 or a negative errno. Pair with lines_close(). */
int lines_open(struct lines *l, const char *path);
/* The next line without its end, good until the next call; false at the end of the file. */
bool lines_next(struct lines *l, struct bytes *line);
void lines_close(struct lines *l);

/* What one read gives of a file, which is all of a small one; empty when it cannot be read. */
struct bytes file_start(const char *path, char *p, size_t size);

#endif
