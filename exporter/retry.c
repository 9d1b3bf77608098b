/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/retry.h"

#include <errno.h>

#define NS_PER_MS 1000000ull

uint64_t retry_deadline(uint64_t now_ns, uint32_t otlp_timeout, uint32_t export_timeout)
{
	uint32_t limit = otlp_timeout;

	if (!limit || (export_timeout && export_timeout < limit))
		limit = export_timeout;
	return limit ? now_ns + limit * NS_PER_MS : NO_DEADLINE;
}

void retry_start(struct retry *r, uint64_t deadline_ns)
{
	*r = (struct retry){ .deadline_ns = deadline_ns, .backoff_ms = RETRY_FIRST_MS };
}

uint64_t retry_next(struct retry *r, uint64_t now_ns, uint64_t asked_ms, uint64_t random)
{
	uint64_t spread = r->backoff_ms / 5;
	uint64_t wait_ms = r->backoff_ms - spread + random % (2 * spread + 1);
	uint64_t at;

	r->attempts++;
	r->backoff_ms += r->backoff_ms / 2;
	if (r->backoff_ms > RETRY_MAX_MS)
		r->backoff_ms = RETRY_MAX_MS;
	if (asked_ms)
		wait_ms = asked_ms;
	at = now_ns + wait_ms * NS_PER_MS;
	return at < r->deadline_ns ? at : 0;
}

/* ---- HTTP-date ---- */

struct date {
	int64_t year;
	unsigned month, day, hour, minute, second; /* month 0 to 11 */
};

/* Takes `literal` off the front of *rest. */
static bool take(struct bytes *rest, const char *literal)
{
	struct bytes want = bytes_of(literal);

	if (!bytes_start_with(*rest, want))
		return false;
	*rest = (struct bytes){ rest->p + want.n, rest->n - want.n };
	return true;
}

/* Takes exactly n digits; of two, the first may be a space where asctime pads so. */
static bool take_number(struct bytes *rest, size_t n, bool padded, unsigned *out)
{
	unsigned v = 0;

	if (rest->n < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = rest->p[i];

		if (padded && i == 0 && c == ' ')
			continue;
		if (c < '0' || c > '9')
			return false;
		v = v * 10 + (unsigned)(c - '0');
	}
	*rest = (struct bytes){ rest->p + n, rest->n - n };
	*out = v;
	return true;
}

static bool take_month(struct bytes *rest, unsigned *month)
{
	static const char names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

	for (unsigned i = 0; i < 12; i++) {
		if (take(rest, names[i])) {
			*month = i;
			return true;
		}
	}
	return false;
}

static bool take_time(struct bytes *rest, struct date *d)
{
	return take_number(rest, 2, false, &d->hour) && take(rest, ":") &&
	       take_number(rest, 2, false, &d->minute) && take(rest, ":") &&
	       take_number(rest, 2, false, &d->second);
}

/* "06 Nov 1994 08:49:37 GMT" */
static bool take_fixdate(struct bytes *rest, struct date *d)
{
	unsigned year;

	if (!take_number(rest, 2, false, &d->day) || !take(rest, " ") ||
	    !take_month(rest, &d->month) || !take(rest, " ") ||
	    !take_number(rest, 4, false, &year) || !take(rest, " ") || !take_time(rest, d) ||
	    !take(rest, " GMT"))
		return false;
	d->year = year;
	return true;
}

/* "06-Nov-94 08:49:37 GMT": of the years that end so, the one from 49 before to 50 ahead. */
static bool take_rfc850(struct bytes *rest, struct date *d, uint64_t now_unix_s)
{
	int64_t this_year = 1970 + (int64_t)(now_unix_s / 31556952);
	unsigned year;

	if (!take_number(rest, 2, false, &d->day) || !take(rest, "-") ||
	    !take_month(rest, &d->month) || !take(rest, "-") ||
	    !take_number(rest, 2, false, &year) || !take(rest, " ") || !take_time(rest, d) ||
	    !take(rest, " GMT"))
		return false;
	d->year = this_year - this_year % 100 + year;
	if (d->year > this_year + 50)
		d->year -= 100;
	else if (d->year <= this_year - 50)
		d->year += 100;
	return true;
}

