/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/python_tables.h"

#include "base/bytes.h"

#define NAME_MAX_LEN 64

struct range {
	uintptr_t from, to;
};

static bool has(const struct range *r, const void *p)
{
	return (uintptr_t)p >= r->from && (uintptr_t)p < r->to;
}

/* Where constants of the object may lie: from its first byte in memory to its last in the file. */
static struct range whole(const struct image *m)
{
	struct range r = { UINTPTR_MAX, 0 };

	for (size_t i = 0; i < m->phdr_count; i++) {
		uintptr_t start = m->base + m->phdr[i].p_vaddr;

		if (m->phdr[i].p_type != PT_LOAD)
			continue;
		if (start < r.from)
			r.from = start;
		if (start + m->phdr[i].p_filesz > r.to)
			r.to = start + m->phdr[i].p_filesz;
	}
	return r;
}

static bool readable(const struct image *m, const void *p)
{
	return image_room(m, p, 1) >= NAME_MAX_LEN;
}

static bool is_named(const struct image *m, const struct range *r, const char *p, const char *name)
{
	return has(r, p) && readable(m, p) && strcmp(p, name) == 0;
}

struct python_method *python_table_method(struct python_method *table, const char *name)
{
	for (unsigned i = 0; i < PYTHON_METHODS_MAX && table[i].name; i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

/* A row's neighbours are rows, up to the one without a name. */
static bool is_row(const struct image *m, const struct range *r, const struct python_method *row)
{
	return has(r, row->name) && readable(m, row->name) && row->function;
}

static struct python_method *first_row(const struct image *m, const struct range *data,
				       const struct range *r, struct python_method *row)
{
	for (unsigned i = 0; i < PYTHON_METHODS_MAX; i++) {
		if (!has(data, row - 1) || !is_row(m, r, row - 1))
			return row;
		row--;
	}
	return NULL;
}

static bool ends(const struct image *m, const struct range *data, const struct range *r,
		 const struct python_method *row)
{
	for (unsigned i = 0; i < PYTHON_METHODS_MAX; i++, row++) {
		if (!has(data, row) || !has(data, (const char *)(row + 1) - 1))
			return false;
		if (!row->name)
			return true;
		if (!is_row(m, r, row))
			return false;
	}
	return false;
}

/* Methods of these names, in the module's own code. */
static bool has_all(const struct image *m, struct python_method *table, const char *const *names)
{
	for (; *names; names++) {
		const struct python_method *row = python_table_method(table, *names);

		if (!row || !image_is_code(m, (uintptr_t)row->function))
			return false;
	}
	return true;
}

/* The data that stays writable: what is read-only after relocation lies in front of it, or is all
 * of it, and more: linkers round it up to whole pages. */
static struct range writable(const struct image *m, const ElfW(Phdr) * data)
{
	struct range r = { m->base + data->p_vaddr, m->base + data->p_vaddr + data->p_filesz };

	for (size_t i = 0; i < m->phdr_count; i++) {
		uintptr_t start = m->base + m->phdr[i].p_vaddr, end = start + m->phdr[i].p_memsz;

		if (m->phdr[i].p_type == PT_GNU_RELRO && start < r.to && end > r.from)
			r.from = end < r.to ? end : r.to;
	}
	r.from = (r.from + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
	return r;
}

struct search {
	const struct image *m;
	struct range constants;
	const char *const *names;
	const char *without;
};

/* The table that `row` is one of, if it is the one that is looked for. */
static struct python_method *table_with(const struct search *s, const struct range *data,
					struct python_method *row)
{
	struct python_method *table;

	if (!is_named(s->m, &s->constants, row->name, s->names[0]) ||
	    !is_row(s->m, &s->constants, row))
		return NULL;
	table = first_row(s->m, data, &s->constants, row);
	if (!table || !ends(s->m, data, &s->constants, table) || !has_all(s->m, table, s->names) ||
	    (s->without && python_table_method(table, s->without)))
		return NULL;
	return table;
}

struct python_method *python_table_find(const struct image *m, const char *const *names,
					const char *without)
{
	struct search s = { m, whole(m), names, without };
	struct python_method *found = NULL, *table;

	for (size_t i = 0; i < m->phdr_count; i++) {
		struct range data;

		if (m->phdr[i].p_type != PT_LOAD || !(m->phdr[i].p_flags & PF_W) ||
		    !(m->phdr[i].p_flags & PF_R))
			continue;
		data = writable(m, &m->phdr[i]);
		for (const char *at = (const char *)data.from;
		     at && (uintptr_t)at + sizeof(struct python_method) <= data.to;
		     at += sizeof(void *)) {
			table = table_with(&s, &data, (struct python_method *)(uintptr_t)at);
			if (table && found)
				return NULL;
			if (table)
				found = table;
		}
	}
	return found;
}
