/* SPDX-License-Identifier: Apache-2.0 */
/* Private to base/config*.c: one value of a variable from text. Each returns 0, or -EINVAL with
 * *out untouched. */
#ifndef BASE_CONFIG_VALUES_H
#define BASE_CONFIG_VALUES_H

#include "base/config.h"
#include "base/text.h"

/* Decimal, within min..max. */
int config_parse_uint(struct bytes value, uint32_t min, uint32_t max, uint32_t *out);

/* 0 to 1 in decimal notation: 0.25, .5, 1e-3. */
int config_parse_ratio(struct bytes value, double *out);

/* The index of value among the comma separated choices, whatever the case. */
int config_parse_choice(struct bytes value, const char *choices, uint32_t *out);

/* The name of the choice at index; empty past the end. */
struct bytes config_choice_name(const char *choices, uint32_t index);

/* A comma list of choices as a bit mask. Names that are not understood are put, comma separated,
 * into *unknown and leave the rest valid. "none" beside others counts as not understood. order:
 * NULL, or where the indexes go in the order given, each once, 0-terminated ("none" leaves it
 * empty), at most 7. */
struct config_set {
	uint32_t mask;
	uint8_t order[8];
};
void config_parse_set(struct bytes value, const char *choices, struct config_set *out,
		      struct text *unknown);

/* off, error, slow:<milliseconds> */
bool config_is_stacktrace(struct bytes value);

#endif
