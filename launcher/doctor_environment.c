/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "base/config.h"
#include "launcher/doctor.h"

/* Another tracer shows itself by a variable that holds a word. */
static const struct {
	const char *variable, *word, *what;
} tracers[] = {
	{ "NODE_OPTIONS", "opentelemetry", "OpenTelemetry for Node" },
	{ "NODE_OPTIONS", "dd-trace", "Datadog's tracer for Node" },
	{ "NODE_OPTIONS", "elastic-apm", "Elastic APM for Node" },
	{ "PYTHONPATH", "opentelemetry", "OpenTelemetry for Python" },
	{ "PYTHONPATH", "ddtrace", "Datadog's tracer for Python" },
	{ "JAVA_TOOL_OPTIONS", "opentelemetry", "OpenTelemetry's Java agent" },
	{ "JAVA_TOOL_OPTIONS", "-javaagent", "a Java agent" },
	{ "JDK_JAVA_OPTIONS", "-javaagent", "a Java agent" },
	{ "RUBYOPT", "opentelemetry", "OpenTelemetry for Ruby" },
	{ "CORECLR_PROFILER_PATH", "OpenTelemetry", "OpenTelemetry for .NET" },
	{ "DOTNET_STARTUP_HOOKS", "OpenTelemetry", "OpenTelemetry for .NET" },
	{ "OTEL_DOTNET_AUTO_HOME", "", "OpenTelemetry for .NET" },
	{ "LD_PRELOAD", "otelinject", "OpenTelemetry's injector" },
	{ "LD_PRELOAD", "libotelinject", "OpenTelemetry's injector" },
};

/* The same in a command line. */
static const char *const tracing_words[][2] = {
	{ "opentelemetry-instrument", "OpenTelemetry for Python" },
	{ "@opentelemetry/", "OpenTelemetry for Node" },
	{ "opentelemetry-javaagent", "OpenTelemetry's Java agent" },
	{ "ddtrace-run", "Datadog's tracer" },
	{ "dd-java-agent", "Datadog's tracer" },
	{ "elastic-apm", "Elastic APM" },
};

#define SDK_ADVICE                                                                               \
	"Turn one of the two off, or leave it so: requests that carry its trace headers get no " \
	"span of ours, the others do."

static void examine_tracers(struct findings *f, char *const *command)
{
	for (size_t i = 0; i < sizeof(tracers) / sizeof(tracers[0]); i++) {
		const char *value = getenv(tracers[i].variable);

		if (!value || !strcasestr(value, tracers[i].word))
			continue;
		found(f, LEVEL_WARNING, "own SDK", SDK_ADVICE, "%s loads %s", tracers[i].variable,
		      tracers[i].what);
		break;
	}
	for (; command && *command; command++)
		for (size_t i = 0; i < sizeof(tracing_words) / sizeof(tracing_words[0]); i++)
			if (strstr(*command, tracing_words[i][0])) {
				found(f, LEVEL_WARNING, "own SDK", SDK_ADVICE,
				      "the command loads %s (%s)", tracing_words[i][1],
				      tracing_words[i][0]);
				return;
			}
}

static void examine_entry(void *arg, const char *path)
{
	struct findings *f = arg;
	const char *slash = strrchr(path, '/');
	struct elf_file elf;
	int err;

	/* The loader fills these in, or looks in its own directories. */
	if (strchr(path, '$') || !slash)
		return;
	if (access(path, R_OK) < 0) {
		found(f, LEVEL_WARNING, "preload", "Take it out of LD_PRELOAD.",
		      "LD_PRELOAD names %s, which is not there: the loader complains and goes on",
		      path);
		return;
	}
	err = elf_file_open(&elf, path);
	if (err)
		found(f, LEVEL_WARNING, "preload", "Take it out of LD_PRELOAD.",
		      "LD_PRELOAD names %s, which is no library", path);
	else if (!elf.native)
		found(f, LEVEL_WARNING, "preload", "",
		      "LD_PRELOAD names %s, which is for another processor", path);
	if (!err)
		elf_file_close(&elf);
}

static void examine_preload(struct findings *f, const struct library *library)
{
	const char *preload = getenv("LD_PRELOAD");
	unsigned before = f->warnings;

	if (!preload || !*preload)
		return;
	preload_each(preload, examine_entry, f);
	switch (library_in_preload(library, preload)) {
	case PRELOAD_SAME:
		found(f, LEVEL_OK, "preload", "", "LD_PRELOAD holds the library already");
		break;
	case PRELOAD_OTHER_COPY:
		found(f, LEVEL_WARNING, "preload", "Keep one of them.",
		      "LD_PRELOAD holds another copy of the library: that one is used");
		break;
	case PRELOAD_ABSENT:
		if (f->warnings == before)
			found(f, LEVEL_OK, "preload", "",
			      "LD_PRELOAD is %s: the library is put behind it", preload);
	}
}

/* "Seccomp:\t2" of /proc/self/status, or -1. */
static long status_number(const char *key)
{
	char line[256];
	FILE *status = fopen("/proc/self/status", "re");
	long n = -1;

	while (status && n < 0 && fgets(line, sizeof(line), status))
		if (strncmp(line, key, strlen(key)) == 0)
			n = strtol(line + strlen(key), NULL, 10);
	if (status)
		fclose(status);
	return n;
}

static void examine_confinement(struct findings *f)
{
	if (status_number("Seccomp:") > 0)
		found(f, LEVEL_WARNING, "seccomp",
		      "When spans are missing, look at TAGALONG_STATS: a filter may forbid "
		      "socket() "
		      "or threads to the exporter. A container's usual filter does not.",
		      "a seccomp filter is in force here");
	if (status_number("NoNewPrivs:") > 0)
		found(f, LEVEL_OK, "rights", "", "no_new_privs is set: nothing gains rights here");
}

static void examine_stacktrace(struct findings *f)
{
	void *unwind;

	if (!*config.stacktrace || strcmp(config.stacktrace, "off") == 0)
		return;
	unwind = dlopen("libunwind.so.8", RTLD_LAZY | RTLD_LOCAL);
	if (!unwind)
		found(f, LEVEL_WARNING, "stacktrace", "Install libunwind8.",
		      "TAGALONG_STACKTRACE needs libunwind.so.8, which is not here");
	else
		dlclose(unwind);
}

void environment_examine(struct findings *f, const struct library *library, char *const *command)
{
	if (config.disabled)
		found(f, LEVEL_PROBLEM, "settings", "Unset OTEL_SDK_DISABLED.",
		      "OTEL_SDK_DISABLED is true: no spans are made");
	if (config.sampler == SAMPLER_ALWAYS_OFF)
		found(f, LEVEL_PROBLEM, "settings", "Unset OTEL_TRACES_SAMPLER.",
		      "OTEL_TRACES_SAMPLER is always_off: nothing is recorded");
	examine_preload(f, library);
	if (access("/etc/ld.so.preload", R_OK) == 0)
		found(f, LEVEL_WARNING, "preload", "",
		      "/etc/ld.so.preload exists: what it names is loaded before us");
	examine_tracers(f, command);
	examine_confinement(f);
	examine_stacktrace(f);
}
