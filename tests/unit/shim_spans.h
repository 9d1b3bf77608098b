/* SPDX-License-Identifier: Apache-2.0 */
/* What a program does on a connection, in one line each, and the spans that came of it, read back
 * from a trace file. */
#ifndef TESTS_SHIM_SPANS_H
#define TESTS_SHIM_SPANS_H

#include <criterion/criterion.h>
#include <jansson.h>
#include "exporter/exporter.h"
#include "shim_fixture.h"

#define PARENT_TRACE "0af7651916cd43dd8448eb211c80319c"
#define PARENT_SPAN  "b7ad6b7169203331"
#define PARENT       "00-" PARENT_TRACE "-" PARENT_SPAN "-01"

/* An assertion that also works in a child that the test made: Criterion's hang there. */
static pid_t spans_main;
#define must(c)                                    \
	do {                                       \
		if (getpid() == spans_main)        \
			cr_assert(c);              \
		else if (!(c))                     \
			_exit(__LINE__ % 200 + 1); \
	} while (0)

static char spans_path[64];
static json_t *spans; /* all that were read so far */
static char program_buffer[262144];
static struct wire program_wire = { .limit = sizeof(program_wire.bytes) };

/* A started shim that writes its spans to a file; `variables` ends with NULL. */
static inline void spans_start(const char *const *variables)
{
	static char file[96];
	const char *envp[16] = { file };
	unsigned n = 1;

	strcpy(spans_path, "/tmp/tagalong-spans-XXXXXX");
	close(mkstemp(spans_path));
	snprintf(file, sizeof(file), "TAGALONG_TRACES_FILE=%s", spans_path);
	while (variables && *variables && n < 15)
		envp[n++] = *variables++;
	spans = json_array();
	spans_main = getpid();
	shim_start((char **)(uintptr_t)envp);
}

#define spans_start_with(...) spans_start((const char *const[]){ __VA_ARGS__, NULL })

/* The number of spans written so far; they stand in `spans`, oldest first. */
static inline size_t spans_read(void)
{
	static size_t at; /* of the file */
	char line[65536];
	FILE *f;

	exporter_flush(5000, false);
	f = fopen(spans_path, "r");
	fseek(f, (long)at, SEEK_SET);
	while (fgets(line, sizeof(line), f)) {
		json_t *all = json_loads(line, 0, NULL), *scopes, *found;
		size_t i, j;
		json_t *scope, *span;

		cr_assert_not_null(all);
		scopes = json_object_get(json_array_get(json_object_get(all, "resourceSpans"), 0),
					 "scopeSpans");
		json_array_foreach(scopes, i, scope)
		{
			found = json_object_get(scope, "spans");
			json_array_foreach(found, j, span) json_array_append(spans, span);
		}
		json_decref(all);
	}
	at = (size_t)ftell(f);
	fclose(f);
	return json_array_size(spans);
}

static inline void spans_stop(void)
{
	json_decref(spans);
	unlink(spans_path);
}

static inline json_t *span_at(size_t i)
{
	cr_assert_lt(i, json_array_size(spans));
	return json_array_get(spans, i);
}

/* A field of a span ("name", "parentSpanId"), or an attribute of it, as text; "" when absent. */
static inline const char *span_field(const json_t *span, const char *name)
{
	const char *s = json_string_value(json_object_get(span, name));

	return s ? s : "";
}

static inline const char *span_attribute(const json_t *span, const char *key)
{
	json_t *attributes = json_object_get(span, "attributes"), *a;
	size_t i;

	json_array_foreach(attributes, i, a)
	{
		json_t *value = json_object_get(a, "value");
		const char *s = json_string_value(json_object_get(value, "stringValue"));

		if (strcmp(span_field(a, "key"), key) != 0)
			continue;
		return s ? s : json_string_value(json_object_get(value, "intValue"));
	}
	return "";
}

static inline size_t span_links(const json_t *span)
{
	return json_array_size(json_object_get(span, "links"));
}

