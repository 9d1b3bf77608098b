/* SPDX-License-Identifier: Apache-2.0 */
/* A program file that the doctor is asked about: whatever it is, it is read inside its bounds, and
 * what is said about it ends inside of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "launcher/elf_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool true_always)
{
	if (!true_always)
		abort();
}

static void ends_inside(const struct elf_file *elf, const char *text)
{
	const char *start = (const char *)elf->p, *end = start + elf->n;

	must(text >= start && text < end && memchr(text, '\0', (size_t)(end - text)));
}

/* A file may have several tables of strings: the last one holds the names. */
static bool is_name(const struct elf_file *elf, const char *text)
{
	return elf->strings && text > elf->strings && text < elf->strings + elf->strings_n &&
	       !text[-1] && strlen(text) < (size_t)(elf->strings + elf->strings_n - text);
}

static void examine(const struct elf_file *elf)
{
	must(elf->bits == 32 || elf->bits == 64);
	must(elf_machine_name(elf->machine)[0]);
	must(elf->needed_count <= ELF_NEEDED_MAX);
	if (!elf->native)
		must(!elf->interpreter && !elf->needed_count && !elf->strings && !elf->go);
	if (elf->interpreter)
		ends_inside(elf, elf->interpreter);
	for (size_t i = 0; i < elf->needed_count; i++) {
		ends_inside(elf, elf->needed[i]);
		must(elf_file_needs(elf, elf->needed[i]));
		if (is_name(elf, elf->needed[i]))
			must(elf_file_names(elf, elf->needed[i]));
	}
	must(elf_file_needs(elf, "") == (elf->needed_count ? elf->needed[0] : NULL));
	elf_file_names(elf, "__asan_init");
	elf_file_names(elf, "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *file = malloc(size ? size : 1);
	struct elf_file elf;
	int err;

	memcpy(file, data, size);
	err = elf_file_read(&elf, file, size);
	must(err == 0 || err == -ENOEXEC || err == -EBADMSG);
	if (!err)
		examine(&elf);
	free(file);
	return 0;
}
