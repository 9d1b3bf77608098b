/* SPDX-License-Identifier: Apache-2.0 */
/* That it is seen where it is: tests/e2e/test_programs_tools.py. */
#include <criterion/criterion.h>
#include "base/valgrind.h"

Test(valgrind, is_not_there_on_the_processor)
{
	cr_assert(!on_valgrind());
}
