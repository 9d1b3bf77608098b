/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/environment.h"

extern char **environ;

/* Wherever __environ's two names stand, both go. */
static void hide_environ(void)
{
	environ = NULL;
}

Test(environment, takes_what_the_constructor_was_given)
{
	char *block[] = { "program", "argument", NULL, "A=1", "B=2", NULL };

	cr_assert_eq(environment_find(2, block, block + 3), block + 3);
	cr_assert_eq(environment_find(0, block + 2, block + 3), block + 3);
}

Test(environment, does_not_look_at_garbage)
{
	char *block[] = { "program", NULL, "A=1", NULL };

	cr_assert_eq(environment_find(12345, (char **)16, (char **)8), environ);
	cr_assert_eq(environment_find(-1, block + 2, block + 2), environ);
	cr_assert_eq(environment_find(1, (char **)((char *)block + 1), block + 2), environ);
	cr_assert_eq(environment_find(0, NULL, (char **)8), environ);
	cr_assert_eq(environment_find(5, block, block + 2), environ);
}

Test(environment, reads_proc_when_libc_is_not_set_up)
{
	char **found;

	hide_environ();
	found = environment_find(0, NULL, NULL);
	cr_assert_not_null(found);
	cr_assert_not_null(environment_get(found, "PATH"));
}

Test(environment, finds_a_whole_name_only)
{
	char *envp[] = { "AB=1", "A=2", "C", "D=", "A=3", "=E", NULL };

	cr_assert_str_eq(environment_get(envp, "A"), "2");
	cr_assert_str_eq(environment_get(envp, "AB"), "1");
	cr_assert_str_eq(environment_get(envp, "D"), "");
	cr_assert_null(environment_get(envp, "C"));
	cr_assert_null(environment_get(envp, "B"));
	cr_assert_null(environment_get(NULL, "A"));
}
