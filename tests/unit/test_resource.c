// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include "base/id.h"
#include "exporter/lines.h"
#include "exporter/resource.h"
#include "exporter/resource_parts.h"

static struct resource resource;

static int detect(const char *a, const char *b)
{
	char *envp[] = { (char *)(uintptr_t)a, (char *)(uintptr_t)b, NULL };

	id_init();
	return resource_detect(&resource, envp);
}

static const char *value(const char *key)
{
	static char text[4][2048];
	static unsigned next;
	char *t = text[next++ % 4];
	const struct resource_attribute *a = resource_find(&resource, bytes_of(key));

	if (!a)
		return "(none)";
	if (a->value.p)
		snprintf(t, 2048, "%.*s", (int)a->value.n, a->value.p);
	else
		snprintf(t, 2048, "%ld", (long)a->number);
	return t;
}

Test(resource, describes_this_process)
{
	char path[4096], expected[300];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char host[256];

	cr_assert_gt(n, 0);
	path[n] = 0;
	cr_assert_eq(detect(NULL, NULL), 0);
	cr_assert_str_eq(value("telemetry.sdk.name"), "tagalong");
	cr_assert_str_eq(value("telemetry.sdk.language"), "c");
	cr_assert_str_eq(value("telemetry.sdk.version"), TAGALONG_VERSION);
	cr_assert_str_eq(value("telemetry.distro.name"), "tagalong");
	cr_assert_str_eq(value("process.executable.path"), path);
	cr_assert_str_eq(value("process.executable.name"), strrchr(path, '/') + 1);
	snprintf(expected, sizeof(expected), "unknown_service:%s", strrchr(path, '/') + 1);
	cr_assert_str_eq(value("service.name"), expected);
	cr_assert_eq(atoi(value("process.pid")), getpid());
	gethostname(host, sizeof(host));
	cr_assert_str_eq(value("host.name"), host);
	cr_assert_str_eq(value("os.type"), "linux");
	cr_assert_str_neq(value("os.description"), "(none)");
	cr_assert_str_neq(value("os.build_id"), "(none)");
	cr_assert_str_neq(value("process.owner"), "(none)");
	cr_assert_str_eq(value("process.parent_pid"), "(none)");
#ifdef __x86_64__
	cr_assert_str_eq(value("host.arch"), "amd64");
#endif
	cr_assert_eq(strlen(value("service.instance.id")), 36);
	cr_assert_eq(value("service.instance.id")[14], '4');
	for (size_t i = 0; i < resource.count; i++)
		for (size_t j = 0; j < i; j++)
			cr_assert_not(bytes_equal(resource.attributes[i].key,
						  resource.attributes[j].key));
}

Test(resource, takes_the_service_name_in_the_specified_order)
{
	detect("OTEL_SERVICE_NAME=one", "OTEL_RESOURCE_ATTRIBUTES=service.name=two");
	cr_assert_str_eq(value("service.name"), "one");
	detect("OTEL_SERVICE_NAME=", "OTEL_RESOURCE_ATTRIBUTES=service.name=two");
	cr_assert_str_eq(value("service.name"), "two");
	detect(NULL, "OTEL_RESOURCE_ATTRIBUTES=service.name=");
	detect("OTEL_RESOURCE_ATTRIBUTES=service.name=", NULL);
	cr_assert_eq(strncmp(value("service.name"), "unknown_service:", 16), 0);
}

Test(resource, takes_older_names_for_what_nobody_has_said)
{
	detect("TRACING_SERVICE_NAME=old", "OTEL_SERVICE_NAME=new");
	cr_assert_str_eq(value("service.name"), "new");
	detect("TRACING_SERVICE_NAME=old", "OTEL_RESOURCE_ATTRIBUTES=service.name=new");
	cr_assert_str_eq(value("service.name"), "new");
	detect("TRACING_SERVICE_NAME=old", "APP_ENV=a%2Cb");
	cr_assert_str_eq(value("service.name"), "old");
	cr_assert_str_eq(value("deployment.environment.name"), "a%2Cb");
	detect("SERVICE_VERSION=1.2", "OTEL_RESOURCE_ATTRIBUTES=service.version=3");
	cr_assert_str_eq(value("service.version"), "3");
	detect("SERVICE_VERSION=1.2", "APP_ENV=");
	cr_assert_str_eq(value("service.version"), "1.2");
	cr_assert_str_eq(value("deployment.environment.name"), "(none)");
}

Test(resource, decodes_the_variable)
{
	cr_assert_eq(
		detect("OTEL_RESOURCE_ATTRIBUTES= deployment.environment.name = a%2Cb%3dc%20d ,"
		       "k%31=v=w,,empty=,x=%C3%A9,twice=1,twice=2,",
		       NULL),
		0);
	cr_assert_str_eq(value("deployment.environment.name"), "a,b=c d");
	cr_assert_str_eq(value("k1"), "v=w");
	cr_assert_str_eq(value("empty"), "");
	cr_assert_str_eq(value("x"), "\xc3\xa9");
	cr_assert_str_eq(value("twice"), "2");
}

