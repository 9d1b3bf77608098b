// SPDX-License-Identifier: Apache-2.0
/* One span as lines of text. */
#include "exporter/console_draw.h"

#include "base/text.h"
#include "exporter/utf8.h"

#define VALUE_MAX 200 /* bytes of one value that are shown */

static struct bytes field_of(const struct record_head *head, unsigned key)
{
	struct record_field_view field;
	size_t pos = 0;

	while (record_next(head, &pos, &field))
		if (field.key == key)
			return field.value;
	return (struct bytes){ NULL, 0 };
}

/* Text for a terminal: what could steer it becomes '?'. */
void console_put_value(struct text *t, struct bytes value)
{
	char clean[VALUE_MAX * UTF8_GROWTH];
	struct bytes b = { value.p, value.n < VALUE_MAX ? value.n : VALUE_MAX };
	size_t n = utf8_clean(clean, b, UTF8_NO_LIMIT);

	for (size_t i = 0; i < n; i++) {
		bool c1 = (uint8_t)clean[i] == 0xc2 && i + 1 < n && (uint8_t)clean[i + 1] < 0xa0;

		if ((uint8_t)clean[i] < 0x20 || clean[i] == 0x7f)
			clean[i] = '?';
		if (c1) /* U+0080 to U+009F: controls too */
			clean[i] = clean[i + 1] = '?';
	}
	text_put(t, (struct bytes){ clean, n });
	if (b.n < value.n)
		text_put_string(t, "...");
}

/* 1234 -> "1.23 ms" by whole numbers only: three digits that count. */
static void put_duration(struct text *t, uint64_t ns)
{
	static const struct {
		uint64_t ns;
		const char *name;
	} units[] = { { 1000000000, " s" }, { 1000000, " ms" }, { 1000, " us" }, { 1, " ns" } };
	size_t i = 0;
	uint64_t whole, part;

	while (i < 3 && ns < units[i].ns)
		i++;
	whole = ns / units[i].ns;
	part = ns % units[i].ns * 100 / units[i].ns;
	text_put_u64(t, whole);
	if (whole < 100 && units[i].ns > 1) {
		text_put_char(t, '.');
		text_put_char(t, (char)('0' + part / 10));
		if (whole < 10)
			text_put_char(t, (char)('0' + part % 10));
	}
	text_put_string(t, units[i].name);
}

/* ---- one span ---- */

static const char *kind_name(uint8_t kind)
{
	static const char *const names[] = { "?",      "INTERNAL", "SERVER",
					     "CLIENT", "PRODUCER", "CONSUMER" };

	return kind < sizeof(names) / sizeof(*names) ? names[kind] : names[0];
}

static void put_indent(struct drawing *d, unsigned depth, bool line_of_values, bool has_children)
{
	text_put_string(&d->text, "  ");
	for (unsigned i = 1; i < depth; i++)
		text_put_string(&d->text, d->last[i] ? "   " : "|  ");
	if (depth && !line_of_values)
		text_put_string(&d->text, d->last[depth] ? "`- " : "|- ");
	if (depth && line_of_values)
		text_put_string(&d->text, d->last[depth] ? "   " : "|  ");
	if (line_of_values)
		text_put_string(&d->text, has_children ? "|  " : "   ");
}

static void put_status(struct text *t, const struct record_head *head)
{
	struct bytes type = field_of(head, ATTRIBUTE_ERROR_TYPE);
	struct bytes message = field_of(head, RECORD_STATUS_MESSAGE);

	if (head->status != STATUS_ERROR)
		return;
	text_put_string(t, "  ERROR");
	if (type.n)
		text_put_char(t, ' ');
	console_put_value(t, type);
	if (message.n)
		text_put_string(t, ": ");
	console_put_value(t, message);
}

/* Possible parents, where the parent is not known. */
static void put_links(struct text *t, const struct record_head *head)
{
	struct record_field_view field;
	size_t pos = 0, n = 0;

	while (record_next(head, &pos, &field))
		n += field.key == RECORD_LINK;
	if (n)
		text_format(t, "  links=%zu", n);
}

/* What a reader looks for first; the rest is for the receivers of OTLP. */
static bool is_shown(unsigned key)
{
	return key == ATTRIBUTE_URL_FULL || key == ATTRIBUTE_URL_PATH ||
	       key == ATTRIBUTE_URL_QUERY || key == ATTRIBUTE_CLIENT_ADDRESS ||
	       key == ATTRIBUTE_SERVER_ADDRESS || key == ATTRIBUTE_SERVER_PORT ||
	       key == ATTRIBUTE_USER_AGENT_ORIGINAL || key == ATTRIBUTE_HTTP_REQUEST_RESEND_COUNT ||
	       key == ATTRIBUTE_CODE_STACKTRACE;
}

static void put_attributes(struct drawing *d, const struct node *node, unsigned depth)
{
	struct record_field_view field;
	size_t pos = 0;
	bool any = false;

	while (record_next(node->head, &pos, &field)) {
		if (field.key >= ATTRIBUTE_COUNT || !is_shown(field.key))
			continue;
		if (!any)
			put_indent(d, depth, true, node->child != 0);
		else
			text_put_string(&d->text, "  ");
		any = true;
		text_put_string(&d->text, attribute_key(field.key));
		text_put_char(&d->text, '=');
		if (attribute_type(field.key) == ATTRIBUTE_INT)
			text_put_i64(&d->text, record_int(&field));
		else
			console_put_value(&d->text, field.value);
	}
	if (any)
		text_put_char(&d->text, '\n');
}

void console_draw_span(struct drawing *d, const struct node *node, unsigned depth)
{
	static const uint8_t root[8];
	const struct record_head *head = node->head;
	struct bytes status = field_of(head, ATTRIBUTE_HTTP_RESPONSE_STATUS_CODE);
	struct bytes rpc_status = field_of(head, ATTRIBUTE_RPC_RESPONSE_STATUS_CODE);
	struct bytes link = field_of(head, ATTRIBUTE_TAGALONG_LINK);
	struct text *t = &d->text;

	put_indent(d, depth, false, false);
	text_put_string(t, kind_name(head->kind));
	text_put_char(t, ' ');
	console_put_value(t, field_of(head, RECORD_NAME));
	if (status.n == sizeof(int64_t)) {
		struct record_field_view code = { 0, status };

		text_put_char(t, ' ');
		text_put_i64(t, record_int(&code));
	}
	if (rpc_status.n) {
		text_put_char(t, ' ');
		console_put_value(t, rpc_status);
	}
	text_put_string(t, "  ");
	put_duration(t, head->end_ns > head->start_ns ? head->end_ns - head->start_ns : 0);
	put_status(t, head);
	if (link.n) {
		text_put_string(t, "  link=");
		console_put_value(t, link);
	}
	put_links(t, head);
	if (depth == 0 && memcmp(head->parent_id, root, sizeof(root)) != 0) {
		text_put_string(t, "  parent=");
		text_put_hex(t, head->parent_id, sizeof(head->parent_id));
	}
	text_put_char(t, '\n');
	put_attributes(d, node, depth);
}
