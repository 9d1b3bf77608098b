/* SPDX-License-Identifier: Apache-2.0 */
/* Reads OTLP-JSON lines into a store, as far as they are written, and again when more come. */
#ifndef LAUNCHER_TRACE_FILE_H
#define LAUNCHER_TRACE_FILE_H

#include <sys/types.h>
#include "launcher/trace_store.h"

#define TRACE_LINE_MAX (256u << 20) /* a longer line is damage */

struct trace_file {
	const char *path; /* "-": standard input */
	struct trace_store *store;
	void (*damage)(void *arg, unsigned long line, const char *what); /* NULL: only counted */
	void *damage_arg;
	int fd; /* -1: not there yet */
	dev_t device;
	ino_t inode;
	off_t offset;
	char *buffer; /* what has no line end yet */
	size_t used, room;
	size_t searched; /* of it, without a line end */
	unsigned long line, damaged;
	bool ends;     /* a pipe: what has been read to its end stays so */
	bool skipping; /* inside a line that is too long */
};

/* Opens the file. With `wait` a file that does not exist (yet) is no mistake. 0 or -errno. */
int trace_file_open(struct trace_file *file, const char *path, struct trace_store *store,
		    bool wait);

/* Takes in a piece of what was written since. A file that shrank or was replaced is read from its
 * start. > 0: something came, 0: nothing more now, or -errno. Waits for pipes. */
int trace_file_read(struct trace_file *file);

/* All there is now: 0 or -errno. */
int trace_file_read_all(struct trace_file *file);

/* No more will come: a last line without its end is taken if it is whole, else left out. True: it
 * was torn. */
bool trace_file_finish(struct trace_file *file);

void trace_file_close(struct trace_file *file);

/* One line, as above. NULL, or what is wrong with it (spans before the damage are kept). */
const char *trace_line_parse(struct trace_store *store, const char *line, size_t n);

#endif
