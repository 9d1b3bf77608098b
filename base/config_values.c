/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config_values.h"

#include <errno.h>

#define RATIO_DIGITS   18   /* that fit an uint64_t whatever they are */
#define EXPONENT_LIMIT 1000 /* far beyond what a double holds */

int config_parse_uint(struct bytes value, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t v;

	if (bytes_to_u64(value, &v) < 0 || v < min || v > max)
		return -EINVAL;
	*out = (uint32_t)v;
	return 0;
}

static bool take_digit(struct bytes *b, unsigned *digit)
{
	if (b->n == 0 || b->p[0] < '0' || b->p[0] > '9')
		return false;
	*digit = (unsigned)(b->p[0] - '0');
	*b = (struct bytes){ b->p + 1, b->n - 1 };
	return true;
}

static bool take_char(struct bytes *b, const char *either)
{
	if (b->n == 0 || (b->p[0] != either[0] && b->p[0] != either[1]))
		return false;
	*b = (struct bytes){ b->p + 1, b->n - 1 };
	return true;
}

/* digits and digits.digits: value = mantissa * 10^exponent. Digits past what the mantissa holds
 * only move the exponent. False without any digit. */
static bool take_mantissa(struct bytes *b, uint64_t *mantissa, int *exponent)
{
	bool any = false, fraction = false;
	int kept = 0;
	unsigned digit;

	*mantissa = 0;
	*exponent = 0;
	for (;;) {
		if (take_digit(b, &digit)) {
			any = true;
			if (kept < RATIO_DIGITS) {
				*mantissa = *mantissa * 10 + digit;
				kept += *mantissa != 0; /* leading zeros are free */
				*exponent -= fraction;
			} else if (!fraction && *exponent < EXPONENT_LIMIT) {
				++*exponent;
			}
		} else if (!fraction && take_char(b, "..")) {
			fraction = true;
		} else {
			return any;
		}
	}
}

/* e-3, E5: false when what stands there is not an exponent. */
static bool take_exponent(struct bytes *b, int *exponent)
{
	int e = 0;
	bool negative;
	unsigned digit;

	if (!take_char(b, "eE"))
		return false;
	negative = take_char(b, "--");
	if (!negative)
		take_char(b, "++");
	if (!take_digit(b, &digit))
		return false;
	do {
		if (e < EXPONENT_LIMIT)
			e = e * 10 + (int)digit;
	} while (take_digit(b, &digit));
	*exponent += negative ? -e : e;
	return true;
}

int config_parse_ratio(struct bytes value, double *out)
{
	uint64_t mantissa;
	double v, scale = 1.0;
	int exponent;

	take_char(&value, "++");
	if (!take_mantissa(&value, &mantissa, &exponent))
		return -EINVAL;
	if (value.n && (!take_exponent(&value, &exponent) || value.n))
		return -EINVAL;
	/* One division by an exact power of ten rounds once: 0.1 is the double nearest to 0.1. */
	for (int i = 0; i < (exponent < 0 ? -exponent : exponent) && scale < 1e300; i++)
		scale *= 10;
	v = exponent < 0 ? (double)mantissa / scale : (double)mantissa * scale;
	if (!(v <= 1.0))
		return -EINVAL;
	*out = v;
	return 0;
}

int config_parse_choice(struct bytes value, const char *choices, uint32_t *out)
{
	struct bytes rest = bytes_of(choices);

	for (uint32_t i = 0; rest.p; i++) {
		if (bytes_equal_nocase(bytes_split(&rest, ','), value)) {
			*out = i;
			return 0;
		}
	}
	return -EINVAL;
}

struct bytes config_choice_name(const char *choices, uint32_t index)
{
	struct bytes rest = bytes_of(choices);

	while (rest.p) {
		struct bytes name = bytes_split(&rest, ',');

		if (index-- == 0)
			return name;
	}
	return (struct bytes){ NULL, 0 };
}

static void put_unknown(struct text *unknown, struct bytes name)
{
	if (unknown->n)
		text_put_char(unknown, ',');
	text_format(unknown, "%.*s", (int)(name.n < 200 ? name.n : 200), name.p);
}

void config_parse_set(struct bytes value, const char *choices, struct config_set *out,
		      struct text *unknown)
{
	size_t n = 0;
	bool none = false;

	*out = (struct config_set){ 0 };
	while (value.p) {
		struct bytes name = bytes_trim(bytes_split(&value, ','));
		uint32_t index;

		if (name.n == 0)
			continue;
		if (bytes_equal_nocase(name, BYTES("none"))) {
			none = true;
			continue;
		}
		if (config_parse_choice(name, choices, &index) < 0) {
			put_unknown(unknown, name);
			continue;
		}
		if (!(out->mask & 1u << index) && n + 1 < sizeof(out->order))
			out->order[n++] = (uint8_t)index;
		out->mask |= 1u << index;
	}
	if (none && !out->mask && !unknown->n &&
	    bytes_equal(config_choice_name(choices, 0), BYTES("none")))
		out->mask = 1;
	else if (none)
		put_unknown(unknown, BYTES("none"));
}

bool config_is_stacktrace(struct bytes value)
{
	struct bytes slow = BYTES("slow:");
	uint32_t ms;

	if (bytes_equal_nocase(value, BYTES("off")) || bytes_equal_nocase(value, BYTES("error")))
		return true;
	return bytes_start_with(value, slow) &&
	       config_parse_uint((struct bytes){ value.p + slow.n, value.n - slow.n }, 0, INT32_MAX,
				 &ms) == 0;
}
