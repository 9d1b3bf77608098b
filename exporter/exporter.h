/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter's door: what shim/ (and nobody above) calls. Supervised (TAGALONG_SHARED_DIR): a
 * ring that another process drains. In process, and where no supervisor is to be had: one ring, one
 * worker thread, one transport. */
#ifndef EXPORTER_EXPORTER_H
#define EXPORTER_EXPORTER_H

#include <sys/socket.h>
#include "exporter/request_metrics.h"
#include "exporter/ring.h"

/* From the constructor, after config_read(): maps the ring (in process), gathers the resource,
 * reads what is needed from disk (hosts, resolv.conf), opens TAGALONG_TRACES_FILE, and warns about
 * what will not work (https, grpc, gzip, ...). No thread, no socket. Negative errno: spans are then
 * counted as undeliverable. */
int exporter_init(char **envp);

/* Where requests are counted, NULL: nowhere. The first time the ring is shared with the supervisor:
 * raw system calls only. */
struct request_metrics *exporter_request_metrics(void);

/* One span. False: no room (counted); otherwise fill w->record and commit. */
bool exporter_begin(struct ring_writer *w);
void exporter_commit(struct ring_writer *w);

/* Shares the ring or starts the worker, once per process; looks after the supervisor. Only from a
 * read of HTTP, or from connect (not to unix sockets) when spans wait: this is the one place that
 * calls pthread_create. Cheap when it runs already. */
void exporter_start(void);

/* The program ends (or execs): sends what the ring holds, within timeout_ms, not at all when it
 * is empty or the last export failed; without a worker the calling thread does it. final: spans
 * that are left count as spans_dropped_exit. Only raw system calls. */
void exporter_flush(uint32_t timeout_ms, bool final);

/* A seccomp filter is about to be installed: the worker (if any) stops making system calls for
 * good when every_thread (TSYNC); no worker and no flush is started from a filtered thread. The
 * ring is shared now or never: expects_spans says whether that is worth it. */
void exporter_park(bool every_thread, bool expects_spans);

/* The main thread is about to end, and the process may go on without it: until its last thread
 * ends, which must not be ours. Sends what waits; the worker ends and comes back, as one that knows
 * this, with the next exporter_start(). */
void exporter_before_main_exit(void);

/* In a new process: an empty ring, no worker, a new service.instance.id, pid and so on. inside: it
 * was made in the middle of our own code, which may still be writing to the ring. */
void exporter_child(bool inside);

/* Spans committed whose fate is not known yet: they wait, or are on their way. */
uint32_t exporter_waiting(void);

/* Threads of ours in this process: one that exports, or none. */
unsigned exporter_threads(void);

/* What this process counts is counted by its supervisor, too. */
bool exporter_is_shared(void);

/* True when address:port is where our own spans go (no trace headers are sent there). */
bool exporter_is_endpoint(struct bytes host, uint16_t port);

#endif
