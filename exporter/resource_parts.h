/* SPDX-License-Identifier: Apache-2.0 */
/* How resource.c is made up; nobody else's business. */
#ifndef EXPORTER_RESOURCE_PARTS_H
#define EXPORTER_RESOURCE_PARTS_H

#include "exporter/resource.h"

/* Adds an attribute unless its key is there already; the key is a literal, the value copied. */
void resource_add(struct resource *r, const char *key, struct bytes value);
void resource_add_int(struct resource *r, const char *key, int64_t value);

void resource_add_process(struct resource *r);
void resource_add_container(struct resource *r);
void resource_add_host(struct resource *r);
void resource_add_os(struct resource *r);

/* "2023-11-21T09:25:34.853Z" of this process's start: 24 bytes, or empty when not known. */
#define CREATION_TIME_LEN 24
struct bytes process_creation_time(char text[static CREATION_TIME_LEN]);
void iso8601_format(char text[static CREATION_TIME_LEN], uint64_t ms_since_1970);

/* Field `number` (3 and above: behind the name) of /proc/<pid>/stat; empty when it is not there. */
struct bytes stat_field(struct bytes stat, int number);

/* The start time in /proc/<pid>/stat, in clock ticks since boot: 0 or -EINVAL. */
int stat_start_ticks(struct bytes stat, uint64_t *ticks);

/* The user id's name in one line of /etc/passwd; false: another user's line. */
bool passwd_line_name(struct bytes line, uint32_t uid, struct bytes *name);

/* KEY=value of an os-release file, unquoted into room (at least line.n bytes); false: another key.
 */
bool os_release_value(struct bytes line, const char *key, char *room, struct bytes *value);

/* The container's id in one line of /proc/self/cgroup or mountinfo, 64 digits; else empty. */
struct bytes cgroup_line_container(struct bytes line);
struct bytes mountinfo_line_container(struct bytes line);

#endif
