/* SPDX-License-Identifier: Apache-2.0 */
/* Which interpreters are stood in front of. */
#include "hooks/python_api.h"

#include <criterion/criterion.h>

Test(python_api, knows_the_interpreters_that_have_a_gil)
{
	const char *const known[] = {
		"3.8.18 (default, Nov  1 2023, 00:00:00) \n[GCC 12.2.0]",
		"3.11.2 (main, May  2 2024, 11:59:08) [GCC 12.2.0]",
		"3.13.0 (main, Oct  8 2024, 01:04:00) [Clang 18.1.8 ]",
		"3.14.0 (main, Oct  7 2025, 15:35:21) [Clang 20.1.4 ]",
		"3.12.1+ (heads/3.12:abc, Jan  1 2024, 00:00:00) [GCC 12.2.0]",
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		cr_assert(python_version_is_known(known[i]), "%s", known[i]);
}

Test(python_api, refuses_those_without_one)
{
	cr_assert_not(python_version_is_known(
		"3.13.0 experimental free-threading build (main, Oct  8 2024, 01:04:00) [GCC 12]"));
	cr_assert_not(python_version_is_known(
		"3.14.0 free-threading build (main, Oct  7 2025, 15:35:21) [Clang 20.1.4 ]"));
}

Test(python_api, refuses_versions_that_nobody_has_looked_at)
{
	const char *const unknown[] = { "2.7.18 (default, ...)",
					"3.7.16 (default, ...)",
					"3.15.0a1 (main, ...)",
					"4.0.0 (main, ...)",
					"3.x (main)",
					"3.",
					"3",
					"" };

	for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++)
		cr_assert_not(python_version_is_known(unknown[i]), "%s", unknown[i]);
}