Test(resource, discards_the_whole_variable_on_any_error)
{
	const char *bad[] = { "good=1,bad",   "good=1,=x",    "good=1,b=%", "good=1,b=%4",
			      "good=1,b=%zz", "b=%4g,good=1", "%=1,good=1", "good=1, =1" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char variable[100];

		snprintf(variable, sizeof(variable), "OTEL_RESOURCE_ATTRIBUTES=%s", bad[i]);
		cr_assert_eq(detect(variable, NULL), -22, "%s", bad[i]);
		cr_assert_str_eq(value("good"), "(none)");
		cr_assert_str_eq(value("os.type"), "linux");
	}
}

Test(resource, lets_the_variable_win_over_what_is_found_but_not_over_what_we_are)
{
	detect("OTEL_RESOURCE_ATTRIBUTES=host.name=given,process.pid=x,service.instance.id=mine,"
	       "telemetry.sdk.name=opentelemetry",
	       NULL);
	cr_assert_str_eq(value("host.name"), "given");
	cr_assert_str_eq(value("process.pid"), "x");
	cr_assert_str_eq(value("telemetry.sdk.name"), "tagalong");
	resource_child(&resource);
	cr_assert_str_eq(value("process.pid"), "x");
	cr_assert_str_eq(value("service.instance.id"), "mine");
}

Test(resource, is_bounded)
{
	static char many[60000] = "OTEL_RESOURCE_ATTRIBUTES=",
		    big[60000] = "OTEL_RESOURCE_ATTRIBUTES=";
	size_t n = strlen(many);

	for (int i = 0; i < 3000; i++)
		n += (size_t)sprintf(many + n, "key%d=%d,", i, i);
	cr_assert_eq(detect(many, NULL), 0);
	cr_assert_eq(resource.count, RESOURCE_ATTRIBUTES_MAX);
	cr_assert_gt(resource.lost, 2800);
	cr_assert_str_neq(value("telemetry.sdk.name"), "(none)");

	n = strlen(big);
	memcpy(big + n, "a=", 2);
	memset(big + n + 2, 'x', 50000);
	memcpy(big + n + 2 + 50000, ",b=1", 5);
	cr_assert_eq(detect(big, NULL), 0);
	cr_assert_str_eq(value("a"), "(none)");
	cr_assert_str_eq(value("b"), "1");
	cr_assert_str_eq(value("os.type"), "linux");
}

