/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/sampler.h"
#include "base/config.h"

/* Trace ids whose 63 low bits are below this are kept. */
static uint64_t ratio_bound;

void sampler_init(void)
{
	if (config.sampler_ratio >= 1)
		ratio_bound = UINT64_C(1) << 63;
	else if (config.sampler_ratio > 0)
		ratio_bound = (uint64_t)(config.sampler_ratio * 0x1p63);
	else
		ratio_bound = 0;
}

/* The algorithm of TraceIdRatioBased is not specified. This is the form of the Go SDK, so that
 * both decide alike on the same trace: the low 8 bytes, big endian, without their last bit. */
static bool ratio_keeps(const uint8_t trace_id[static 16])
{
	uint64_t low = 0;

	for (int i = 8; i < 16; i++)
		low = low << 8 | trace_id[i];
	return low >> 1 < ratio_bound;
}

bool sampler_decide(const uint8_t trace_id[static 16], bool has_parent, bool parent_sampled)
{
	switch (config.sampler) {
	case SAMPLER_ALWAYS_OFF:
		return false;
	case SAMPLER_RATIO:
		return ratio_keeps(trace_id);
	case SAMPLER_PARENT_ALWAYS_ON:
		return !has_parent || parent_sampled;
	case SAMPLER_PARENT_ALWAYS_OFF:
		return has_parent && parent_sampled;
	case SAMPLER_PARENT_RATIO:
		return has_parent ? parent_sampled : ratio_keeps(trace_id);
	default:
		return true;
	}
}
