/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <sys/types.h>

#define DIGITS_MAX 20 /* of UINT64_MAX in decimal */

static size_t room(const struct text *t)
{
	return t->cut ? 0 : t->size - t->n;
}

/* As much of b as fits. Once something was cut nothing follows it, so that what stands there is
 * always a beginning of what was meant. */
static void put_part(struct text *t, struct bytes b)
{
	size_t n = b.n <= room(t) ? b.n : room(t);

	if (n)
		memcpy(t->p + t->n, b.p, n);
	t->n += n;
	if (n < b.n)
		t->cut = true;
}

void text_put(struct text *t, struct bytes b)
{
	if (b.n > room(t)) {
		t->cut = true;
	} else if (b.n) {
		memcpy(t->p + t->n, b.p, b.n);
		t->n += b.n;
	}
}

void text_put_char(struct text *t, char c)
{
	if (room(t))
		t->p[t->n++] = c;
	else
		t->cut = true;
}

void text_put_string(struct text *t, const char *s)
{
	text_put(t, bytes_of(s));
}

/* Writes v at the end of `digits` and returns where it starts. */
static struct bytes format_u64(char digits[static DIGITS_MAX], uint64_t v, unsigned base,
			       bool upper)
{
	const char *alphabet = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	size_t at = DIGITS_MAX;

	do {
		digits[--at] = alphabet[v % base];
		v /= base;
	} while (v);
	return (struct bytes){ digits + at, DIGITS_MAX - at };
}

void text_put_u64(struct text *t, uint64_t v)
{
	char digits[DIGITS_MAX];

	text_put(t, format_u64(digits, v, 10, false));
}

void text_put_i64(struct text *t, int64_t v)
{
	char digits[DIGITS_MAX + 1];
	struct bytes b = format_u64(digits + 1, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, false);

	if (v < 0) {
		digits[b.p - digits - 1] = '-';
		b = (struct bytes){ b.p - 1, b.n + 1 };
	}
	text_put(t, b);
}

void text_put_hex(struct text *t, const uint8_t *p, size_t n)
{
	static const char alphabet[] = "0123456789abcdef";

	if (n > room(t) / 2) {
		t->cut = true;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		t->p[t->n++] = alphabet[p[i] >> 4];
		t->p[t->n++] = alphabet[p[i] & 15];
	}
}

void text_put_base64(struct text *t, const uint8_t *p, size_t n, bool padded)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		unsigned there = n - i < 3 ? (unsigned)(n - i) : 3;
		uint32_t v = (uint32_t)p[i] << 16;

		v |= there > 1 ? (uint32_t)p[i + 1] << 8 : 0;
		v |= there > 2 ? p[i + 2] : 0;
		for (unsigned d = 0; d < 4; d++) {
			if (d <= there)
				text_put_char(t, digits[v >> (18 - 6 * d) & 63]);
			else if (padded)
				text_put_char(t, '=');
		}
	}
}

/* One conversion: %[-0][width][.precision][l|ll|z|h|hh]letter. */
struct conversion {
	bool left, zero;
	size_t width;
	size_t precision; /* of %s; SIZE_MAX: none given */
	char length;      /* 0, 'l', 'L' (ll), 'z', 'h', 'H' (hh) */
	char letter;      /* 0: not one of ours */
};

static size_t parse_number(const char **at, size_t fallback)
{
	size_t v = 0;

	if (**at < '0' || **at > '9')
		return fallback;
	for (; **at >= '0' && **at <= '9'; ++*at)
		if (v < 100000)
			v = v * 10 + (size_t)(**at - '0');
	return v;
}

static char parse_length(const char **at)
{
	char c = **at;

	if (c != 'l' && c != 'z' && c != 'h')
		return 0;
	++*at;
	if (c == 'z' || **at != c)
		return c;
	++*at;
	return c == 'l' ? 'L' : 'H';
}

/* The arguments are passed on as a pointer: a va_list may be an array. */
struct arguments {
	va_list list;
};

static const char *parse_conversion(struct conversion *c, const char *at, struct arguments *args)
{
	*c = (struct conversion){ .precision = SIZE_MAX };
	for (; *at == '-' || *at == '0'; at++)
		*(*at == '-' ? &c->left : &c->zero) = true;
	if (*at == '*') {
		int width = va_arg(args->list, int);

		c->left |= width < 0;
		c->width = width < 0 ? -(size_t)width : (size_t)width;
		at++;
	} else {
		c->width = parse_number(&at, 0);
	}
	if (*at == '.') {
		at++;
		if (*at == '*') {
			int precision = va_arg(args->list, int);

			c->precision = precision < 0 ? SIZE_MAX : (size_t)precision;
			at++;
		} else {
			c->precision = parse_number(&at, 0);
		}
	}
	c->length = parse_length(&at);
	c->letter = *at;
	return *at ? at + 1 : at;
}

