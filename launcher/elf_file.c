/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "launcher/elf_file.h"

#if defined(__x86_64__)
#define NATIVE_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define NATIVE_MACHINE EM_AARCH64
#else
#define NATIVE_MACHINE EM_NONE
#endif

#define GO_MAGIC_WITHIN 65536 /* where Go's own tools look for it in the data segment */

static const void *part(const struct elf_file *elf, uint64_t offset, uint64_t n)
{
	return offset <= elf->n && n <= elf->n - offset ? elf->p + offset : NULL;
}

/* A text of the file that ends inside it. */
static const char *text_at(const struct elf_file *elf, uint64_t offset, uint64_t n)
{
	const char *text = part(elf, offset, n);

	return text && memchr(text, '\0', n) ? text : NULL;
}

static const Elf64_Phdr *segment(const struct elf_file *elf, unsigned i)
{
	const Elf64_Ehdr *head = (const Elf64_Ehdr *)elf->p;

	if (i >= head->e_phnum || head->e_phentsize != sizeof(Elf64_Phdr) || head->e_phoff % 8)
		return NULL;
	return part(elf, head->e_phoff + i * sizeof(Elf64_Phdr), sizeof(Elf64_Phdr));
}

static uint64_t offset_of_address(const struct elf_file *elf, uint64_t address)
{
	const Elf64_Phdr *s;

	for (unsigned i = 0; (s = segment(elf, i)); i++)
		if (s->p_type == PT_LOAD && address >= s->p_vaddr &&
		    address - s->p_vaddr < s->p_filesz)
			return s->p_offset + (address - s->p_vaddr);
	return UINT64_MAX;
}

static uint64_t round_up(uint64_t n)
{
	return (n + 3) & ~(uint64_t)3;
}

/* The build id that the Go linker writes: a note of type 4 by "Go". */
static bool has_go_note(const struct elf_file *elf, const Elf64_Phdr *s)
{
	uint64_t at = 0;

	while (at + sizeof(Elf64_Nhdr) <= s->p_filesz) {
		Elf64_Nhdr note;
		const void *p = part(elf, s->p_offset + at, sizeof(note) + 4);

		if (!p)
			return false;
		memcpy(&note, p, sizeof(note));
		if (note.n_namesz == 4 && note.n_type == 4 &&
		    memcmp((const char *)p + sizeof(note), "Go\0", 4) == 0)
			return true;
		at += sizeof(note) + round_up(note.n_namesz) + round_up(note.n_descsz);
	}
	return false;
}

static bool has_go_magic(const struct elf_file *elf, const Elf64_Phdr *s)
{
	uint64_t n = s->p_filesz < GO_MAGIC_WITHIN ? s->p_filesz : GO_MAGIC_WITHIN;
	const void *p = part(elf, s->p_offset, n);

	return p && memmem(p, n, "\xff Go buildinf:", 14);
}

static void read_needed(struct elf_file *elf, const Elf64_Dyn *dynamic, size_t count)
{
	for (size_t i = 0; i < count && dynamic[i].d_tag != DT_NULL; i++) {
		uint64_t at = dynamic[i].d_un.d_val;

		if (dynamic[i].d_tag != DT_NEEDED || elf->needed_count == ELF_NEEDED_MAX ||
		    at >= elf->strings_n)
			continue;
		if (memchr(elf->strings + at, '\0', elf->strings_n - at))
			elf->needed[elf->needed_count++] = elf->strings + at;
	}
}

static void read_dynamic(struct elf_file *elf, const Elf64_Phdr *s)
{
	const Elf64_Dyn *dynamic = part(elf, s->p_offset, s->p_filesz);
	size_t count = s->p_filesz / sizeof(*dynamic);
	uint64_t table = 0, size = 0;

	if (!dynamic || s->p_offset % 8)
		return;
	for (size_t i = 0; i < count && dynamic[i].d_tag != DT_NULL; i++) {
		if (dynamic[i].d_tag == DT_STRTAB)
			table = dynamic[i].d_un.d_ptr;
		else if (dynamic[i].d_tag == DT_STRSZ)
			size = dynamic[i].d_un.d_val;
	}
	elf->strings = part(elf, offset_of_address(elf, table), size);
	elf->strings_n = elf->strings ? size : 0;
	read_needed(elf, dynamic, count);
}

