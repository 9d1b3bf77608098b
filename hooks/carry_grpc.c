/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC C core, as grpc++ calls it. A call's metadata is given to grpc_call_start_batch(); what
 * is passed there is read during the call (the values are referred to, the keys copied), so that a
 * copy of ours on the stack serves. Servers send metadata by the same function: the calls that this
 * process makes are those that a channel has created. */
#include <stdatomic.h>
#include "base/bytes.h"
#include "hooks/carriers.h"
#include "shim/shim.h"

#define CORE           "29." /* grpc_version_string() of gRPC 1.51, whose types these are */
#define OPS_MAX        8     /* one of each kind */
#define METADATA_MAX   48    /* the program's; with more, nothing is added */
#define METADATA_BYTES 6000  /* the same: 8 KiB is where many stop */
#define LINES_MAX      3     /* traceparent, tracestate, baggage */
#define CALLS          1024  /* created and not started yet; past them a call goes as it is */
#define CALLS_WINDOW   8

#define SEND_METADATA  0 /* GRPC_OP_SEND_INITIAL_METADATA */

struct slice { /* grpc_slice */
	void *refcount;
	union {
		struct {
			size_t length;
			const char *bytes;
		} counted;
		struct {
			uint8_t length;
			char bytes[23];
		} inlined;
	} data;
};

struct metadata { /* grpc_metadata */
	struct slice key, value;
	void *internal[4];
};

struct op { /* grpc_op */
	int op;
	uint32_t flags;
	void *reserved;
	union {
		void *reserved[8];
		struct {
			size_t count;
			struct metadata *metadata;
		} send_metadata;
	} data;
};

struct deadline { /* gpr_timespec */
	int64_t seconds;
	int32_t nanoseconds;
	int clock;
};

static struct {
	int (*start_batch)(void *call, const struct op *ops, size_t count, void *tag,
			   void *reserved);
	void *(*create_call)(void *channel, void *parent, uint32_t mask, void *queue,
			     struct slice method, const struct slice *host,
			     struct deadline deadline, void *reserved);
	void *(*create_registered)(void *channel, void *parent, uint32_t mask, void *queue,
				   void *method, struct deadline deadline, void *reserved);
	void (*unref_call)(void *call);
	struct slice (*copy_of)(const char *text, size_t n);
	void (*unref)(struct slice slice);
} core;

/* ---- calls that this process makes ---- */

static _Atomic(void *) calls[CALLS];

static _Atomic(void *) *nth(const void *call, unsigned i)
{
	uint64_t h = (uintptr_t)call * 0x9e3779b97f4a7c15u >> 40;

	return &calls[(h + i) % CALLS];
}

static void note(void *call)
{
	for (unsigned i = 0; call && i < CALLS_WINDOW; i++) {
		void *none = NULL;

		if (atomic_compare_exchange_strong_explicit(nth(call, i), &none, call,
							    memory_order_relaxed,
							    memory_order_relaxed))
			return;
	}
}

/* Whether the call was noted: it is not any more. */
static bool take(void *call)
{
	for (unsigned i = 0; i < CALLS_WINDOW; i++) {
		void *noted = call;

		if (atomic_load_explicit(nth(call, i), memory_order_relaxed) == call &&
		    atomic_compare_exchange_strong_explicit(nth(call, i), &noted, NULL,
							    memory_order_relaxed,
							    memory_order_relaxed))
			return true;
	}
	return false;
}

static void *create_call(void *channel, void *parent, uint32_t mask, void *queue,
			 struct slice method, const struct slice *host, struct deadline deadline,
			 void *reserved)
{
	void *call =
		core.create_call(channel, parent, mask, queue, method, host, deadline, reserved);

	note(call);
	return call;
}

static void *create_registered(void *channel, void *parent, uint32_t mask, void *queue,
			       void *method, struct deadline deadline, void *reserved)
{
	void *call =
		core.create_registered(channel, parent, mask, queue, method, deadline, reserved);

	note(call);
	return call;
}

/* Never started, and its address may be another's soon. */
static void unref_call(void *call)
{
	take(call);
	core.unref_call(call);
}

/* ---- what a call carries ---- */

static struct bytes text_of(const struct slice *s)
{
	if (s->refcount)
		return (struct bytes){ s->data.counted.bytes, s->data.counted.length };
	return (struct bytes){ s->data.inlined.bytes, s->data.inlined.length };
}

static bool is_short(const struct metadata *m, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count && bytes < METADATA_BYTES; i++)
		bytes += text_of(&m[i].key).n + text_of(&m[i].value).n + 32; /* RFC 9113 6.5.2 */
	return bytes < METADATA_BYTES;
}

