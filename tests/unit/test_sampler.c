/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include "base/config.h"
#include "shim/sampler.h"

/* A trace id whose low 8 bytes are `low`. */
static bool keeps(uint64_t low)
{
	uint8_t id[16] = { 0xff, 1, 2, 3, 4, 5, 6, 0xff };

	for (int i = 0; i < 8; i++)
		id[15 - i] = (uint8_t)(low >> 8 * i);
	return sampler_decide(id, false, false);
}

static bool decides(uint32_t sampler, bool has_parent, bool parent_sampled)
{
	uint8_t id[16];

	memset(id, 0xff, sizeof(id));
	config.sampler = sampler;
	sampler_init();
	return sampler_decide(id, has_parent, parent_sampled);
}

static void use_ratio(double ratio)
{
	config.sampler = SAMPLER_RATIO;
	config.sampler_ratio = ratio;
	sampler_init();
}

Test(sampler, always_on_and_off_ignore_the_parent)
{
	cr_assert(decides(SAMPLER_ALWAYS_ON, true, false));
	cr_assert(decides(SAMPLER_ALWAYS_ON, false, false));
	cr_assert_not(decides(SAMPLER_ALWAYS_OFF, true, true));
	cr_assert_not(decides(SAMPLER_ALWAYS_OFF, false, false));
}

Test(sampler, parent_based_follows_the_parent_and_else_the_root)
{
	config.sampler_ratio = 0;
	for (uint32_t s = SAMPLER_PARENT_ALWAYS_ON; s <= SAMPLER_PARENT_RATIO; s++) {
		cr_assert(decides(s, true, true));
		cr_assert_not(decides(s, true, false));
		cr_assert_eq(decides(s, false, false), s == SAMPLER_PARENT_ALWAYS_ON);
	}
}

Test(sampler, ratio_ignores_the_parent)
{
	config.sampler_ratio = 0.5;
	cr_assert_not(decides(SAMPLER_RATIO, true, true));
	config.sampler_ratio = 1;
	cr_assert(decides(SAMPLER_RATIO, true, false));
}

Test(sampler, ratio_one_keeps_all_and_zero_none)
{
	use_ratio(1);
	cr_assert(keeps(UINT64_MAX));
	cr_assert(keeps(0));
	use_ratio(0);
	cr_assert_not(keeps(0));
	cr_assert_not(keeps(UINT64_MAX));
	use_ratio(-1);
	cr_assert_not(keeps(0));
	use_ratio(7);
	cr_assert(keeps(UINT64_MAX));
}

Test(sampler, ratio_compares_the_low_eight_bytes_as_the_go_sdk_does)
{
	use_ratio(0.5);
	cr_assert(keeps(0x7fffffffffffffff));
	cr_assert_not(keeps(0x8000000000000000));
	use_ratio(0.25);
	cr_assert(keeps(0x3fffffffffffffff));
	cr_assert_not(keeps(0x4000000000000000));
	use_ratio(0.1); /* uint64(0.1 * (1 << 63)) = 922337203685477632 */
	cr_assert(keeps(UINT64_C(922337203685477631) << 1));
	cr_assert_not(keeps(UINT64_C(922337203685477632) << 1));
}

Test(sampler, a_higher_ratio_keeps_what_a_lower_one_keeps)
{
	uint64_t id = 1;

	for (int i = 0; i < 2000; i++) {
		bool before = false;

		id = id * UINT64_C(6364136223846793005) + 1442695040888963407;
		for (double ratio = 0; ratio <= 1; ratio += 0.125) {
			use_ratio(ratio);
			cr_assert(keeps(id) || !before);
			before = keeps(id);
		}
	}
}

Test(sampler, keeps_about_the_share_asked_for)
{
	uint64_t id = 42;
	int kept = 0;

	use_ratio(0.3);
	for (int i = 0; i < 20000; i++) {
		id = id * UINT64_C(6364136223846793005) + 1442695040888963407;
		kept += keeps(id);
	}
	cr_assert(kept > 5700 && kept < 6300, "%d of 20000", kept);
}