static inline bool span_is_error(const json_t *span)
{
	return json_integer_value(json_object_get(json_object_get(span, "status"), "code")) == 2;
}

enum { KIND_SERVER = 2, KIND_CLIENT = 3 };

static inline long long span_kind(const json_t *span)
{
	return json_integer_value(json_object_get(span, "kind"));
}

/* Span i has this kind, status code and error type. */
static inline void expect_span(size_t i, long long kind, const char *code, const char *error)
{
	json_t *span = span_at(i);

	cr_assert_eq(span_kind(span), kind, "kind of %zu", i);
	cr_assert_str_eq(span_attribute(span, "http.response.status_code"), code);
	cr_assert_str_eq(span_attribute(span, "error.type"), error);
	cr_assert_eq(span_is_error(span), *error != 0);
}

/* ---- the program ---- */

/* Its read or recv of at most `room` bytes, as the hooks make it. */
static inline ssize_t program_receives(int fd, char *to, size_t room, int flags,
				       enum shim_call call)
{
	struct iovec part = { to, room };
	struct shim_read r;
	ssize_t n;

	shim_read_begin(&r, fd, &part, 1, flags, call);
	if (call == SHIM_CALL_READ)
		n = read(fd, r.iov->iov_base, r.iov->iov_len);
	else if (call == SHIM_CALL_READV)
		n = readv(fd, r.iov, r.iovcnt);
	else
		n = recv(fd, r.iov->iov_base, r.iov->iov_len, r.flags);
	return shim_read_end(&r, n, 0);
}

/* The peer sends `text`, the program reads it with one call; what it got. */
static inline const char *program_reads(int fd, int peer, const char *text)
{
	ssize_t n = send(peer, text, strlen(text), MSG_NOSIGNAL);

	must(n == (ssize_t)strlen(text));
	n = program_receives(fd, program_buffer, sizeof(program_buffer) - 1, 0, SHIM_CALL_RECV);
	program_buffer[n > 0 ? n : 0] = 0;
	return program_buffer;
}

/* The program writes all of it, the kernel takes all; what was on the wire. */
static inline const char *program_writes(int fd, const char *text)
{
	struct iovec part = { (char *)(uintptr_t)text, strlen(text) };

	program_wire.n = 0;
	program_wire.limit = sizeof(program_wire.bytes);
	must(wire_write(&program_wire, fd, &part, 1, SHIM_CALL_SEND) == (ssize_t)strlen(text));
	program_wire.bytes[program_wire.n] = 0;
	return program_wire.bytes;
}

/* The program closes its side. */
static inline void program_closes(int fd)
{
	shim_before_close(fd);
	close(fd);
}

/* The peer closes and the program reads the end of the stream. */
static inline void program_reads_end(int fd, int peer)
{
	close(peer);
	must(program_receives(fd, program_buffer, sizeof(program_buffer), 0, SHIM_CALL_RECV) == 0);
}

/* The program's call fails with `error`. */
static inline void program_read_fails(int fd, int error)
{
	struct iovec part = { program_buffer, sizeof(program_buffer) };
	struct shim_read r;

	shim_read_begin(&r, fd, &part, 1, 0, SHIM_CALL_RECV);
	errno = error;
	must(shim_read_end(&r, -1, 0) == -1);
	must(errno == error);
}

static inline void program_write_fails(int fd, const char *text, int error)
{
	struct iovec part = { (char *)(uintptr_t)text, strlen(text) };
	struct shim_write w;
	ssize_t n = -1;

	shim_write_begin(&w, fd, &part, 1, 0, SHIM_CALL_SEND);
	errno = error;
	must(!shim_write_again(&w, &n));
	must(n == -1);
	must(errno == error);
}

#define REQUEST  "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n"
#define RESPONSE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* The value of traceparent in a head, "" without one. */
static inline const char *traceparent_in(const char *head)
{
	static char value[56];
	const char *p = strcasestr(head, "\ntraceparent: ");

	if (!p)
		return "";
	memcpy(value, p + 14, 55);
	return value;
}

#endif
