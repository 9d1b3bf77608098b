/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/alive.h"

#include "base/raw.h"
#include "base/text.h"
#include "exporter/lines.h"
#include "exporter/resource_parts.h"
#include "exporter/ring_layout.h"

/* A zombie that its parent has not waited for yet. A main thread that has ended before its threads
 * looks like one, too. */
static bool has_ended(struct bytes stat)
{
	struct bytes state = stat_field(stat, 3);
	uint64_t threads = 0;

	if (!state.n || (state.p[0] != 'Z' && state.p[0] != 'X'))
		return false;
	return bytes_to_u64(stat_field(stat, 20), &threads) < 0 || threads <= 1;
}

static struct bytes stat_of(uint32_t pid, char *room, size_t size)
{
	char path[32];
	struct text t = TEXT_ON(path);

	text_format(&t, "/proc/%u/stat", pid);
	return file_start(text_string(&t), room, size);
}

uint64_t alive_start_ticks(uint32_t pid)
{
	char room[1024];
	uint64_t ticks = 0;

	return stat_start_ticks(stat_of(pid, room, sizeof(room)), &ticks) < 0 ? 0 : ticks;
}

enum alive alive_check(uint32_t pid, uint64_t pid_space, uint64_t start_ticks)
{
	uint64_t space = ring_pid_space(), ticks;
	char room[1024];
	struct bytes stat;

	if (!pid || pid > INT32_MAX || !pid_space || space != pid_space)
		return ALIVE_UNKNOWN;
	if (raw_syscall3(SYS_kill, pid, 0, 0) == -ESRCH)
		return ALIVE_NO;
	stat = stat_of(pid, room, sizeof(room));
	if (!stat.n)
		return ALIVE_YES;
	if (has_ended(stat))
		return ALIVE_NO;
	if (!start_ticks || stat_start_ticks(stat, &ticks) < 0)
		return ALIVE_YES;
	return ticks == start_ticks ? ALIVE_YES : ALIVE_NO;
}
