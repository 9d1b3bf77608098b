/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the loaded objects are looked at. */
#include <criterion/criterion.h>
#include <iconv.h>
#include <link.h>
#include <string.h>
#include "base/objects.h"

static uintptr_t module, libc;

static int list(struct dl_phdr_info *info, size_t n, void *unused)
{
	(void)n;
	(void)unused;
	if (strstr(info->dlpi_name, "/gconv/"))
		module = info->dlpi_addr;
	if (strstr(info->dlpi_name, "/libc.so"))
		libc = info->dlpi_addr;
	return 0;
}

static bool note(void *unused, const struct image *m)
{
	(void)unused;
	if (m->base == libc)
		libc = 0;
	cr_assert_neq(m->base, module);
	return false;
}

Test(objects, are_looked_at_but_for_those_that_glibc_unloads_by_itself)
{
	iconv_t open = iconv_open("UTF-8", "KOI8-R");

	cr_assert_neq(open, (iconv_t)-1);
	dl_iterate_phdr(list, NULL);
	cr_assert(module && libc);
	cr_assert(objects_each(note, NULL));
	cr_assert_eq(libc, 0, "it has been shown");
	iconv_close(open);
}
