/* SPDX-License-Identifier: Apache-2.0 */
/* The script is a file beside the library, loaded as by --require: nothing about the program's own
 * start changes. Where there is none, or Node's permission model may keep it from being read, it
 * is a data: URL for --import, with which Node starts a CommonJS program from inside its loader of
 * modules: promises then come before process.nextTick() while its main file runs, and a main file
 * that only an extension of require() understands is not found; such programs get no script.
 *
 * An option that Node does not know would end the program: its version is known before, or nothing
 * is done. The program itself is not to see the option: the script takes it out of process.env. */
#include "hooks/node.h"

#include <errno.h>
#include <link.h>
#include <sys/mman.h>
#include "base/bytes.h"
#include "base/config.h"
#include "base/environment.h"
#include "base/raw.h"
#include "base/readable.h"
#include "base/symbols.h"
#include "base/text.h"
#include "hooks/code_constants.h"
#include "hooks/node/script.h"
#include "shim/shim.h"

#define PATH_ROOM     4096
#define VALUE_MAX     120000 /* bytes: below what the kernel takes of one variable (MAX_ARG_STRLEN) */
#define ARGUMENTS_MAX 65536 /* bytes looked at */
#define VARIABLES_MAX 1000000
#define SCRIPT        "tagalong-node.cjs"
#define VARIABLE      "NODE_OPTIONS"

extern char **__environ __attribute__((weak));
extern char **environ __attribute__((weak));
extern int dl_iterate_phdr(int (*fn)(struct dl_phdr_info *, size_t, void *), void *arg)
	__attribute__((weak));

bool node_has_script;

/* How this process was started, as far as it matters. */
struct start {
	bool refuse;     /* no preloading, or the options mean a start of another kind */
	bool restricted; /* the permission model: no file may be read but those it names */
	bool reads_all;  /* in the permission model every file may be read */
	bool settings;   /* a file of settings, which may say anything */
	bool requires;   /* other scripts are preloaded: they may teach require() extensions */
	bool plain_main; /* the main file has an extension of JavaScript's */
	bool odd_main;   /* it has another */
};

/* ---- is it Node, and which one? ---- */

static bool is_node(void)
{
	char room[PATH_ROOM];
	ssize_t n = raw_readlinkat(AT_FDCWD, "/proc/self/exe", room, sizeof(room));
	struct bytes path = { room, n > 0 ? (size_t)n : 0 }, name = path;

	for (size_t i = 0; i < path.n; i++)
		if (path.p[i] == '/')
			name = (struct bytes){ path.p + i + 1, path.n - i - 1 };
	return bytes_equal(name, BYTES("node")) || bytes_equal(name, BYTES("nodejs"));
}

/* napi_node_version of Node-API, which napi_get_node_version() gives the address of. */
struct node_version {
	uint32_t major, minor, patch;
	const char *release;
};

static const struct node_version *version_at(uintptr_t address)
{
	const struct node_version *v = (const void *)address;

	if (!address || address % _Alignof(struct node_version) ||
	    !memory_readable(v, sizeof(*v)) || !memory_readable(v->release, sizeof("node")) ||
	    memcmp(v->release, "node", sizeof("node")) != 0)
		return NULL;
	return v;
}

static bool is_new_enough(void)
{
	const uint8_t *code = symbols_find("napi_get_node_version", NULL);
	const struct node_version *v = NULL;

	if (!code || !memory_readable(code, CODE_LOOKED_AT + 8))
		return false;
	for (unsigned i = 0; i < CODE_LOOKED_AT && !v; i++)
		v = version_at(code_constant(code + i));
	return v && (v->major > 18 || (v->major == 18 && v->minor >= 18));
}

/* ---- how was it started? ---- */

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* The option as a whole: in NODE_OPTIONS others may follow it. */
static bool is_option(const char *option, const char *whole)
{
	return starts_with(option, whole) &&
	       (option[strlen(whole)] == '\0' || option[strlen(whole)] == ' ');
}

