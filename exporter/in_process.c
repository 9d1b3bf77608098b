/* SPDX-License-Identifier: Apache-2.0 */
/* Export in process: a ring in private memory, and what takes from it. */
#include <sys/mman.h>
#include "base/config.h"
#include "base/raw.h"
#include "exporter/exporter_parts.h"
#include "exporter/metrics_export.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

struct ring *in_process_ring(unsigned i)
{
	void *p = exporter.rings[i];

	if (p && raw_madvise(p, exporter.ring_size, MADV_DONTNEED) < 0)
		return NULL;
	if (!p) {
		p = raw_mmap(NULL, exporter.ring_size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (raw_is_error(p))
			return NULL;
		/* A child need not copy what it will not read. */
		raw_madvise(p, exporter.ring_size, MADV_WIPEONFORK);
	}
	exporter.rings[i] = p;
	ring_format(p, exporter.max_queue);
	return p;
}

static void give_up_spans(void)
{
	if (exporter_mode() == MODE_ON)
		exporter_set_mode(MODE_UNDELIVERABLE);
}

/* There is no way for spans, or nobody wants them: the ring is for the worker to be woken by. */
static int begin_without_spans(void)
{
	give_up_spans();
	if (metrics_export_is_wanted() && !drain_waiting(&exporter.drain))
		return 0;
	drain_abandon(&exporter.drain);
	return -EPROTONOSUPPORT;
}

int in_process_begin(struct ring *r)
{
	int err;

	r = r ? r : in_process_ring(0);
	err = r ? drain_init(&exporter.drain, r, &exporter.sink, &config) : -ENOMEM;
	if (err)
		give_up_spans();
	else if (sink_is_undeliverable(&exporter.sink))
		err = begin_without_spans();
	if (err) {
		metrics_export_end();
		return err;
	}
	worker_init(&exporter.worker, &exporter.drain, config.bsp_schedule_delay, &exporter.stop);
	metrics_export_begin();
	atomic_store_explicit(&exporter.ring, r, memory_order_release);
	return 0;
}
