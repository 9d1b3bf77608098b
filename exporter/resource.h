/* SPDX-License-Identifier: Apache-2.0 */
/* The resource: what is known of this process, its host and its service, as attributes. Read once
 * in the constructor, before the program may chroot, drop privileges or wipe its environment. */
#ifndef EXPORTER_RESOURCE_H
#define EXPORTER_RESOURCE_H

#include "base/bytes.h"

#define RESOURCE_ATTRIBUTES_MAX 128
#define RESOURCE_TEXT_MAX       10080

struct resource_attribute {
	struct bytes key;
	struct bytes value; /* UTF-8 or not: the encoder makes text of it; p == NULL: number */
	int64_t number;
	bool given; /* by a variable: not replaced by what is found here */
};

/* 16 KiB, in static storage of the caller. Do not copy: the attributes point into text. */
struct resource {
	struct resource_attribute attributes[RESOURCE_ATTRIBUTES_MAX];
	size_t count;
	size_t used; /* bytes of text */
	size_t lost; /* attributes that found no room (one warning) */
	char text[RESOURCE_TEXT_MAX];
};

/* Fills *r from OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES in envp, /proc, /etc and uname.
 * What cannot be found is left out; service.name is always there. 0, or -EINVAL when
 * OTEL_RESOURCE_ATTRIBUTES was malformed and ignored as a whole (warned about; *r is good). */
int resource_detect(struct resource *r, char **envp);

/* In a forked child: process.pid, process.creation.time and service.instance.id of its own. */
void resource_child(struct resource *r);

/* The attribute, or NULL. Keys are unique. */
const struct resource_attribute *resource_find(const struct resource *r, struct bytes key);

#endif