static void read_segments(struct elf_file *elf)
{
	const Elf64_Phdr *s;

	for (unsigned i = 0; (s = segment(elf, i)); i++) {
		if (s->p_type == PT_INTERP)
			elf->interpreter = text_at(elf, s->p_offset, s->p_filesz);
		else if (s->p_type == PT_DYNAMIC)
			read_dynamic(elf, s);
		else if (s->p_type == PT_NOTE)
			elf->go = elf->go || has_go_note(elf, s);
		else if (s->p_type == PT_LOAD && s->p_flags & PF_W)
			elf->go = elf->go || has_go_magic(elf, s);
	}
}

static int read_head(struct elf_file *elf)
{
	const Elf64_Ehdr *head = (const Elf64_Ehdr *)elf->p;

	if (elf->n < SELFMAG || memcmp(elf->p, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	/* Type and machine stand at the same place in both classes. */
	if (elf->n < sizeof(Elf32_Ehdr))
		return -EBADMSG;
	elf->bits = head->e_ident[EI_CLASS] == ELFCLASS64 ? 64 : 32;
	elf->machine = head->e_machine;
	if (head->e_ident[EI_DATA] == ELFDATA2MSB)
		elf->machine = __builtin_bswap16(elf->machine);
	elf->native = elf->bits == 64 && head->e_ident[EI_DATA] == ELFDATA2LSB &&
		      elf->machine == NATIVE_MACHINE;
	if (!elf->native)
		return 0;
	if (elf->n < sizeof(*head) || !segment(elf, 0))
		return -EBADMSG;
	elf->shared = head->e_type == ET_DYN;
	read_segments(elf);
	return 0;
}

int elf_file_read(struct elf_file *elf, const void *p, size_t n)
{
	*elf = (struct elf_file){ .p = p, .n = n };
	return read_head(elf);
}

int elf_file_open(struct elf_file *elf, const char *path)
{
	struct stat st;
	int fd, err = 0;
	void *p;

	*elf = (struct elf_file){ 0 };
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size == 0)
		err = -ENOEXEC;
	if (err)
		goto close_fd;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED) {
		err = -errno;
		goto close_fd;
	}
	err = elf_file_read(elf, p, (size_t)st.st_size);
	if (err)
		elf_file_close(elf);
close_fd:
	close(fd);
	return err;
}

void elf_file_close(struct elf_file *elf)
{
	if (elf->p)
		munmap((void *)elf->p, elf->n);
	elf->p = NULL;
}

const char *elf_file_needs(const struct elf_file *elf, const char *prefix)
{
	for (size_t i = 0; i < elf->needed_count; i++)
		if (strncmp(elf->needed[i], prefix, strlen(prefix)) == 0)
			return elf->needed[i];
	return NULL;
}

bool elf_file_names(const struct elf_file *elf, const char *symbol)
{
	const char *p = elf->strings, *end = p ? p + elf->strings_n : NULL;
	size_t n = strlen(symbol) + 1;

	/* Each name of the table follows the end of another. */
	while (p && (p = memmem(p, (size_t)(end - p), symbol, n))) {
		if (p > elf->strings && p[-1] == '\0')
			return true;
		p++;
	}
	return false;
}

const char *elf_machine_name(uint16_t machine)
{
	switch (machine) {
	case EM_386:
		return "x86 (i386)";
	case EM_X86_64:
		return "x86-64";
	case EM_ARM:
		return "ARM";
	case EM_AARCH64:
		return "aarch64";
	case EM_RISCV:
		return "RISC-V";
	case EM_PPC64:
		return "ppc64";
	case EM_S390:
		return "s390x";
	case EM_MIPS:
		return "MIPS";
	default:
		return "another processor";
	}
}
