/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/wire/h2_frame.h"

#include <errno.h>

/* Wire code: bytes in, views out. No allocation, no globals, no I/O, no system call; nothing reads
 * past the bytes that are given. */
#define malloc              wire_code_must_not_allocate

#define SETTING             6 /* bytes */
#define MAX_FRAME_LARGEST   16777215u
#define SETTINGS_TABLE_SIZE 1
#define SETTINGS_FRAME_SIZE 5
#define SETTINGS_LIST_SIZE  6

uint32_t h2_get_u32(const char *p)
{
	const uint8_t *b = (const uint8_t *)p;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

struct h2_frame h2_frame_unpack(const char head[static H2_FRAME_HEAD])
{
	return (struct h2_frame){
		.length = h2_get_u32(head) >> 8,
		.type = (uint8_t)head[3],
		.flags = (uint8_t)head[4],
		.stream = h2_get_u32(head + 5) & 0x7fffffff,
	};
}

void h2_frame_put_length(char head[static 3], uint32_t length)
{
	head[0] = (char)(length >> 16);
	head[1] = (char)(length >> 8);
	head[2] = (char)length;
}

bool h2_frame_may_be_settings(struct bytes start)
{
	/* The length below 64 KiB, then type, flags and stream. */
	static const char rest[] = { H2_SETTINGS, 0, 0, 0, 0, 0 };
	size_t n = start.n < H2_FRAME_HEAD ? start.n : H2_FRAME_HEAD;

	return n && !start.p[0] && (n <= 3 || memcmp(start.p + 3, rest, n - 3) == 0);
}

int h2_frame_fragment(struct bytes *out, const struct h2_frame *f, struct bytes payload)
{
	size_t padding = 0, before = 0;

	if (f->flags & H2_FLAG_PADDED && f->type != H2_CONTINUATION) {
		if (!payload.n)
			return -EBADMSG;
		padding = (uint8_t)payload.p[0];
		before = 1;
	}
	if (f->type == H2_HEADERS && f->flags & H2_FLAG_PRIORITY)
		before += 5;
	if (f->type == H2_PUSH_PROMISE)
		before += 4;
	if (before + padding > payload.n)
		return -EBADMSG;
	*out = (struct bytes){ payload.p + before, payload.n - before - padding };
	return 0;
}

static void note_table(struct h2_settings *s, uint32_t value)
{
	if (!s->has_table || value < s->table_least)
		s->table_least = value;
	s->table = value;
	s->has_table = true;
}

int h2_settings_parse(struct h2_settings *out, struct bytes payload)
{
	struct h2_settings s = { .has_table = false };

	if (payload.n % SETTING)
		return -EBADMSG;
	for (size_t at = 0; at < payload.n; at += SETTING) {
		const char *p = payload.p + at;
		uint32_t value = h2_get_u32(p + 2);

		switch ((uint8_t)p[0] << 8 | (uint8_t)p[1]) {
		case SETTINGS_TABLE_SIZE:
			note_table(&s, value);
			break;
		case SETTINGS_FRAME_SIZE:
			if (value < H2_MAX_FRAME_DEFAULT || value > MAX_FRAME_LARGEST)
				return -EBADMSG;
			s.frame = value;
			s.has_frame = true;
			break;
		case SETTINGS_LIST_SIZE:
			s.list = value;
			s.has_list = true;
			break;
		}
	}
	*out = s;
	return 0;
}

static int base64url_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

ssize_t h2_settings_from_header(char *to, size_t room, struct bytes value)
{
	uint32_t word = 0;
	unsigned bits = 0;
	size_t n = 0;

	while (value.n && value.p[value.n - 1] == '=')
		value.n--;
	for (size_t i = 0; i < value.n; i++) {
		int digit = base64url_digit(value.p[i]);

		if (digit < 0)
			return -EBADMSG;
		word = word << 6 | (uint32_t)digit;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		if (n == room)
			return -EBADMSG;
		to[n++] = (char)(word >> bits);
	}
	return (ssize_t)n;
}
