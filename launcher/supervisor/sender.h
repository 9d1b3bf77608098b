/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that takes parcels out of the queue and sends them on: to the file, the console and
 * the OTLP receiver, several processes in one request. Every span is counted under what became of
 * it.
 *
 * A request that was begun is not given up before its own time, because it may have arrived: sent
 * again, its spans would be there twice. Where there is a disk to wait on, it is what comes
 * meanwhile that goes there when the queue fills; where there is none, the rings fill, and their
 * producers drop and count. Only the end of all (sender_stop()) gives up what was begun. */
#ifndef LAUNCHER_SUPERVISOR_SENDER_H
#define LAUNCHER_SUPERVISOR_SENDER_H

#include "exporter/sink.h"
#include "launcher/supervisor/otlp_way.h"
#include "launcher/supervisor/parcel.h"

struct sender {
	struct queue *queue;
	struct sink sink; /* file and console */
	bool to_otlp;
	bool local_fails; /* the last time */
	struct otlp_way way;
	struct arena arena; /* of one request */
	uint64_t delay_ns;
	_Atomic uint64_t hold_off_ns; /* the receiver asked to be left alone until then */
	_Atomic uint64_t deadline_ns; /* of everything, once the end has come */
	_Atomic uint32_t stop;        /* nothing is waited for any more; a futex */
	pthread_t thread;
	bool started;
};

/* 0, or -ENOENT: spans have nowhere to go. Before any descriptor or directory is given up. */
int sender_init(struct sender *s, struct queue *q);
int sender_start(struct sender *s);

/* Has what is in the queue sent, until the deadline (monotonic), or until the receiver is known not
 * to take it. */
void sender_flush(struct sender *s, uint64_t deadline_ns);

/* The last export got no final answer, or the receiver wants to be left alone. Any thread. */
bool sender_is_failing(const struct sender *s);

/* The end has come: from now on, and until sender_end(), everything goes at once, or as that says.
 */
void sender_hurry(struct sender *s, uint64_t deadline_ns);

/* Nothing is waited for any more. */
void sender_stop(struct sender *s);

/* The queue is closed: what is in it may be sent until the deadline (monotonic), not at all when
 * the last export failed; what is left is kept on disk or counted as spans_dropped_exit. Returns
 * when the thread has ended. */
void sender_end(struct sender *s, uint64_t deadline_ns);

#endif
