/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/alive.h"

#include "base/raw.h"
#include "base/text.h"
#include "exporter/lines.h"
#include "exporter/resource_parts.h"
#include "exporter/ring_layout.h"

static bool is_zombie(struct bytes stat)
{
	const char *at = stat.p + stat.n;

	while (at > stat.p && at[-1] != ')')
		at--;
	return at > stat.p && stat.p + stat.n - at > 1 && (at[1] == 'Z' || at[1] == 'X');
}

uint64_t alive_start_ticks(uint32_t pid)
{
	char path[32], room[1024];
	struct text t = TEXT_ON(path);
	struct bytes stat;
	uint64_t ticks = 0;

	text_format(&t, "/proc/%u/stat", pid);
	stat = file_start(text_string(&t), room, sizeof(room));
	if (!stat.n || is_zombie(stat) || stat_start_ticks(stat, &ticks) < 0)
		return 0;
	return ticks;
}

enum alive alive_check(uint32_t pid, uint64_t pid_space, uint64_t start_ticks)
{
	uint64_t space = ring_pid_space();

	if (!pid || pid > INT32_MAX || !pid_space || space != pid_space)
		return ALIVE_UNKNOWN;
	if (raw_syscall3(SYS_kill, pid, 0, 0) == -ESRCH)
		return ALIVE_NO;
	/* Without /proc there is the number alone. */
	if (!alive_start_ticks((uint32_t)raw_getpid()))
		return ALIVE_YES;
	return alive_start_ticks(pid) == start_ticks ? ALIVE_YES : ALIVE_NO;
}