Test(resource, gives_a_child_its_own_identity)
{
	char instance[64];
	int status;
	pid_t pid;

	detect(NULL, NULL);
	strcpy(instance, value("service.instance.id"));
	usleep(20000);
	pid = fork();
	if (pid == 0) {
		size_t count = resource.count;

		id_init_child();
		resource_child(&resource);
		_exit(atoi(value("process.pid")) == getpid() && resource.count == count &&
				      strcmp(value("service.instance.id"), instance) &&
				      strlen(value("service.instance.id")) == 36
			      ? 0
			      : 1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
}

Test(resource, knows_when_the_process_began)
{
	char text[CREATION_TIME_LEN + 1] = "", now[CREATION_TIME_LEN + 1] = "";
	struct timespec t;

	cr_assert_eq(process_creation_time(text).n, CREATION_TIME_LEN);
	clock_gettime(CLOCK_REALTIME, &t);
	iso8601_format(now, (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + 20);
	cr_assert_leq(strcmp(text, now), 0, "%s %s", text, now);
	iso8601_format(now, ((uint64_t)t.tv_sec - 600) * 1000);
	cr_assert_geq(strcmp(text, now), 0, "%s %s", text, now);
}

Test(resource, writes_dates_as_the_c_library_does)
{
	char text[CREATION_TIME_LEN + 1] = "", expected[40];

	for (uint64_t second = 0; second < 8000000000u; second += 43201 * 7) {
		time_t t = (time_t)second;
		struct tm tm;

		gmtime_r(&t, &tm);
		strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.007Z", &tm);
		iso8601_format(text, second * 1000 + 7);
		cr_assert_str_eq(text, expected);
	}
	iso8601_format(text, 951782400000u);
	cr_assert_str_eq(text, "2000-02-29T00:00:00.000Z");
}

Test(resource, reads_the_start_time_past_any_process_name)
{
	uint64_t ticks = 0;

	cr_assert_eq(
		stat_start_ticks(BYTES("1 (a) b) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 "
				       "21 424242 23\n"),
				 &ticks),
		0);
	cr_assert_eq(ticks, 424242);
	cr_assert_eq(stat_start_ticks(BYTES("1 (a"), &ticks), -22);
	cr_assert_eq(stat_start_ticks(BYTES("1 (a)"), &ticks), -22);
	cr_assert_eq(stat_start_ticks(BYTES(""), &ticks), -22);
	cr_assert_eq(stat_start_ticks(BYTES("1 (a) S 4 5"), &ticks), -22);
}

Test(resource, finds_names_of_users)
{
	struct bytes name;

	cr_assert(passwd_line_name(BYTES("root:x:0:0:root:/root:/bin/bash"), 0, &name));
	cr_assert(bytes_equal(name, BYTES("root")));
	cr_assert_not(passwd_line_name(BYTES("a:x:10:0:::"), 0, &name));
	cr_assert_not(passwd_line_name(BYTES("a:x"), 0, &name));
	cr_assert_not(passwd_line_name(BYTES(":x:0:0"), 0, &name));
	cr_assert_not(passwd_line_name(BYTES("a:x::0"), 0, &name));
	cr_assert_not(passwd_line_name(BYTES(""), 0, &name));
}

Test(resource, unquotes_os_release)
{
	char room[100];
	struct bytes v;

	cr_assert(os_release_value(BYTES("NAME=\"Debian \\\"GNU\\\"/Linux\""), "NAME", room, &v));
	cr_assert(bytes_equal(v, BYTES("Debian \"GNU\"/Linux")));
	cr_assert(os_release_value(BYTES("NAME='a \\ b'"), "NAME", room, &v));
	cr_assert(bytes_equal(v, BYTES("a \\ b")));
	cr_assert(os_release_value(BYTES("NAME=Alpine"), "NAME", room, &v));
	cr_assert(bytes_equal(v, BYTES("Alpine")));
	cr_assert_not(os_release_value(BYTES("PRETTY_NAME=x"), "NAME", room, &v));
	cr_assert_not(os_release_value(BYTES("NAME"), "NAME", room, &v));
}

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

Test(resource, finds_container_ids)
{
	const char *groups[] = { "12:memory:/docker/" ID, "0::/system.slice/docker-" ID ".scope",
				 "1:name=systemd:/kubepods/burstable/pod7d-1/" ID,
				 "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" ID
				 ".scope",
				 "0::/machine.slice/libpod-" ID ".scope/container" };

	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++)
		cr_assert(bytes_equal(cgroup_line_container(bytes_of(groups[i])), BYTES(ID)), "%s",
			  groups[i]);
	cr_assert_eq(cgroup_line_container(BYTES("0::/")).n, 0);
	cr_assert_eq(cgroup_line_container(BYTES("0::/user.slice/session-1.scope")).n, 0);
	cr_assert_eq(cgroup_line_container(BYTES("0::/docker/" ID "0")).n, 0);
	cr_assert_eq(cgroup_line_container(BYTES("")).n, 0);

	cr_assert(bytes_equal(mountinfo_line_container(
				      BYTES("473 456 254:1 /docker/containers/" ID "/hostname "
					    "/etc/hostname rw,relatime - ext4 /dev/vda1 rw")),
			      BYTES(ID)));
	cr_assert(bytes_equal(mountinfo_line_container(
				      BYTES("1 2 0:3 /containers/overlay-containers/" ID
					    "/userdata/hostname /etc/hostname rw - tmpfs a b")),
			      BYTES(ID)));
	cr_assert_eq(mountinfo_line_container(BYTES("1 2 0:3 /x/sandboxes/" ID
						    "/hostname /etc/hostname rw - ext4 a b"))
			     .n,
		     0);
	cr_assert_eq(mountinfo_line_container(
			     BYTES("1 2 0:3 /docker/containers/" ID "/hostname /mnt rw - ext4 a b"))
			     .n,
		     0);
	cr_assert_eq(mountinfo_line_container(BYTES("1 2")).n, 0);
	cr_assert_eq(mountinfo_line_container(BYTES("")).n, 0);
}

Test(resource, reads_lines_of_any_length)
{
	char path[] = "/tmp/tagalong-lines-XXXXXX";
	static char longest[3 * LINES_BUFFER];
	int fd = mkstemp(path);
	struct bytes line;
	struct lines l;

	memset(longest, 'x', sizeof(longest));
	cr_assert_eq(write(fd, "a\n\nbb\n", 6), 6);
	cr_assert_eq(write(fd, longest, sizeof(longest)), sizeof(longest));
	cr_assert_eq(write(fd, "\nlast", 5), 5);
	close(fd);
	cr_assert_eq(lines_open(&l, path), 0);
	cr_assert(lines_next(&l, &line) && bytes_equal(line, BYTES("a")));
	cr_assert(lines_next(&l, &line) && line.n == 0);
	cr_assert(lines_next(&l, &line) && bytes_equal(line, BYTES("bb")));
	cr_assert(lines_next(&l, &line) && line.n == LINES_BUFFER && line.p[0] == 'x');
	cr_assert(lines_next(&l, &line) && bytes_equal(line, BYTES("last")));
	cr_assert_not(lines_next(&l, &line));
	lines_close(&l);
	unlink(path);
	cr_assert_eq(lines_open(&l, path), -2);
}
