/* SPDX-License-Identifier: Apache-2.0 */
/* Finds out whether a program will be traced, one finding after the other. */
#ifndef LAUNCHER_DOCTOR_H
#define LAUNCHER_DOCTOR_H

#include <limits.h>
#include <stdbool.h>
#include "launcher/elf_file.h"
#include "launcher/library.h"
#include "launcher/settings.h"

enum level { LEVEL_OK, LEVEL_WARNING, LEVEL_PROBLEM };

struct findings {
	/* advice: what to do, or "". */
	void (*say)(void *arg, enum level level, const char *topic, const char *text,
		    const char *advice);
	void *arg;
	unsigned warnings, problems;
	unsigned untraced; /* of the problems, those that keep spans from being made */
	char first_problem[1024];
};

void found(struct findings *f, enum level level, const char *topic, const char *advice,
	   const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The file that running `name` would execute: 0, -ENOENT, or -EACCES and its like. */
int program_find(char path[static PATH_MAX], const char *name);

/* The program of a command line and whatever interprets it, down to the ELF file. */
void program_examine(struct findings *f, char *const *command);

/* One ELF file: static, Go, sanitizers, processor, C library, rights gained. */
void elf_examine(struct findings *f, const char *path);

/* Which TLS library it is linked with, and whether what that encrypts is followed. */
void tls_examine(struct findings *f, const struct elf_file *elf, const char *path);

/* LD_PRELOAD, another tracer, seccomp. command: NULL without a program. */
void environment_examine(struct findings *f, const struct library *library, char *const *command);

struct exporter_question {
	enum export_place place;
	bool network; /* the receiver may be asked */
	long timeout_ms;
};

/* Where spans go: is something there that takes them? config_read() has been done. */
void exporter_examine(struct findings *f, const struct exporter_question *q);

/* For `tagalong run`: only why the program will not be traced. */
void doctor_warn(char *const *command, void (*warn)(void *arg, const char *message), void *arg);

#endif
