/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/imports.h"

#include <elf.h>
#include <sys/mman.h>
#include "base/bytes.h"
#include "base/objects.h"
#include "base/raw.h"
#include "base/readable.h"

#ifdef __x86_64__
#include "hooks/imports_x86_64.h"
#else
#include "hooks/imports_aarch64.h"
#endif

#define RELOCATIONS_MAX (1u << 20) /* looked at in one object */

struct relocations {
	const ElfW(Rela) * at;
	size_t count;
};

static bool table_read(struct relocations *r, const struct image *m, uintptr_t at, size_t bytes)
{
	r->at = at ? image_pointer(m, at) : NULL;
	r->count = bytes / sizeof(*r->at);
	return r->at && (uintptr_t)r->at % sizeof(uintptr_t) == 0 && r->count &&
	       r->count <= RELOCATIONS_MAX && r->count <= image_room(m, r->at, sizeof(*r->at));
}

/* How the loader's own tables of an object look: for calls, and for addresses. */
static void tables_find(struct relocations tables[static 2], const struct image *m)
{
	uintptr_t calls = 0, all = 0;
	size_t calls_bytes = 0, all_bytes = 0;
	bool with_addend = true;

	for (size_t i = 0; i < m->dynamic_count; i++) {
		const ElfW(Dyn) *d = &m->dynamic[i];

		if (d->d_tag == DT_JMPREL)
			calls = d->d_un.d_ptr;
		else if (d->d_tag == DT_PLTRELSZ)
			calls_bytes = d->d_un.d_val;
		else if (d->d_tag == DT_RELA)
			all = d->d_un.d_ptr;
		else if (d->d_tag == DT_RELASZ)
			all_bytes = d->d_un.d_val;
		else if (d->d_tag == DT_PLTREL)
			with_addend = d->d_un.d_val == DT_RELA;
	}
	if (!with_addend || !table_read(&tables[0], m, calls, calls_bytes))
		tables[0].count = 0;
	if (!table_read(&tables[1], m, all, all_bytes))
		tables[1].count = 0;
}

/* A slot that has not been called through leads to the object's own code, which has the loader look
 * the function up: the loader will not be asked any more. So it may, if it has no choice. */
static bool is_expected(const struct image *m, unsigned type, uintptr_t value,
			const struct import *import)
{
	return value == import->theirs ||
	       (type == IMPORT_BY_CALL && !import->shared && image_is_code(m, value));
}

/* Memory that the loader protects once it has relocated an object: while it can still be written
 * to, that is not done yet, and to protect it again would be the loader's end. */
static bool store(const struct image *m, uintptr_t *slot, uintptr_t value)
{
	uintptr_t size = image_page_size(), page = (uintptr_t)slot & ~(size - 1);
	int protection = image_protection(m, (uintptr_t)slot, (uintptr_t)(slot + 1), size);
	bool writable = memory_writable_now(slot);

	if ((protection >= 0) == writable)
		return false;
	if (!writable && raw_mprotect((void *)page, size, protection | PROT_WRITE) < 0)
		return false;
	__atomic_store_n(slot, value, __ATOMIC_RELEASE);
	if (!writable)
		raw_mprotect((void *)page, size, protection);
	return true;
}

static bool replace(const struct image *m, const ElfW(Rela) * r, const struct import *import)
{
	uintptr_t *slot = (uintptr_t *)(m->base + r->r_offset);
	uintptr_t value;

	if ((uintptr_t)slot % sizeof(*slot) || !image_room(m, slot, sizeof(*slot)))
		return false;
	value = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
	return is_expected(m, (unsigned)ELF64_R_TYPE(r->r_info), value, import) &&
	       store(m, slot, import->ours);
}

unsigned imports_replace(const struct image *m, const struct import *imports, unsigned count)
{
	struct relocations tables[2];
	unsigned replaced = 0;

	tables_find(tables, m);
	for (unsigned t = 0; t < 2; t++) {
		for (size_t i = 0; i < tables[t].count; i++) {
			const ElfW(Rela) *r = &tables[t].at[i];
			unsigned type = (unsigned)ELF64_R_TYPE(r->r_info);
			const char *name;

			if ((type != IMPORT_BY_CALL && type != IMPORT_AT_LOAD) || r->r_addend)
				continue;
			name = image_symbol_name(m, (uint32_t)ELF64_R_SYM(r->r_info));
			for (unsigned k = 0; k < count; k++)
				if (imports[k].theirs && strcmp(name, imports[k].name) == 0)
					replaced += replace(m, r, &imports[k]);
		}
	}
	return replaced;
}

/* ---- every object that calls a library ---- */

struct search {
	struct imported *wanted;
	struct image library;
};

static bool is_ours(const struct imported *l, const struct image *m)
{
	for (unsigned i = 0; i < l->count; i++)
		if ((uintptr_t)image_find(m, l->import[i].name) != l->import[i].theirs)
			return false;
	return true;
}

/* The library: the first of its kind, and from then on that one. */
static bool is_library(void *arg, const struct image *m)
{
	struct search *s = arg;
	struct imported *l = s->wanted;

	if (!image_name(m) || !image_find(m, l->known_by) || !object_is_relocated(m))
		return false;
	if (l->import[0].name ? !is_ours(l, m) : !l->find(l->import, m))
		return false;
	s->library = *m;
	return true;
}

/* A program, or something preloaded, may put functions of its own before the library's: the loader
 * knows whose are meant. */
static bool note_names(void *arg, const struct image *m)
{
	struct imported *l = arg;

	for (unsigned i = 0; i < l->count; i++) {
		uintptr_t other = (uintptr_t)image_find(m, l->import[i].name);

		l->import[i].shared |= other && other != l->import[i].theirs;
	}
	return false;
}

static bool consider(void *arg, const struct image *m)
{
	const struct search *s = arg;

	if (image_needs(m, image_name(&s->library)))
		imports_replace(m, s->wanted->import, s->wanted->count);
	return false;
}

void imports_look(struct imported *library)
{
	struct search s = { .wanted = library };

	objects_each(is_library, &s);
	if (!s.library.phdr)
		return;
	objects_each(note_names, library);
	objects_each(consider, &s);
}
