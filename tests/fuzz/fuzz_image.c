/* SPDX-License-Identifier: Apache-2.0 */
/* A loaded object as no linker makes them: three segments of any content, each with nothing behind
 * it, at addresses that are always the same. Only what lies in them is read; what is changed is
 * what was asked for. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/image.h"
#include "hooks/imports.h"
#include "hooks/python_tables.h"

#define BASE     0x200000000000ul
#define SPAN     0x10000ul /* of addresses, for each segment */
#define ROOM     0x2000ul  /* for the content of one, which ends where this does */
#define SEGMENTS 3
#define OURS     0x1122334455667788ul

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct segment {
	uint16_t size, file_size;
	uint8_t flags, protected;
};

/* What the input begins with. Addresses are relative to BASE. */
struct head {
	struct segment segment[SEGMENTS];
	uint32_t dynamic, relro, theirs;
	uint16_t relro_size, unused;
};

static void must(bool true_always)
{
	if (!true_always)
		abort();
}

static char *room_of(unsigned i)
{
	return (char *)BASE + (i + 1) * SPAN;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	void *p = mmap((void *)BASE, (SEGMENTS + 2) * SPAN, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	(void)argc;
	(void)argv;
	must(p == (void *)BASE);
	return 0;
}

static void load(ElfW(Phdr) phdr[static SEGMENTS + 2], const struct head *h, const uint8_t *data,
		 size_t size)
{
	for (unsigned i = 0; i < SEGMENTS; i++) {
		const struct segment *s = &h->segment[i];
		size_t n = s->size % (ROOM + 1);

		n = n < size ? n : size;
		must(mprotect(room_of(i), ROOM, PROT_READ | PROT_WRITE) == 0);
		memset(room_of(i), 0, ROOM - n);
		memcpy(room_of(i) + ROOM - n, data, n);
		data += n;
		size -= n;
		phdr[i] = (ElfW(Phdr)){ .p_type = PT_LOAD,
					.p_flags = s->flags & (PF_R | PF_W | PF_X),
					.p_vaddr = (i + 1) * SPAN + ROOM - n,
					.p_memsz = n,
					.p_filesz = s->file_size < n ? s->file_size : n };
		if (!(s->flags & PF_R))
			must(mprotect(room_of(i), ROOM, PROT_NONE) == 0);
		else if (s->protected & 1)
			must(mprotect(room_of(i), ROOM, PROT_READ) == 0);
	}
	phdr[SEGMENTS] = (ElfW(Phdr)){ .p_type = PT_DYNAMIC, .p_vaddr = h->dynamic };
	phdr[SEGMENTS + 1] = (ElfW(
		Phdr)){ .p_type = PT_GNU_RELRO, .p_vaddr = h->relro, .p_memsz = h->relro_size };
}

static unsigned count_ours(const struct head *h)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SEGMENTS; i++) {
		const uint64_t *word = (const void *)room_of(i);

		if (!(h->segment[i].flags & PF_R))
			continue;
		for (size_t k = 0; k < ROOM / sizeof(*word); k++)
			n += word[k] == OURS;
	}
	return n;
}

/* Functions that choose others are called, and here is none. */
static bool has_choosers(const struct image *m)
{
	for (size_t i = 0; i < m->symbols_n; i++)
		if (ELF64_ST_TYPE(m->symbols[i].st_info) == STT_GNU_IFUNC)
			return true;
	return false;
}

static void look_up(const struct image *m)
{
	static const char *const names[] = { "answer", "PyInit__socket", "", "strlen" };
	const char *name = image_name(m);

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		image_find(m, names[i]);
	if (name)
		must(strlen(name) < m->strings_n || !*name);
	if (m->symbols_n > 1)
		image_find(m, image_symbol_name(m, 1));
	image_needs(m, name ? name : "answer");
}

static void replace(const struct image *m, const struct head *h)
{
	const struct import imports[] = {
		{ .name = "answer", .theirs = BASE + h->theirs, .ours = OURS },
		{ .name = "curl_easy_perform", .theirs = BASE + h->theirs, .ours = OURS }
	};
	unsigned before = count_ours(h);

	must(imports_replace(m, imports, 2) + before == count_ours(h));
}

static void find_methods(const struct image *m, const struct head *h)
{
	static const char *const names[] = { "send", "recv", NULL };
	struct python_method *t = python_table_find(m, names, "get_coro"), *send;

	if (!t)
		return;
	send = python_table_method(t, "send");
	must(send && !python_table_method(t, "get_coro"));
	must(image_is_code(m, (uintptr_t)send->function));
	for (unsigned i = 0; i < SEGMENTS; i++) {
		uintptr_t into = (uintptr_t)send - (uintptr_t)room_of(i);

		if (into < ROOM)
			must(h->segment[i].flags & PF_W);
	}
	must((uintptr_t)send - BASE - h->relro >= h->relro_size ||
	     h->relro_size > UINTPTR_MAX - BASE - h->relro);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ElfW(Phdr) phdr[SEGMENTS + 2];
	struct image m = { .base = BASE, .phdr = phdr, .phdr_count = SEGMENTS + 2 };
	struct head h;

	if (size < sizeof(h))
		return 0;
	memcpy(&h, data, sizeof(h));
	load(phdr, &h, data + sizeof(h), size - sizeof(h));
	if (image_read(&m) && !has_choosers(&m)) {
		look_up(&m);
		replace(&m, &h);
	}
	find_methods(&m, &h);
	return 0;
}
