/* SPDX-License-Identifier: Apache-2.0 */
/* What is looked for while somebody looks. */
#include <criterion/criterion.h>
#include <string.h>
#include "shim/looks.h"

static char done[16];
static unsigned deep, asks; /* looks that a look asks for, as another thread would */

static void note(char what)
{
	cr_assert_eq(deep++, 0, "two at a time");
	strncat(done, &what, 1);
	for (; asks; asks--) {
		looks_begin(LOOK_PYTHON);
		looks_begin(LOOK_TLS);
	}
	deep--;
}

static void for_tls(void)
{
	note('t');
}

static void for_python(void)
{
	note('p');
}

static void start(void)
{
	looks_set(LOOK_TLS, for_tls);
	looks_set(LOOK_PYTHON, for_python);
}

Test(looks, are_made_at_once, .init = start)
{
	looks_begin(LOOK_PYTHON);
	looks_begin(LOOK_TLS);
	looks_begin(LOOK_TLS);
	looks_begin(LOOK_CARRIERS); /* nobody does */
	cr_assert_str_eq(done, "ptt");
}

Test(looks, wait_for_the_one_that_is_under_way_and_are_made_once, .init = start)
{
	asks = 3;
	looks_begin(LOOK_TLS);
	cr_assert_str_eq(done, "ttp");
	looks_begin(LOOK_TLS);
	cr_assert_str_eq(done, "ttpt");
}

/* In the child nobody is inside of the look that the parent was at. */
static void fork_meanwhile(void)
{
	looks_fork_child();
	looks_begin(LOOK_PYTHON);
	cr_assert_str_eq(done, "p");
}

Test(looks, are_made_by_a_child_of_who_was_at_it, .init = start)
{
	looks_set(LOOK_TLS, fork_meanwhile);
	looks_begin(LOOK_TLS);
	cr_assert_str_eq(done, "p");
}
