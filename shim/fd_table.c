/* SPDX-License-Identifier: Apache-2.0 */
/* What each descriptor is: the connection it names, and marks that stay when that is given up. */
#include <sys/mman.h>
#include "base/raw.h"
#include "shim/conn.h"
#include "shim/process_state.h"

struct fd_table fd_table;

int fd_table_init(void)
{
	struct rlimit64 limit = { 0, 0 };
	unsigned size = FD_TABLE_MAX;
	char *map;

	raw_prlimit64(0, RLIMIT_NOFILE, NULL, &limit);
	if (limit.rlim_max > 0 && limit.rlim_max < size)
		size = limit.rlim_max < 1024 ? 1024 : (unsigned)limit.rlim_max;
	map = (char *)raw_mmap(NULL, size * (sizeof(void *) + 1), PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if ((unsigned long)map > -4096ul)
		return (int)(long)map;
	fd_table.conn = (void *)map;
	fd_table.flags = (void *)(map + size * sizeof(void *));
	fd_table.size = size;
	return 0;
}

static void reach(int fd)
{
	unsigned used = atomic_load_explicit(&fd_table.used, memory_order_relaxed);

	while (used <= (unsigned)fd &&
	       !atomic_compare_exchange_weak(&fd_table.used, &used, (unsigned)fd + 1))
		;
}

bool fd_table_add(int fd, struct conn *c)
{
	struct conn *none = NULL;

	reach(fd);
	return atomic_compare_exchange_strong(&fd_table.conn[fd], &none, c);
}

void fd_table_mark(int fd, unsigned marks)
{
	uint8_t before;

	reach(fd);
	before =
		atomic_fetch_or_explicit(&fd_table.flags[fd], (uint8_t)marks, memory_order_relaxed);
	if (marks & ~before & FD_IS_UNSEEN)
		process_unseen(true);
}

void fd_table_unmark(int fd, unsigned marks)
{
	uint8_t before = atomic_fetch_and_explicit(&fd_table.flags[fd], (uint8_t)~marks,
						   memory_order_relaxed);

	if (marks & before & FD_IS_UNSEEN)
		process_unseen(false);
}

void fd_table_remark(int fd, unsigned marks)
{
	uint8_t before;

	if (atomic_load_explicit(&fd_table.flags[fd], memory_order_relaxed) == marks)
		return;
	reach(fd);
	before =
		atomic_exchange_explicit(&fd_table.flags[fd], (uint8_t)marks, memory_order_relaxed);
	if ((marks ^ before) & FD_IS_UNSEEN)
		process_unseen(marks & FD_IS_UNSEEN);
}
