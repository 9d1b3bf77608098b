/* SPDX-License-Identifier: Apache-2.0 */
/* Builds text in a buffer of fixed size. Past its end nothing is written and `cut` is set;
 * whoever cares looks at it once at the end. The text is not terminated unless text_string() is
 * asked for it. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdarg.h>
#include "base/bytes.h"

struct text {
	char *p;
	size_t n;
	size_t size;
	bool cut; /* something did not fit */
};

#define TEXT_ON(array) ((struct text){ .p = (array), .size = sizeof(array) })

void text_put(struct text *t, struct bytes b); /* all of b or nothing */
void text_put_char(struct text *t, char c);
void text_put_string(struct text *t, const char *s);
void text_put_u64(struct text *t, uint64_t v);
void text_put_i64(struct text *t, int64_t v);
void text_put_hex(struct text *t, const uint8_t *p, size_t n); /* lower case */
void text_put_base64(struct text *t, const uint8_t *p, size_t n, bool padded);

/* printf's %s %c %d %u %ld %lu %lld %llu %zu %x %% and %.*s, nothing else; no floating point. */
void text_format(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vformat(struct text *t, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

/* Terminates the text (the last byte gives way when it is full) and returns it. size >= 1. */
const char *text_string(struct text *t);

static inline struct bytes text_bytes(const struct text *t)
{
	return (struct bytes){ t->p, t->n };
}

#endif