static void note_option(struct start *s, const char *option)
{
	static const char *const refused[] = { "--build-s", "--experimental-sea-config",
					       "--experimental-policy", "--policy-integrity" };
	static const char *const restricting[] = { "--permission", "--experimental-permission" };
	static const char *const settings[] = { "--experimental-config-file",
						"--experimental-default-config-file" };

	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		s->refuse |= starts_with(option, refused[i]);
	for (unsigned i = 0; i < sizeof(restricting) / sizeof(restricting[0]); i++)
		s->restricted |= starts_with(option, restricting[i]);
	for (unsigned i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		s->settings |= starts_with(option, settings[i]);
	s->reads_all |= is_option(option, "--allow-fs-read=*");
	s->requires |= starts_with(option, "--require") || starts_with(option, "-r");
}

static void note_file(struct start *s, const char *name)
{
	const char *dot = NULL;

	for (const char *p = name; *p; p++)
		if (*p == '/')
			dot = NULL;
		else if (*p == '.')
			dot = p;
	if (!dot)
		return;
	if (strcmp(dot, ".js") == 0 || strcmp(dot, ".cjs") == 0 || strcmp(dot, ".mjs") == 0)
		s->plain_main = true;
	else
		s->odd_main = true;
}

/* As far as the main file: the first word that is no option, nor may be the value of one. */
static void note_arguments(struct start *s, const char *p, size_t n)
{
	const char *end = p + n;
	bool value = false;

	for (p += strlen(p) + 1; p < end; p += strlen(p) + 1) {
		if (*p == '-') {
			note_option(s, p);
			value = true;
			for (const char *c = p; *c; c++)
				value &= *c != '=';
			continue;
		}
		note_file(s, p);
		if (!value)
			return;
		value = false;
	}
}

static ssize_t read_arguments(char room[static ARGUMENTS_MAX])
{
	int fd = raw_open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = raw_read(fd, room, ARGUMENTS_MAX - 1);
	raw_close(fd);
	if (n >= 0)
		room[n] = '\0';
	return n;
}

static void note_options(struct start *s, const char *options)
{
	bool quoted = false;

	for (const char *p = options; p && *p; p++)
		if (*p == '-' && (p == options || p[-1] == ' ' || p[-1] == '"'))
			note_option(s, p);
		else if (*p == '"')
			quoted = true;
	/* What stands in quotes may be no option. */
	s->reads_all &= !quoted;
}

/* ---- the option ---- */

static const char here; /* any address in this library */

static int note_own_path(struct dl_phdr_info *o, size_t size, void *arg)
{
	(void)size;
	for (int i = 0; i < o->dlpi_phnum; i++) {
		uintptr_t start = o->dlpi_addr + o->dlpi_phdr[i].p_vaddr;

		if (o->dlpi_phdr[i].p_type != PT_LOAD ||
		    (uintptr_t)&here - start >= o->dlpi_phdr[i].p_memsz)
			continue;
		*(const char **)arg = o->dlpi_name;
		return 1;
	}
	return 0;
}

/* Nothing that NODE_OPTIONS would take for more than itself. */
static bool is_plain(const char *path)
{
	for (const char *p = path; *p; p++)
		if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\')
			return false;
	return path[0] == '/';
}

/* The script beside the library, if it can be read. */
static bool put_require(struct text *t)
{
	const char *path = NULL, *name;
	struct text whole = { .p = t->p + t->n, .size = t->size - t->n };
	size_t option = sizeof("--require=") - 1;
	int fd;

	if (!dl_iterate_phdr || !dl_iterate_phdr(note_own_path, &path) || !path || !is_plain(path))
		return false;
	for (name = path + strlen(path); name[-1] != '/'; name--)
		;
	text_put_string(&whole, "--require=");
	text_put(&whole, (struct bytes){ path, (size_t)(name - path) });
	text_put_string(&whole, SCRIPT);
	fd = whole.cut ? -ENOENT : raw_open(text_string(&whole) + option, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	raw_close(fd);
	t->n += whole.n;
	return true;
}

static bool may_require(const struct start *s)
{
	return !s->settings && (!s->restricted || s->reads_all);
}

/* The option that loads the script, or false: it cannot be loaded without harm. */
static bool put_option(struct text *t, const struct start *s)
{
	if (s->refuse)
		return false;
	if (may_require(s) && put_require(t))
		return true;
	if (s->odd_main || (s->requires && !s->plain_main))
		return false;
	text_put_string(t, NODE_SCRIPT_IMPORT);
	return true;
}

/* A vector with one variable more; libc's own is not written to. */
static void add_variable(char **envp, const char *variable)
{
	size_t n = 0;
	char **more;

	while (envp[n])
		if (++n > VARIABLES_MAX)
			return;
	more = raw_mmap(NULL, (n + 2) * sizeof(*more), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (raw_is_error(more))
		return;
	memcpy(more, envp, n * sizeof(*more));
	more[n] = (char *)(uintptr_t)variable;
	if (&environ)
		environ = more;
	if (&__environ)
		__environ = more;
	node_has_script = true;
}

/* room: zeros, VALUE_MAX of them for the variable, and behind it as many as arguments are looked
 * at.
 */
static void set_variable(char **envp, char *room)
{
	const char *before = environment_get(envp, VARIABLE);
	struct start start = { .refuse = false };
	struct text t = { .p = room, .size = VALUE_MAX };
	ssize_t n = read_arguments(room + VALUE_MAX);

	if (n <= 0)
		return;
	note_arguments(&start, room + VALUE_MAX, (size_t)n);
	note_options(&start, before);
	text_put_string(&t, VARIABLE "=");
	if (!put_option(&t, &start))
		return;
	/* Started again before the script could take it out: it is there already. */
	if (before && starts_with(before, room + sizeof(VARIABLE))) {
		node_has_script = true;
		return;
	}
	if (before) {
		text_put_char(&t, ' ');
		text_put_string(&t, before);
	}
	if (t.cut)
		return;
	text_string(&t);
	if (!before) {
		add_variable(envp, room);
		return;
	}
	while (*envp + sizeof(VARIABLE) != before)
		envp++;
	*envp = room;
	node_has_script = true;
}

void hook_node_start(char **envp)
{
	size_t size = VALUE_MAX + ARGUMENTS_MAX;
	char *room;

	/* What libc has is what main() will read, if libc is set up. */
	if (config.node == NODE_OFF || !&environ || environ != envp || !shim_answers() ||
	    !is_node() || !is_new_enough())
		return;
	room = raw_mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (raw_is_error(room))
		return;
	set_variable(envp, room);
	if (!node_has_script)
		raw_munmap(room, size);
}
