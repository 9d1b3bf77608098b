/* SPDX-License-Identifier: Apache-2.0 */
/* What an executable says about itself. Any file may be given: everything is bounds-checked. */
#ifndef LAUNCHER_ELF_FILE_H
#define LAUNCHER_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_NEEDED_MAX 64

struct elf_file {
	const uint8_t *p; /* the file, mapped */
	size_t n;
	unsigned bits; /* 32 or 64 */
	uint16_t machine;
	bool native; /* 64-bit and of this processor: the rest is known only then */
	bool shared; /* ET_DYN: position independent, or a library */
	bool go;
	const char *interpreter; /* NULL: static */
	const char *needed[ELF_NEEDED_MAX];
	size_t needed_count;
	const char *strings; /* names of the dynamic symbols and more */
	size_t strings_n;
};

/* What the bytes say, which start at a multiple of 8 and stay the caller's for as long as `elf` is
 * looked at; it is not closed. Returns as elf_file_open() does. */
int elf_file_read(struct elf_file *elf, const void *p, size_t n);

/* 0; -ENOEXEC when it is no ELF file, -EBADMSG when it is a damaged one, or -errno. */
int elf_file_open(struct elf_file *elf, const char *path);
void elf_file_close(struct elf_file *elf);

/* The DT_NEEDED entry that begins so, or NULL. */
const char *elf_file_needs(const struct elf_file *elf, const char *prefix);

/* True when a dynamic symbol (or another name of the dynamic section) is called so. */
bool elf_file_names(const struct elf_file *elf, const char *symbol);

const char *elf_machine_name(uint16_t machine);

#endif
