/* SPDX-License-Identifier: Apache-2.0 */
/* From the command line to the ELF file: PATH, scripts and their interpreters, env(1). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "launcher/doctor.h"

#define CHAIN_MAX     6 /* interpreters of interpreters; the kernel allows 5 */
#define ENV_WORDS_MAX 32
#define SHEBANG_MAX   256 /* BINPRM_BUF_SIZE of the kernel */

/* Programs that start others where our variables do not follow. */
static const char *const elsewhere[][2] = {
	{ "sudo", "it clears the environment" },
	{ "su", "it may clear the environment" },
	{ "doas", "it clears the environment" },
	{ "pkexec", "it clears the environment" },
	{ "ssh", "it starts programs on another host" },
	{ "docker", "it starts programs in a container" },
	{ "podman", "it starts programs in a container" },
	{ "kubectl", "it starts programs in a container" },
	{ "systemctl", "it asks the service manager to start programs" },
	{ "systemd-run", "it asks the service manager to start programs" },
	{ "service", "it starts services with a fresh environment" },
	{ "chroot", "the library has to be at the same path in there" },
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int is_runnable(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return access(path, X_OK) == 0 ? 0 : -EACCES;
}

int program_find(char path[static PATH_MAX], const char *name)
{
	const char *dirs = getenv("PATH");
	int best = -ENOENT;

	if (strchr(name, '/')) {
		snprintf(path, PATH_MAX, "%s", name);
		return is_runnable(path);
	}
	if (!*name)
		return -ENOENT;
	for (const char *p = dirs ? dirs : "/bin:/usr/bin";; p++) {
		char candidate[PATH_MAX];
		size_t n = strcspn(p, ":");
		int wanted = snprintf(candidate, sizeof(candidate), "%.*s/%s", n ? (int)n : 1,
				      n ? p : ".", name);
		int err = wanted < PATH_MAX ? is_runnable(candidate) : -ENAMETOOLONG;

		if (err == 0 || (err == -EACCES && best == -ENOENT))
			memcpy(path, candidate, sizeof(candidate));
		if (err == 0)
			return 0;
		if (err == -EACCES)
			best = err;
		p += n;
		if (!*p)
			return best;
	}
}

static bool examine_file(struct findings *f, const char *path, unsigned depth);

static void examine_named(struct findings *f, const char *name, unsigned depth)
{
	char path[PATH_MAX];
	int err = program_find(path, name);

	if (err == -ENOENT)
		found(f, LEVEL_PROBLEM, "program",
		      strchr(name, '/') ? "" : "It is looked for in the directories of PATH.",
		      "%s is not found", name);
	else if (err)
		found(f, LEVEL_PROBLEM, "program", err == -EACCES ? "chmod +x?" : "",
		      "%s cannot be run: %s", name, strerror(-err));
	else
		examine_file(f, path, depth);
}

/* env [-i] [NAME=VALUE]... PROGRAM: words ends with NULL. */
static void examine_env(struct findings *f, char *const *words, unsigned depth)
{
	for (; *words; words++) {
		const char *word = *words;

		if (strcmp(word, "-i") == 0 || strcmp(word, "-") == 0 ||
		    strcmp(word, "--ignore-environment") == 0 ||
		    strcmp(word, "-uLD_PRELOAD") == 0 || strcmp(word, "--unset=LD_PRELOAD") == 0)
			found(f, LEVEL_PROBLEM, "program",
			      "Put tagalong behind it: env -i tagalong run -- ...",
			      "env %s removes LD_PRELOAD", word);
		else if (strcmp(word, "-u") == 0 && words[1] && strcmp(words[1], "LD_PRELOAD") == 0)
			found(f, LEVEL_PROBLEM, "program", "", "env -u LD_PRELOAD removes us");
		else if ((strcmp(word, "-u") == 0 || strcmp(word, "-C") == 0) && words[1])
			words++;
		else if (strncmp(word, "LD_PRELOAD=", 11) == 0)
			found(f, LEVEL_PROBLEM, "program", "Set it before tagalong instead.",
			      "env sets another LD_PRELOAD");
		else if (word[0] != '-' && !strchr(word, '=')) {
			examine_named(f, word, depth + 1);
			return;
		}
	}
}

/* The one argument of a #! line that names env: as the kernel passes it, and split with -S. */
static void examine_env_argument(struct findings *f, char *argument, unsigned depth)
{
	char *words[ENV_WORDS_MAX + 1] = { 0 }, *rest = argument;
	bool split =
		strncmp(argument, "-S", 2) == 0 || strncmp(argument, "--split-string", 14) == 0;
	size_t n = 0;

	if (!split) {
		if (strchr(argument, ' ') && argument[0] != '-')
			found(f, LEVEL_PROBLEM, "program", "Write #!/usr/bin/env -S ...",
			      "its first line makes env look for a program called '%s'", argument);
		else
			examine_env(f, (char *[]){ argument, NULL }, depth);
		return;
	}
	rest += strncmp(argument, "-S", 2) == 0 ? 2 : 14;
	rest += *rest == '=';
	for (char *word; n < ENV_WORDS_MAX && (word = strsep(&rest, " \t"));)
		if (*word)
			words[n++] = word;
	examine_env(f, words, depth);
}

/* "#!INTERPRETER ARGUMENT" */
static void examine_shebang(struct findings *f, const char *path, char *line, unsigned depth)
{
	char *interpreter, *argument;
	size_t n = strlen(line);

	while (n && strchr(" \t\r", line[n - 1])) {
		if (line[n - 1] == '\r')
			found(f, LEVEL_WARNING, "program", "",
			      "the first line of %s ends with a carriage return", path);
		line[--n] = '\0';
	}
	interpreter = line + strspn(line, " \t");
	argument = interpreter + strcspn(interpreter, " \t");
	if (*argument)
		*argument++ = '\0';
	argument += strspn(argument, " \t");
	found(f, LEVEL_OK, "program", "", "%s is a script for %s%s%s", path, interpreter,
	      *argument ? " " : "", argument);
	examine_named(f, interpreter, depth + 1);
	if (strcmp(base_name(interpreter), "env") == 0 && *argument)
		examine_env_argument(f, argument, depth);
}

/* False when the file cannot be read. */
static bool examine_file(struct findings *f, const char *path, unsigned depth)
{
	char head[SHEBANG_MAX + 1];
	ssize_t n = -1;
	int fd;

	if (depth > CHAIN_MAX) {
		found(f, LEVEL_PROBLEM, "program", "", "%s: too many interpreters one of another",
		      path);
		return false;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0) {
		n = read(fd, head, sizeof(head) - 1);
		close(fd);
	}
	head[n > 0 ? n : 0] = '\0';
	if (n >= 2 && head[0] == '#' && head[1] == '!') {
		head[strcspn(head, "\n")] = '\0';
		examine_shebang(f, path, head + 2, depth);
	} else if (n >= 0 && strncmp(head, "\177ELF", 4) != 0 && !memchr(head, 0, (size_t)n)) {
		found(f, LEVEL_OK, "program", "", "%s is a script without #!: /bin/sh runs it",
		      path);
		examine_file(f, "/bin/sh", depth + 1);
	} else {
		elf_examine(f, path);
	}
	return n >= 0;
}

static void examine_habits(struct findings *f, const char *name)
{
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
		if (strcmp(name, elsewhere[i][0]) == 0)
			found(f, LEVEL_WARNING, "program",
			      "Put tagalong behind it, in front of the program itself.",
			      "what %s starts is not traced: %s", name, elsewhere[i][1]);
	if (strcmp(name, "node") == 0 || strcmp(name, "nodejs") == 0)
		found(f, LEVEL_WARNING, "linking",
		      "For development and continuous integration: --link best.",
		      "node serves many requests in one thread: which of them caused an outgoing "
		      "request is known only when it passes the traceparent header on");
}

void program_examine(struct findings *f, char *const *command)
{
	const char *name = base_name(command[0]);

	examine_named(f, command[0], 0);
	if (strcmp(name, "env") == 0)
		examine_env(f, command + 1, 0);
	examine_habits(f, name);
}