/* "Nov  6 08:49:37 1994" */
static bool take_asctime(struct bytes *rest, struct date *d)
{
	unsigned year;

	if (!take_month(rest, &d->month) || !take(rest, " ") ||
	    !take_number(rest, 2, true, &d->day) || !take(rest, " ") || !take_time(rest, d) ||
	    !take(rest, " ") || !take_number(rest, 4, false, &year))
		return false;
	d->year = year;
	return true;
}

static int64_t days_before_year(int64_t year)
{
	int64_t y = year - 1;

	return y * 365 + y / 4 - y / 100 + y / 400;
}

static bool date_to_unix(const struct date *d, int64_t *unix_s)
{
	static const uint8_t length[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (d->year % 4 == 0 && d->year % 100 != 0) || d->year % 400 == 0;
	unsigned last = length[d->month] + (d->month == 1 && leap);
	int64_t days;

	/* 60 is a leap second. */
	if (d->day < 1 || d->day > last || d->hour > 23 || d->minute > 59 || d->second > 60)
		return false;
	days = days_before_year(d->year) - days_before_year(1970) + d->day - 1;
	for (unsigned m = 0; m < d->month; m++)
		days += length[m] + (m == 1 && leap);
	*unix_s = days * 86400 + d->hour * 3600 + d->minute * 60 + d->second;
	return true;
}

/* The day's name is not compared with the date; it only says which form this is. */
static bool take_day_name(struct bytes *rest, bool *whole)
{
	static const char names[7][10] = { "Monday", "Tuesday",  "Wednesday", "Thursday",
					   "Friday", "Saturday", "Sunday" };

	for (unsigned i = 0; i < 7; i++) {
		struct bytes three = { names[i], 3 };

		if (take(rest, names[i])) {
			*whole = true;
			return true;
		}
		if (bytes_start_with(*rest, three)) {
			*rest = (struct bytes){ rest->p + 3, rest->n - 3 };
			*whole = false;
			return true;
		}
	}
	return false;
}

int http_date_parse(struct bytes value, uint64_t now_unix_s, int64_t *unix_s)
{
	struct bytes rest = bytes_trim(value);
	struct date d = { .year = 0 };
	bool whole_name, good;

	if (!take_day_name(&rest, &whole_name))
		return -EINVAL;
	if (take(&rest, ", "))
		good = whole_name ? take_rfc850(&rest, &d, now_unix_s) : take_fixdate(&rest, &d);
	else
		good = !whole_name && take(&rest, " ") && take_asctime(&rest, &d);
	if (!good || rest.n != 0 || d.year < 1 || !date_to_unix(&d, unix_s))
		return -EINVAL;
	return 0;
}

int retry_after_parse(struct bytes value, uint64_t now_unix_s, uint64_t *wait_ms)
{
	struct bytes v = bytes_trim(value);
	uint64_t seconds;
	int64_t date;

	if (v.n && v.p[0] >= '0' && v.p[0] <= '9') {
		/* More digits than fit are still a number, and too long a time. */
		for (size_t i = 0; i < v.n; i++)
			if (v.p[i] < '0' || v.p[i] > '9')
				return -EINVAL;
		if (bytes_to_u64(v, &seconds))
			seconds = UINT64_MAX;
	} else {
		if (http_date_parse(v, now_unix_s, &date))
			return -EINVAL;
		seconds = date > (int64_t)now_unix_s ? (uint64_t)(date - (int64_t)now_unix_s) : 0;
	}
	*wait_ms = seconds > RETRY_AFTER_MAX_MS / 1000 ? RETRY_AFTER_MAX_MS : seconds * 1000;
	return 0;
}