static void put_filled(struct text *t, char fill, size_t width, size_t taken)
{
	for (; taken < width && !t->cut; taken++)
		put_part(t, (struct bytes){ &fill, 1 });
}

static void put_padded(struct text *t, const struct conversion *c, const char *sign, struct bytes b)
{
	size_t taken = b.n + strlen(sign);

	if (!c->left && !c->zero)
		put_filled(t, ' ', c->width, taken);
	put_part(t, bytes_of(sign));
	if (!c->left && c->zero)
		put_filled(t, '0', c->width, taken);
	put_part(t, b);
	if (c->left)
		put_filled(t, ' ', c->width, taken);
}

static uint64_t unsigned_argument(const struct conversion *c, struct arguments *args)
{
	switch (c->length) {
	case 'l':
		return va_arg(args->list, unsigned long);
	case 'L':
		return va_arg(args->list, unsigned long long);
	case 'z':
		return va_arg(args->list, size_t);
	case 'h':
		return (unsigned short)va_arg(args->list, int);
	case 'H':
		return (unsigned char)va_arg(args->list, int);
	default:
		return va_arg(args->list, unsigned);
	}
}

static int64_t signed_argument(const struct conversion *c, struct arguments *args)
{
	switch (c->length) {
	case 'l':
		return va_arg(args->list, long);
	case 'L':
		return va_arg(args->list, long long);
	case 'z':
		return va_arg(args->list, ssize_t);
	case 'h':
		return (short)va_arg(args->list, int);
	case 'H':
		return (signed char)va_arg(args->list, int);
	default:
		return va_arg(args->list, int);
	}
}

static void put_string_argument(struct text *t, struct conversion *c, struct arguments *args)
{
	const char *s = va_arg(args->list, const char *);
	size_t n = 0;

	if (!s)
		s = "(null)";
	while (n < c->precision && s[n])
		n++;
	c->zero = false;
	put_padded(t, c, "", (struct bytes){ s, n });
}

/* False: a letter we do not know. Its argument cannot be skipped, so the text ends here. */
static bool put_conversion(struct text *t, struct conversion *c, struct arguments *args)
{
	char digits[DIGITS_MAX], character;
	int64_t v;

	switch (c->letter) {
	case 's':
		put_string_argument(t, c, args);
		return true;
	case 'c':
		character = (char)va_arg(args->list, int);
		c->zero = false;
		put_padded(t, c, "", (struct bytes){ &character, 1 });
		return true;
	case 'd':
	case 'i':
		v = signed_argument(c, args);
		put_padded(t, c, v < 0 ? "-" : "",
			   format_u64(digits, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, false));
		return true;
	case 'u':
		put_padded(t, c, "", format_u64(digits, unsigned_argument(c, args), 10, false));
		return true;
	case 'x':
	case 'X':
		put_padded(t, c, "",
			   format_u64(digits, unsigned_argument(c, args), 16, c->letter == 'X'));
		return true;
	case 'p':
		put_padded(t, c, "0x",
			   format_u64(digits, (uintptr_t)va_arg(args->list, void *), 16, false));
		return true;
	case '%':
		put_part(t, BYTES("%"));
		return true;
	default:
		return false;
	}
}

void text_vformat(struct text *t, const char *format, va_list list)
{
	struct arguments args;

	va_copy(args.list, list);
	while (*format && !t->cut) {
		const char *literal = format;
		struct conversion c;

		while (*format && *format != '%')
			format++;
		put_part(t, (struct bytes){ literal, (size_t)(format - literal) });
		if (!*format)
			break;
		format = parse_conversion(&c, format + 1, &args);
		if (!put_conversion(t, &c, &args))
			t->cut = true;
	}
	va_end(args.list);
}

void text_format(struct text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text_vformat(t, format, args);
	va_end(args);
}

const char *text_string(struct text *t)
{
	if (t->n >= t->size) {
		t->n = t->size - 1;
		t->cut = true;
	}
	t->p[t->n] = '\0';
	return t->p;
}