static bool has(const struct metadata *m, size_t count, struct bytes name)
{
	for (size_t i = 0; i < count; i++)
		if (bytes_equal_nocase(text_of(&m[i].key), name))
			return true;
	return false;
}

/* The metadata and behind it the lines for which there is none yet; returns how many these are. */
static unsigned add(struct metadata *to, const struct metadata *from, size_t count,
		    struct bytes lines)
{
	unsigned added = 0;

	memcpy(to, from, count * sizeof(*to));
	while (lines.n && added < LINES_MAX) {
		struct bytes value = bytes_split(&lines, '\0'), name = bytes_split(&value, ':');
		struct metadata *m = &to[count + added];

		if (value.n < 2 || name.n > sizeof(m->key.data.inlined.bytes) ||
		    has(from, count, name))
			continue;
		*m = (struct metadata){ .value = core.copy_of(value.p + 1, value.n - 1) };
		m->key.data.inlined.length = (uint8_t)name.n;
		memcpy(m->key.data.inlined.bytes, name.p, name.n);
		added++;
	}
	return added;
}

static const struct op *metadata_op(const struct op *ops, size_t count)
{
	for (size_t i = 0; ops && i < count && count <= OPS_MAX; i++)
		if (ops[i].op == SEND_METADATA)
			return &ops[i];
	return NULL;
}

static bool may_add(const struct op *op)
{
	size_t count = op->data.send_metadata.count;
	const struct metadata *m = op->data.send_metadata.metadata;

	return count <= METADATA_MAX && (m || !count) && is_short(m, count) &&
	       !has(m, count, BYTES("traceparent")) && !has(m, count, BYTES("grpc-trace-bin"));
}

static int start_batch(void *call, const struct op *ops, size_t count, void *tag, void *reserved)
{
	const struct op *op = metadata_op(ops, count);
	struct metadata metadata[METADATA_MAX + LINES_MAX];
	struct op copy[OPS_MAX];
	char text[SHIM_CALLER_LINES];
	unsigned added;
	size_t n, own;
	int result;

	if (!op || !take(call) || reserved || !may_add(op))
		return core.start_batch(call, ops, count, tag, reserved);
	n = shim_caller_lines(text, sizeof(text));
	if (!n)
		return core.start_batch(call, ops, count, tag, reserved);
	own = op->data.send_metadata.count;
	added = add(metadata, op->data.send_metadata.metadata, own, (struct bytes){ text, n });
	memcpy(copy, ops, count * sizeof(*ops));
	copy[op - ops].data.send_metadata.metadata = metadata;
	copy[op - ops].data.send_metadata.count = own + added;
	result = core.start_batch(call, copy, count, tag, reserved);
	for (unsigned i = 0; i < added; i++)
		core.unref(metadata[own + i].value);
	return result;
}

bool carry_grpc_find(struct import *imports, const struct image *m)
{
	const char *(*version)(void) =
		(const char *(*)(void))image_find_code(m, "grpc_version_string");
	const struct import found[CARRY_GRPC_IMPORTS] = {
		{ .name = "grpc_call_start_batch", .ours = (uintptr_t)start_batch },
		{ .name = "grpc_channel_create_call", .ours = (uintptr_t)create_call },
		{ .name = "grpc_channel_create_registered_call",
		  .ours = (uintptr_t)create_registered },
		{ .name = "grpc_call_unref", .ours = (uintptr_t)unref_call },
	};

	if (!version || memcmp(version(), CORE, sizeof(CORE) - 1) != 0)
		return false;
	core.copy_of = (struct slice(*)(const char *,
					size_t))image_find(m, "grpc_slice_from_copied_buffer");
	core.unref = (void (*)(struct slice))image_find(m, "grpc_slice_unref");
	if (!core.copy_of || !core.unref)
		return false;
	for (unsigned i = 0; i < CARRY_GRPC_IMPORTS; i++)
		if (!image_find(m, found[i].name))
			return false;
	for (unsigned i = 0; i < CARRY_GRPC_IMPORTS; i++) {
		imports[i] = found[i];
		imports[i].theirs = (uintptr_t)image_find(m, found[i].name);
	}
	core.start_batch = (__typeof__(core.start_batch))imports[0].theirs;
	core.create_call = (__typeof__(core.create_call))imports[1].theirs;
	core.create_registered = (__typeof__(core.create_registered))imports[2].theirs;
	core.unref_call = (__typeof__(core.unref_call))imports[3].theirs;
	return true;
}
