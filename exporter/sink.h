/* SPDX-License-Identifier: Apache-2.0 */
/* Where a batch goes: OTLP, the trace file, the console, or several of them.
 *
 * A span counts once: under what OTLP said when OTLP is among them, else the file, else the
 * console. */
#ifndef EXPORTER_SINK_H
#define EXPORTER_SINK_H

#include "base/arena.h"
#include "exporter/batch.h"
#include "exporter/resource.h"
#include "exporter/transport.h"

struct sink {
	bool to_otlp, to_file, to_console;
	struct transport transport;
	struct resource resource;
	struct arena arena; /* of one encoding */
	uint64_t file_device, file_inode;
	bool file_torn; /* the last line was not written whole */
	struct complaints complaints;
};

/* Reads where spans go and who we are, and opens the trace file. *s is all zero (and large: its
 * pages are not touched for nothing). 0, or -ENOENT: spans have nowhere
 * to go (OTEL_TRACES_EXPORTER=none), which is as the user wants it. supervised: somebody else
 * exports, most likely: nothing is opened and nothing complained of. */
int sink_init(struct sink *s, const struct config *c, char **envp, _Atomic uint32_t *stop,
	      bool supervised);

/* Nobody else does, after all: opens what was left out. */
void sink_fall_back(struct sink *s, const struct config *c);

/* Only what the configuration says of the file and the console, for a process that sends OTLP by
 * other means; its batches bring their resource. *to_otlp: whether it is to send any. As
 * sink_init() otherwise. */
int sink_init_local(struct sink *s, const struct config *c, bool *to_otlp);

/* True when the only way out is one that cannot work here (https, grpc, a file that does not open).
 */
bool sink_is_undeliverable(const struct sink *s);

void sink_export(struct sink *s, const struct batch *b, uint64_t deadline_ns, struct outcome *o);

/* True: the last export did not get through; the program's end does not wait for another try. */
bool sink_failing(const struct sink *s);

void sink_idle(struct sink *s);
void sink_child(struct sink *s);

#endif
