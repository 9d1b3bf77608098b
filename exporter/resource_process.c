// SPDX-License-Identifier: Apache-2.0
/* process.*: who we are inside of. */
#include "base/clock.h"
#include "base/raw.h"
#include "base/text.h"
#include "exporter/lines.h"
#include "exporter/resource_parts.h"

#define VALUE_MAX        1024 /* a longer path or command is left out, not cut */
#define TICKS_PER_SECOND 100  /* USER_HZ: part of the kernel's interface on every 64-bit port */

struct bytes stat_field(struct bytes stat, int number)
{
	const char *end = stat.p + stat.n, *at = end;
	struct bytes rest, field = { NULL, 0 };

	/* pid (name) state ...: the name may hold anything, so count from its last bracket */
	while (at > stat.p && at[-1] != ')')
		at--;
	if (at == stat.p || at == end)
		return field;
	rest = (struct bytes){ at + 1, (size_t)(end - at - 1) };
	for (int i = 3; i <= number; i++) {
		if (!rest.p)
			return (struct bytes){ NULL, 0 };
		field = bytes_split(&rest, ' ');
	}
	return field;
}

int stat_start_ticks(struct bytes stat, uint64_t *ticks)
{
	return bytes_to_u64(stat_field(stat, 22), ticks);
}

static void put_digits(char *at, int n, unsigned value)
{
	while (n--) {
		at[n] = (char)('0' + value % 10);
		value /= 10;
	}
}

void iso8601_format(char text[static CREATION_TIME_LEN], uint64_t ms)
{
	uint64_t second = ms / 1000, day = second / 86400;
	/* The civil calendar in years that start in March, so that the leap day is the last one. */
	uint64_t z = day + 719468, era = z / 146097, of_era = z % 146097;
	uint64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned march = (unsigned)(5 * of_year + 2) / 153; /* months since March */
	unsigned month = march < 10 ? march + 3 : march - 9;

	memcpy(text, "0000-00-00T00:00:00.000Z", CREATION_TIME_LEN);
	put_digits(text, 4, (unsigned)(year_of_era + era * 400 + (month <= 2)));
	put_digits(text + 5, 2, month);
	put_digits(text + 8, 2, (unsigned)of_year - (153 * march + 2) / 5 + 1);
	put_digits(text + 11, 2, (unsigned)(second / 3600 % 24));
	put_digits(text + 14, 2, (unsigned)(second / 60 % 60));
	put_digits(text + 17, 2, (unsigned)(second % 60));
	put_digits(text + 20, 3, (unsigned)(ms % 1000));
}

struct bytes process_creation_time(char text[static CREATION_TIME_LEN])
{
	char room[1024];
	struct timespec since_boot = { 0 };
	uint64_t ticks, boot_ms;

	if (stat_start_ticks(file_start("/proc/self/stat", room, sizeof(room)), &ticks) < 0 ||
	    raw_clock_gettime(CLOCK_BOOTTIME, &since_boot) < 0)
		return (struct bytes){ NULL, 0 };
	boot_ms = clock_realtime_ns() / 1000000 - (uint64_t)since_boot.tv_sec * 1000 -
		  (uint64_t)since_boot.tv_nsec / 1000000;
	iso8601_format(text, boot_ms + ticks * 1000 / TICKS_PER_SECOND);
	return (struct bytes){ text, CREATION_TIME_LEN };
}

bool passwd_line_name(struct bytes line, uint32_t uid, struct bytes *name)
{
	struct bytes first = bytes_split(&line, ':');
	uint64_t number;

	bytes_split(&line, ':'); /* password */
	if (!first.n || !line.p || bytes_to_u64(bytes_split(&line, ':'), &number) < 0 ||
	    number != uid)
		return false;
	*name = first;
	return true;
}

static void add_owner(struct resource *r)
{
	char digits[16];
	struct text text = TEXT_ON(digits);
	uint32_t uid = raw_getuid();
	struct bytes line, name;
	struct lines l;

	if (lines_open(&l, "/etc/passwd") == 0) {
		bool found = false;

		while (!found && lines_next(&l, &line))
			found = passwd_line_name(line, uid, &name);
		if (found)
			resource_add(r, "process.owner", name);
		lines_close(&l);
	}
	text_put_u64(&text, uid); /* containers often run under a number that has no name */
	resource_add(r, "process.owner", text_bytes(&text));
}

static void add_executable(struct resource *r)
{
	static const struct bytes deleted = { " (deleted)", 10 };
	char path[4096];
	ssize_t n = raw_readlinkat(AT_FDCWD, "/proc/self/exe", path, sizeof(path));
	struct bytes exe = { path, n > 0 ? (size_t)n : 0 }, name;

	if (exe.n > deleted.n && !memcmp(path + exe.n - deleted.n, deleted.p, deleted.n))
		exe.n -= deleted.n;
	name = exe;
	while (name.n && memchr(name.p, '/', name.n))
		bytes_split(&name, '/');
	if (name.n)
		resource_add(r, "process.executable.name", name);
	if (exe.n && exe.n <= VALUE_MAX)
		resource_add(r, "process.executable.path", exe);
}

void resource_add_process(struct resource *r)
{
	char room[VALUE_MAX + 1], time[CREATION_TIME_LEN];
	struct bytes command, created = process_creation_time(time);

	resource_add_int(r, "process.pid", raw_getpid());
	if (created.n)
		resource_add(r, "process.creation.time", created);
	add_executable(r);
	command = file_start("/proc/self/cmdline", room, sizeof(room));
	command = bytes_split(&command, 0);
	if (command.n && command.n <= VALUE_MAX)
		resource_add(r, "process.command", command);
	add_owner(r);
}
