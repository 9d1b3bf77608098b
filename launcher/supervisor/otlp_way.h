/* SPDX-License-Identifier: Apache-2.0 */
/* The way to the OTLP receiver, with the disk (TAGALONG_SPILL_DIR) as the place where requests wait
 * while it is closed. Order is kept: as long as something waits on disk, what comes later waits
 * behind it, and one request at a time tries whether the receiver is back. */
#ifndef LAUNCHER_SUPERVISOR_OTLP_WAY_H
#define LAUNCHER_SUPERVISOR_OTLP_WAY_H

#include "exporter/curl/curl_transport.h"
#include "exporter/retry.h"

struct spill;

struct otlp_way {
	struct curl_transport *transport;
	struct spill *spill; /* NULL: nothing is kept */
	struct retry retry;  /* between tries with what is on disk */
	uint64_t next_try_ns;
	uint64_t look_ns;        /* when to look for what other supervisors have left on disk */
	uint64_t dropped_before; /* of the spill, counted already */
	const struct config *config;
	_Atomic uint32_t *stop;
};

/* Reads the configuration; warnings go to the log. 0 or -ENOMEM. */
int otlp_way_init(struct otlp_way *w, const struct config *c, _Atomic uint32_t *stop);
void otlp_way_free(struct otlp_way *w);

/* Sends one request, by the deadline (monotonic), or puts it on disk. Its items are counted. */
void otlp_way_send(struct otlp_way *w, const struct payload *p, uint64_t deadline_ns,
		   uint64_t *hold_off_ns);

/* There is no time to send it: it is put on disk, or counted as spans_dropped_exit. */
void otlp_way_leave(struct otlp_way *w, const struct payload *p);

/* When otlp_way_catch_up() has something to do: monotonic, UINT64_MAX never. */
uint64_t otlp_way_due(const struct otlp_way *w);

/* Sends the oldest of what is on disk, or looks there for what others have left; *more: the
 * receiver took it, there is more. */
void otlp_way_catch_up(struct otlp_way *w, uint64_t deadline_ns, bool *more);

bool otlp_way_failing(const struct otlp_way *w);

#endif
