// SPDX-License-Identifier: Apache-2.0
/* host.*, os.* and container.id: where we run. */
#include "base/raw.h"
#include "exporter/lines.h"
#include "exporter/resource_parts.h"

#define CONTAINER_ID_LEN 64

/* ---- container ---- */

static bool is_hex(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (!((b.p[i] >= '0' && b.p[i] <= '9') || (b.p[i] >= 'a' && b.p[i] <= 'f')))
			return false;
	return true;
}

/* "<id>", "docker-<id>.scope", "cri-containerd-<id>.scope", "crio-<id>": 64 digits on their own. */
static struct bytes segment_container(struct bytes segment)
{
	struct bytes id = segment;

	if (id.n > 6 && !memcmp(id.p + id.n - 6, ".scope", 6))
		id.n -= 6;
	while (id.n > CONTAINER_ID_LEN && memchr(id.p, '-', id.n))
		bytes_split(&id, '-');
	if (id.n == CONTAINER_ID_LEN && is_hex(id))
		return id;
	return (struct bytes){ NULL, 0 };
}

struct bytes cgroup_line_container(struct bytes line)
{
	struct bytes id = { NULL, 0 };

	bytes_split(&line, ':'); /* hierarchy */
	bytes_split(&line, ':'); /* controllers */
	while (line.p) {
		struct bytes found = segment_container(bytes_split(&line, '/'));

		if (found.n) /* the innermost one: containers nest */
			id = found;
	}
	return id;
}

/* Engines bind the container's own hostname file: .../containers/<id>/hostname on /etc/hostname
 * (and podman .../overlay-containers/<id>/userdata/hostname). Kubernetes' sandboxes/<id> is the
 * pod's. */
struct bytes mountinfo_line_container(struct bytes line)
{
	struct bytes root, before = { NULL, 0 }, segment;

	for (int i = 0; i < 3; i++) /* id, parent, device */
		bytes_split(&line, ' ');
	if (!line.p)
		return before;
	root = bytes_split(&line, ' ');
	if (!bytes_equal(bytes_split(&line, ' '), BYTES("/etc/hostname")))
		return (struct bytes){ NULL, 0 };
	while (root.p) {
		segment = bytes_split(&root, '/');
		if (segment.n == CONTAINER_ID_LEN && is_hex(segment) && before.n >= 10 &&
		    !memcmp(before.p + before.n - 10, "containers", 10))
			return segment;
		before = segment;
	}
	return (struct bytes){ NULL, 0 };
}

static bool find_container(struct resource *r, const char *path,
			   struct bytes (*of_line)(struct bytes))
{
	struct bytes line, id = { NULL, 0 };
	struct lines l;

	if (lines_open(&l, path) < 0)
		return false;
	while (!id.n && lines_next(&l, &line))
		id = of_line(line);
	if (id.n)
		resource_add(r, "container.id", id);
	lines_close(&l);
	return id.n > 0;
}

/* The mount a path lies on, or 0: not known (before Linux 5.8). */
static uint64_t mount_of(const char *path)
{
	struct statx st = { 0 };

	if (raw_syscall6(SYS_statx, AT_FDCWD, (long)path, 0, STATX_MNT_ID, (long)&st, 0) < 0 ||
	    !(st.stx_mask & STATX_MNT_ID))
		return 0;
	return st.stx_mnt_id;
}

void resource_add_container(struct resource *r)
{
	uint64_t mount;

	if (find_container(r, "/proc/self/cgroup", cgroup_line_container))
		return;
	/* The kernel takes long to write the table of mounts, which can be large: it is read only
	 * when the file that is looked for there is a mount of its own. */
	mount = mount_of("/etc/hostname");
	if (!mount || mount != mount_of("/etc"))
		find_container(r, "/proc/self/mountinfo", mountinfo_line_container);
}

/* ---- host ---- */

static struct bytes semantic_arch(struct bytes machine)
{
	static const struct {
		const char *machine, *arch;
	} names[] = {
		{ "x86_64", "amd64" }, { "aarch64", "arm64" }, { "aarch64_be", "arm64" },
		{ "i386", "x86" },     { "i486", "x86" },      { "i586", "x86" },
		{ "i686", "x86" },     { "ppc64le", "ppc64" }, { "ppc", "ppc32" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (bytes_equal(machine, bytes_of(names[i].machine)))
			return bytes_of(names[i].arch);
	return bytes_start_with(machine, BYTES("armv")) ? BYTES("arm32") : machine;
}

static bool add_machine_id(struct resource *r, const char *path)
{
	char room[64];
	struct bytes id = file_start(path, room, sizeof(room));

	id = bytes_split(&id, '\n');
	if (id.n != 32 || !is_hex(id))
		return false;
	resource_add(r, "host.id", id);
	return true;
}

void resource_add_host(struct resource *r)
{
	struct utsname u;

	if (raw_uname(&u) == 0) {
		resource_add(r, "host.name", bytes_of(u.nodename));
		resource_add(r, "host.arch", semantic_arch(bytes_of(u.machine)));
	}
	/* In a container the file is the image's, the same on every host. */
	if (!resource_find(r, BYTES("container.id")) && !add_machine_id(r, "/etc/machine-id"))
		add_machine_id(r, "/var/lib/dbus/machine-id");
}

/* ---- operating system ---- */

bool os_release_value(struct bytes line, const char *key, char *room, struct bytes *value)
{
	struct bytes name = bytes_split(&line, '=');
	char quote = 0;
	size_t n = 0;

	if (!line.p || !bytes_equal(name, bytes_of(key)))
		return false;
	line = bytes_trim(line);
	if (line.n >= 2 && (line.p[0] == '"' || line.p[0] == '\'') &&
	    line.p[line.n - 1] == line.p[0]) {
		quote = line.p[0];
		line = (struct bytes){ line.p + 1, line.n - 2 };
	}
	for (size_t i = 0; i < line.n; i++) {
		if (line.p[i] == '\\' && quote != '\'' && i + 1 < line.n)
			i++;
		room[n++] = line.p[i];
	}
	*value = (struct bytes){ room, n };
	return true;
}

void resource_add_os(struct resource *r)
{
	static const struct {
		const char *release, *key;
	} names[] = { { "NAME", "os.name" },
		      { "VERSION_ID", "os.version" },
		      { "PRETTY_NAME", "os.description" },
		      { "BUILD_ID", "os.build_id" } };
	char room[LINES_BUFFER];
	struct bytes line, value;
	struct utsname u;
	struct lines l;

	resource_add(r, "os.type", BYTES("linux"));
	if (lines_open(&l, "/etc/os-release") == 0 || lines_open(&l, "/usr/lib/os-release") == 0) {
		while (lines_next(&l, &line))
			for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
				if (os_release_value(line, names[i].release, room, &value) &&
				    value.n)
					resource_add(r, names[i].key, value);
		lines_close(&l);
	}
	if (raw_uname(&u) == 0)
		resource_add(r, "os.build_id", bytes_of(u.release));
}
